#include "store/internal/event_log.h"

#include <zlib.h>

#include <string>

#include "engine/step.h"
#include "store/store.h"

namespace caudal::store {
namespace {

using base::Result;
using base::Status;

constexpr int64_t kFormat = 1;
// An archive is read and written as a whole: few events are long, but some hold a large value.
constexpr size_t kArchiveBytes = 8 << 20;
// A log of one run says the same again and again: more effort saves little.
constexpr int kEffort = 1;

Status AppendEvent(sql::Database& database, const RunChange& change, int64_t commit_seq) {
  v1::LogRecord record;
  *record.mutable_event() = change.event;
  *record.mutable_delta() = change.delta;
  const std::string body = record.SerializeAsString();
  Status appended = database.Execute(
      "INSERT INTO event(run_key, seq, commit_seq, engine_version, format, body)"
      " VALUES($1,$2,$3,$4,$5,$6)",
      {change.run_key, change.seq, commit_seq, int64_t{engine::kEngineVersion}, kFormat,
       sql::Blob{body}});
  if (appended.code() == base::Code::kAlreadyExists) {
    return base::Aborted("event " + std::to_string(change.seq) + " of run " +
                         std::to_string(change.run_key) + " was written by somebody else");
  }
  return appended;
}

std::string Compress(const std::string& data) {
  uLongf size = compressBound(static_cast<uLong>(data.size()));
  std::string packed(size, '\0');
  const int code = compress2(reinterpret_cast<Bytef*>(packed.data()), &size,
                             reinterpret_cast<const Bytef*>(data.data()),
                             static_cast<uLong>(data.size()), kEffort);
  CAUDAL_CHECK(code == Z_OK, "zlib cannot compress an event log");
  packed.resize(size);
  return packed;
}

// Undoes Compress; empty for damaged data.
std::string Decompress(const std::string& packed, uint64_t size) {
  std::string data(size, '\0');
  uLongf length = size;
  const int code =
      uncompress(reinterpret_cast<Bytef*>(data.data()), &length,
                 reinterpret_cast<const Bytef*>(packed.data()), static_cast<uLong>(packed.size()));
  if (code != Z_OK || length != size) data.clear();
  return data;
}

void AppendSize(uint64_t size, std::string* log) {
  for (int shift = 0; shift < 64; shift += 8) *log += static_cast<char>(size >> shift);
}

uint64_t SizeAt(const std::string& log, size_t offset) {
  uint64_t size = 0;
  for (int i = 7; i >= 0; --i) {
    size = size << 8 | static_cast<unsigned char>(log[offset + static_cast<size_t>(i)]);
  }
  return size;
}

// Records of an archive: 8 bytes with the size of the whole, then for each record 8 bytes of length
// and the record, all but the first 8 compressed.
bool Unpack(const std::string& archive, std::vector<v1::LogRecord>* records) {
  if (archive.size() < 8) return false;
  const std::string log = Decompress(archive.substr(8), SizeAt(archive, 0));
  size_t offset = 0;
  while (offset + 8 <= log.size()) {
    const uint64_t size = SizeAt(log, offset);
    offset += 8;
    if (size > log.size() - offset) return false;
    if (!records->emplace_back().ParseFromString(log.substr(offset, size))) return false;
    offset += size;
  }
  return offset == log.size() && !log.empty();
}

/// The oldest unfolded events of a run, as many as one archive takes.
struct Chunk {
  int64_t first_seq = 0;  // 0: there are none
  int64_t last_seq = 0;
  std::string log;
};

Result<Chunk> ReadChunk(sql::Database& database, int64_t run_key) {
  Chunk chunk;
  bool is_full = false;
  CAUDAL_TRY(database.Query("SELECT seq, body FROM event WHERE run_key=$1 ORDER BY seq LIMIT $2",
                            {run_key, kFoldEvery}, [&](const sql::Row& row) {
                              if (is_full) return;
                              if (chunk.first_seq == 0) chunk.first_seq = row.Int(0);
                              chunk.last_seq = row.Int(0);
                              const std::string body = row.Text(1);
                              AppendSize(body.size(), &chunk.log);
                              chunk.log += body;
                              is_full = chunk.log.size() >= kArchiveBytes;
                            }));
  return chunk;
}

}  // namespace

Status AppendEvents(sql::Database& database, std::span<const RunChange> changes) {
  CAUDAL_ASSIGN(const std::string last, Store::GetMeta(database, "commit_seq"));
  int64_t commit_seq = last.empty() ? 0 : std::stoll(last);
  for (const RunChange& change : changes) {
    CAUDAL_TRY(AppendEvent(database, change, ++commit_seq));
  }
  return Store::SetMeta(database, "commit_seq", std::to_string(commit_seq));
}

Status FoldEvents(sql::Database& database, int64_t run_key) {
  while (true) {
    CAUDAL_ASSIGN(const Chunk chunk, ReadChunk(database, run_key));
    if (chunk.first_seq == 0) return {};
    std::string packed;
    AppendSize(chunk.log.size(), &packed);
    packed += Compress(chunk.log);
    CAUDAL_TRY(database.Execute(
        "INSERT INTO event_archive(run_key, first_seq, last_seq, body) VALUES($1,$2,$3,$4)",
        {run_key, chunk.first_seq, chunk.last_seq, sql::Blob{packed}}));
    CAUDAL_TRY(database.Execute("DELETE FROM event WHERE run_key=$1 AND seq<=$2",
                                {run_key, chunk.last_seq}));
  }
}

Result<std::vector<v1::LogRecord>> ReadLog(sql::Database& database, int64_t run_key) {
  std::vector<v1::LogRecord> records;
  // A record's place in the list says which event it must be.
  const auto is_next = [&](int64_t seq) { return seq == static_cast<int64_t>(records.size()) + 1; };
  bool is_sound = true;
  CAUDAL_TRY(database.Query(
      "SELECT first_seq, last_seq, body FROM event_archive WHERE run_key=$1 ORDER BY first_seq",
      {run_key}, [&](const sql::Row& row) {
        is_sound = is_sound && is_next(row.Int(0)) && Unpack(row.Text(2), &records) &&
                   is_next(row.Int(1) + 1);
      }));
  CAUDAL_TRY(database.Query("SELECT seq, body FROM event WHERE run_key=$1 ORDER BY seq", {run_key},
                            [&](const sql::Row& row) {
                              is_sound = is_sound && is_next(row.Int(0)) &&
                                         records.emplace_back().ParseFromString(row.Text(1));
                            }));
  if (!is_sound) {
    return Status(base::Code::kDataLoss,
                  "event log of run " + std::to_string(run_key) + " cannot be read");
  }
  return records;
}

}  // namespace caudal::store
