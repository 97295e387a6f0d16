#include "store/store.h"

#include "base/uuid.h"
#include "store/internal/schema.h"

namespace caudal::store {
namespace {

using base::Result;
using base::Status;

constexpr int kReaders = 8;
constexpr int kLargestGroup = 256;

// Creates the schema in an empty database, checks it in another.
Status PrepareSchema(sql::Database& database, std::string* secret) {
  bool has_meta = false;
  CAUDAL_TRY(database.Query("SELECT 1 FROM sqlite_master WHERE type='table' AND name='meta'", {},
                            [&](const sql::Row&) { has_meta = true; }));
  if (!has_meta) {
    CAUDAL_TRY(database.InTransaction([&]() -> Status {
      CAUDAL_TRY(database.ExecuteScript(kSchema));
      CAUDAL_TRY(Store::SetMeta(database, "schema", std::to_string(kSchemaVersion)));
      return Store::SetMeta(database, "secret", base::RandomHex(32));
    }));
  }
  CAUDAL_ASSIGN(const std::string version, Store::GetMeta(database, "schema"));
  if (version != std::to_string(kSchemaVersion)) {
    return base::FailedPrecondition("the data directory has schema " + version +
                                    ", this program knows " + std::to_string(kSchemaVersion) +
                                    "; use the program that wrote it, or another data directory");
  }
  CAUDAL_ASSIGN(*secret, Store::GetMeta(database, "secret"));
  return {};
}

}  // namespace

Result<std::unique_ptr<Store>> Store::Open(const std::string& path) {
  std::unique_ptr<Store> store(new Store);
  store->path_ = path;
  CAUDAL_ASSIGN(store->writer_, sql::Database::Open(path, sql::OpenMode::kReadWrite));
  CAUDAL_TRY(PrepareSchema(*store->writer_, &store->secret_));
  for (int i = 0; path != ":memory:" && i < kReaders; ++i) {
    CAUDAL_ASSIGN(auto reader, sql::Database::Open(path, sql::OpenMode::kReadOnly));
    store->readers_.push_back(std::move(reader));
  }
  return store;
}

Status Store::Write(const Unit& unit) {
  Waiting mine{&unit, {}, false};
  std::unique_lock lock(mutex_);
  queue_.push_back(&mine);
  changed_.wait(lock, [&] { return mine.is_done || !has_leader_; });
  if (mine.is_done) return mine.result;

  // Nobody is writing: carry everything that waits, ourselves included.
  has_leader_ = true;
  while (!mine.is_done) {
    std::vector<Waiting*> group;
    while (!queue_.empty() && group.size() < kLargestGroup) {
      group.push_back(queue_.front());
      queue_.pop_front();
    }
    lock.unlock();
    CommitTogether(group);
    lock.lock();
    for (Waiting* waiting : group) waiting->is_done = true;
  }
  has_leader_ = false;
  lock.unlock();
  changed_.notify_all();
  return mine.result;
}

void Store::CommitTogether(const std::vector<Waiting*>& group) {
  // A group of one needs no savepoint: its error undoes the transaction.
  if (group.size() == 1) {
    group[0]->result = writer_->InTransaction([&] { return (*group[0]->unit)(*writer_); });
    return;
  }
  const Status committed = writer_->InTransaction([&]() -> Status {
    for (Waiting* waiting : group) {
      CAUDAL_TRY(writer_->Execute("SAVEPOINT unit"));
      waiting->result = (*waiting->unit)(*writer_);
      if (!waiting->result.ok() && !writer_->Execute("ROLLBACK TO unit").ok()) {
        // A full disk has undone the whole transaction: that is what the others must be told.
        return waiting->result;
      }
      CAUDAL_TRY(writer_->Execute("RELEASE unit"));
    }
    return {};
  });
  if (committed.ok()) return;
  for (Waiting* waiting : group) {
    if (waiting->result.ok()) waiting->result = committed;
  }
}

Status Store::Read(const std::function<Status(sql::Database&)>& reader) {
  if (readers_.empty() && path_ == ":memory:") {
    // One connection is all there is: take turns with the writer.
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !has_leader_; });
    return reader(*writer_);
  }
  std::unique_ptr<sql::Database> database;
  {
    std::unique_lock lock(readers_mutex_);
    reader_free_.wait(lock, [&] { return !readers_.empty(); });
    database = std::move(readers_.back());
    readers_.pop_back();
  }
  Status result = reader(*database);
  {
    const std::lock_guard lock(readers_mutex_);
    readers_.push_back(std::move(database));
  }
  reader_free_.notify_one();
  return result;
}

Result<std::string> Store::GetMeta(sql::Database& database, std::string_view name) {
  std::string value;
  CAUDAL_TRY(database.Query("SELECT value FROM meta WHERE name=$1", {name},
                            [&](const sql::Row& row) { value = row.Text(0); }));
  return value;
}

Status Store::SetMeta(sql::Database& database, std::string_view name, std::string_view value) {
  return database.Execute(
      "INSERT INTO meta(name, value) VALUES($1, $2)"
      " ON CONFLICT(name) DO UPDATE SET value=excluded.value",
      {name, value});
}

Status Store::Checkpoint() {
  if (path_ == ":memory:") return {};
  CAUDAL_ASSIGN(auto database, sql::Database::Open(path_, sql::OpenMode::kReadWrite));
  return database->Query("PRAGMA wal_checkpoint(PASSIVE)", {}, [](const sql::Row&) {});
}

}  // namespace caudal::store
