#pragma once

/// The one database of a data directory: opening, migrating, reading, and writing in groups.

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/status.h"
#include "sql/database.h"

namespace caudal::store {

/// A write: all of it or nothing. Runs on the writer's connection inside a transaction that it may
/// share with other units; an error undoes this unit only.
using Unit = std::function<base::Status(sql::Database&)>;

/// Thread-safe. Writes are durable when `Write` returns: WAL with synchronous=FULL, one commit for
/// all units that wait at the same time (the first waiter carries the others' units).
class Store {
 public:
  /// Opens `path` (":memory:" in tests), creating or checking the schema. Errors:
  /// kFailedPrecondition for a schema newer than this program, naming both versions.
  static base::Result<std::unique_ptr<Store>> Open(const std::string& path);

  /// Runs `unit` and commits it. Errors: the unit's own, or the commit's for every unit in it.
  base::Status Write(const Unit& unit);

  /// Runs `reader` on a connection of its own; it sees everything committed before. Blocks while
  /// all connections are in use.
  base::Status Read(const std::function<base::Status(sql::Database&)>& reader);

  /// A value of the `meta` table, or "" when absent. Within a unit or reader.
  static base::Result<std::string> GetMeta(sql::Database& database, std::string_view name);
  static base::Status SetMeta(sql::Database& database, std::string_view name,
                              std::string_view value);

  /// Copies the write-ahead log into the database file. Called now and then from a thread of the
  /// server's; never blocks writers for long.
  base::Status Checkpoint();

  /// Random text made with the database, which signs page tokens.
  const std::string& secret() const { return secret_; }

  sql::Database& writer_for_test() { return *writer_; }

 private:
  struct Waiting {
    const Unit* unit;
    base::Status result;
    bool is_done = false;
  };
  Store() = default;
  void CommitTogether(const std::vector<Waiting*>& group);

  std::string path_;
  std::string secret_;
  std::unique_ptr<sql::Database> writer_;  // used by the leader only

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Waiting*> queue_;
  bool has_leader_ = false;

  std::mutex readers_mutex_;
  std::condition_variable reader_free_;
  std::vector<std::unique_ptr<sql::Database>> readers_;
};

}  // namespace caudal::store
