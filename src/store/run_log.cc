#include "store/run_log.h"

#include <zlib.h>

#include "engine/step.h"
#include "model/task.h"
#include "store/store.h"

namespace caudal::store {
namespace {

using base::Result;
using base::Status;
using std::string_view;

constexpr int64_t kFormat = 1;

// v2beta1 names of the run's phase; a canceled run shows as FAILED, which clients' waits
// understand.
std::string_view StateOf(v1::RunPhase phase) {
  switch (phase) {
    case v1::RUN_RUNNING:
      return "RUNNING";
    case v1::RUN_SUCCEEDED:
      return "SUCCEEDED";
    case v1::RUN_FAILED:
    case v1::RUN_CANCELED:
      return "FAILED";
    case v1::RUN_CANCELING:
      return "CANCELING";
    default:
      return "PENDING";
  }
}

Result<int64_t> NextCommitSeq(sql::Database& database) {
  CAUDAL_ASSIGN(const std::string last, Store::GetMeta(database, "commit_seq"));
  const int64_t next = (last.empty() ? 0 : std::stoll(last)) + 1;
  CAUDAL_TRY(Store::SetMeta(database, "commit_seq", std::to_string(next)));
  return next;
}

Status AppendEvent(sql::Database& database, const RunChange& change) {
  v1::LogRecord record;
  *record.mutable_event() = change.event;
  *record.mutable_delta() = change.delta;
  const std::string body = record.SerializeAsString();
  CAUDAL_ASSIGN(const int64_t commit_seq, NextCommitSeq(database));
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

Status SaveTasks(sql::Database& database, const RunChange& change) {
  for (const v1::Task& changed : change.delta.tasks()) {
    const int index = changed.index();
    const std::string body = change.after->task(index).SerializeAsString();
    const std::string task_id =
        model::TaskId(change.after->info().run_id(), engine::PathOf(*change.after, index));
    CAUDAL_TRY(
        database.Execute("INSERT INTO task(run_key, task_index, task_id, body) VALUES($1,$2,$3,$4)"
                         " ON CONFLICT(run_key, task_index) DO UPDATE SET body=excluded.body",
                         {change.run_key, int64_t{index}, string_view(task_id), sql::Blob{body}}));
  }
  return {};
}

Status SaveCommands(sql::Database& database, const RunChange& change) {
  for (const v1::Command& command : change.delta.commands()) {
    const bool is_launch = command.has_launch();
    const int64_t attempt =
        is_launch ? command.launch().attempt_key() : command.kill().attempt_key();
    const std::string body = command.SerializeAsString();
    CAUDAL_TRY(database.Execute(
        "INSERT INTO outbox(run_key, attempt_key, is_launch, body) VALUES($1,$2,$3,$4)",
        {change.run_key, attempt, int64_t{is_launch}, sql::Blob{body}}));
    if (!is_launch) continue;
    CAUDAL_TRY(database.Execute(
        "INSERT INTO attempt(key, run_key, task_index, number, created_at, started_at, ended_at,"
        " result, exit_code, error_code, error) VALUES($1,$2,$3,$4,$5,0,0,0,0,'','')",
        {attempt, change.run_key, int64_t{command.launch().task()},
         int64_t{command.launch().attempt_number()}, change.event.at()}));
  }
  return {};
}

std::string TypeTitle(const v1::Artifact& artifact) {
  return artifact.type().schema_title().empty() ? artifact.type().instance_schema()
                                                : artifact.type().schema_title();
}

Status SaveArtifacts(sql::Database& database, const RunChange& change, int task,
                     const v1::AttemptOutcome& outcome) {
  for (const auto& [name, list] : outcome.artifacts()) {
    for (const v1::Artifact& artifact : list.artifacts()) {
      const std::string type = TypeTitle(artifact);
      const std::string body = artifact.SerializeAsString();
      CAUDAL_TRY(database.Execute(
          "INSERT INTO artifact(key, id, namespace, run_key, task_index, name, type, uri, blob,"
          " created_at, created_by, body)"
          " SELECT $1,$2,namespace,$3,$4,$5,$6,$7,$8,$9,created_by,$10 FROM run WHERE key=$11",
          {artifact.key(), string_view(artifact.id()), change.run_key, int64_t{task},
           string_view(name), string_view(type), string_view(artifact.uri()),
           string_view(artifact.blob()), change.event.at(), sql::Blob{body}, change.run_key}));
      CAUDAL_TRY(database.Execute(
          "INSERT INTO artifact_use(artifact_key, run_key, task_index, is_output, name)"
          " VALUES($1,$2,$3,1,$4)",
          {artifact.key(), change.run_key, int64_t{task}, string_view(name)}));
    }
  }
  for (const v1::StoredObject& object : outcome.objects()) {
    // A URI is stable across attempts: the newest success owns it.
    CAUDAL_TRY(database.Execute(
        "INSERT INTO object(bucket, key, blob, size, sha256, run_key) VALUES($1,$2,$3,$4,$5,$6)"
        " ON CONFLICT(bucket, key) DO UPDATE SET blob=excluded.blob, size=excluded.size,"
        " sha256=excluded.sha256, run_key=excluded.run_key",
        {string_view(object.bucket()), string_view(object.key()), string_view(object.blob()),
         object.size(), string_view(object.sha256()), change.run_key}));
  }
  return {};
}

Status SaveInputs(sql::Database& database, const RunChange& change) {
  for (const v1::Task& task : change.delta.tasks()) {
    for (const auto& [name, list] : task.artifacts()) {
      for (const v1::Artifact& artifact : list.artifacts()) {
        CAUDAL_TRY(database.Execute(
            "INSERT INTO artifact_use(artifact_key, run_key, task_index, is_output, name)"
            " VALUES($1,$2,$3,0,$4) ON CONFLICT DO NOTHING",
            {artifact.key(), change.run_key, int64_t{task.index()}, string_view(name)}));
      }
    }
  }
  return {};
}

// What an attempt's start or end says of its own row and of the commands about it.
Status SaveAttempt(sql::Database& database, const RunChange& change) {
  if (change.event.has_attempt_started()) {
    const int64_t key = change.event.attempt_started().attempt_key();
    CAUDAL_TRY(database.Execute("UPDATE attempt SET started_at=$1 WHERE key=$2",
                                {change.event.at(), key}));
    return database.Execute("DELETE FROM outbox WHERE attempt_key=$1 AND is_launch=1", {key});
  }
  if (!change.event.has_attempt_finished()) return {};
  const v1::AttemptOutcome& outcome = change.event.attempt_finished().outcome();
  CAUDAL_TRY(database.Execute(
      "UPDATE attempt SET ended_at=$1, result=$2, exit_code=$3, error_code=$4, error=$5"
      " WHERE key=$6",
      {change.event.at(), int64_t{outcome.result()}, int64_t{outcome.exit_code()},
       string_view(outcome.error_code()), string_view(outcome.error()), outcome.attempt_key()}));
  CAUDAL_TRY(database.Execute("DELETE FROM outbox WHERE attempt_key=$1", {outcome.attempt_key()}));
  return SaveArtifacts(database, change, change.event.attempt_finished().task(), outcome);
}

Status SaveRun(sql::Database& database, const RunChange& change) {
  if (!change.delta.has_run()) {
    return database.Execute("UPDATE run SET seq=$1 WHERE key=$2", {change.seq, change.run_key});
  }
  const v1::Run& run = change.after->run();
  const string_view state = StateOf(run.phase());
  CAUDAL_TRY(database.Execute(
      "UPDATE run SET seq=$1, phase=$2, error=$3, finished_at=$4, generation=$5 WHERE key=$6",
      {change.seq, int64_t{run.phase()}, string_view(run.error()),
       model::IsFinal(run.phase()) ? run.ended_at() : int64_t{0}, int64_t{run.generation()},
       change.run_key}));
  const std::string entry = ";" + std::to_string(change.event.at()) + ":" + std::string(state);
  return database.Execute(
      "UPDATE run SET state=$1, state_history=state_history || $2 WHERE key=$3 AND state<>$4",
      {state, string_view(entry), change.run_key, state});
}

Status SaveSnapshot(sql::Database& database, const RunChange& change) {
  const std::string body = engine::ToSnapshot(*change.after).SerializeAsString();
  return database.Execute(
      "INSERT INTO snapshot(run_key, seq, body) VALUES($1,$2,$3)"
      " ON CONFLICT(run_key) DO UPDATE SET seq=excluded.seq, body=excluded.body",
      {change.run_key, change.seq, sql::Blob{body}});
}

std::string Compress(const std::string& data) {
  uLongf size = compressBound(static_cast<uLong>(data.size()));
  std::string packed(size, '\0');
  const int code =
      compress2(reinterpret_cast<Bytef*>(packed.data()), &size,
                reinterpret_cast<const Bytef*>(data.data()), static_cast<uLong>(data.size()), 6);
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

// An ended run keeps its whole log in one row and its last state as the snapshot.
Status FoldEvents(sql::Database& database, const RunChange& change) {
  std::string log;
  CAUDAL_TRY(database.Query("SELECT body FROM event WHERE run_key=$1 ORDER BY seq",
                            {change.run_key}, [&](const sql::Row& row) {
                              const std::string body = row.Text(0);
                              AppendSize(body.size(), &log);
                              log += body;
                            }));
  std::string packed;
  AppendSize(log.size(), &packed);
  packed += Compress(log);
  CAUDAL_TRY(database.Execute(
      "INSERT INTO event_archive(run_key, generation, last_seq, body) VALUES($1,$2,$3,$4)",
      {change.run_key, int64_t{change.after->run().generation()}, change.seq, sql::Blob{packed}}));
  CAUDAL_TRY(database.Execute("DELETE FROM event WHERE run_key=$1", {change.run_key}));
  return database.Execute("DELETE FROM outbox WHERE run_key=$1", {change.run_key});
}

}  // namespace

Status CommitRunChange(sql::Database& database, const RunChange& change) {
  CAUDAL_TRY(AppendEvent(database, change));
  CAUDAL_TRY(SaveTasks(database, change));
  CAUDAL_TRY(SaveCommands(database, change));
  CAUDAL_TRY(SaveInputs(database, change));
  CAUDAL_TRY(SaveAttempt(database, change));
  CAUDAL_TRY(SaveRun(database, change));
  const bool is_final =
      change.delta.run().has_phase() && model::IsFinal(change.delta.run().phase());
  if (is_final || change.seq % kSnapshotEvery == 0) CAUDAL_TRY(SaveSnapshot(database, change));
  return is_final ? FoldEvents(database, change) : Status();
}

Result<int64_t> GetNextKey(sql::Database& database) {
  CAUDAL_ASSIGN(const std::string next, Store::GetMeta(database, "next_key"));
  return next.empty() ? int64_t{1} : std::stoll(next);
}

Status SetNextKey(sql::Database& database, int64_t key) {
  return Store::SetMeta(database, "next_key", std::to_string(key));
}

Result<LoadedRun> LoadRun(sql::Database& database, int64_t run_key,
                          std::shared_ptr<const spec::Plan> plan) {
  LoadedRun loaded{engine::State(plan), 0};
  CAUDAL_TRY(database.Query("SELECT seq, body FROM snapshot WHERE run_key=$1", {run_key},
                            [&](const sql::Row& row) {
                              v1::Snapshot snapshot;
                              snapshot.ParseFromString(row.Text(1));
                              loaded.state = engine::FromSnapshot(plan, std::move(snapshot));
                              loaded.seq = row.Int(0);
                            }));
  Status problem;
  CAUDAL_TRY(database.Query(
      "SELECT seq, body FROM event WHERE run_key=$1 AND seq>$2 ORDER BY seq", {run_key, loaded.seq},
      [&](const sql::Row& row) {
        v1::LogRecord record;
        if (row.Int(0) != loaded.seq + 1 || !record.ParseFromString(row.Text(1))) {
          problem =
              Status(base::Code::kDataLoss, "event log of run " + std::to_string(run_key) +
                                                " breaks after " + std::to_string(loaded.seq));
          return;
        }
        engine::Apply(loaded.state, record.event(), record.delta());
        ++loaded.seq;
      }));
  CAUDAL_TRY(problem);
  if (loaded.seq == 0)
    return base::NotFound("run with key " + std::to_string(run_key) + " not found");
  return loaded;
}

Result<std::vector<v1::LogRecord>> ReadLog(sql::Database& database, int64_t run_key) {
  std::vector<v1::LogRecord> records;
  bool is_sound = true;
  CAUDAL_TRY(database.Query(
      "SELECT body FROM event_archive WHERE run_key=$1 ORDER BY generation", {run_key},
      [&](const sql::Row& row) { is_sound = is_sound && Unpack(row.Text(0), &records); }));
  CAUDAL_TRY(database.Query(
      "SELECT body FROM event WHERE run_key=$1 ORDER BY seq", {run_key}, [&](const sql::Row& row) {
        is_sound = is_sound && records.emplace_back().ParseFromString(row.Text(0));
      }));
  if (!is_sound) {
    return Status(base::Code::kDataLoss,
                  "event log of run " + std::to_string(run_key) + " cannot be read");
  }
  return records;
}

Result<std::vector<int64_t>> ListOpenRuns(sql::Database& database) {
  std::vector<int64_t> keys;
  CAUDAL_TRY(database.Query("SELECT key FROM run WHERE phase IN (1, 2, 5) ORDER BY key", {},
                            [&](const sql::Row& row) { keys.push_back(row.Int(0)); }));
  return keys;
}

Result<std::vector<OutboxEntry>> ListOutbox(sql::Database& database) {
  std::vector<OutboxEntry> entries;
  CAUDAL_TRY(
      database.Query("SELECT run_key, body FROM outbox ORDER BY key", {}, [&](const sql::Row& row) {
        OutboxEntry entry;
        entry.run_key = row.Int(0);
        entry.command.ParseFromString(row.Text(1));
        entries.push_back(std::move(entry));
      }));
  return entries;
}

Result<std::vector<v1::Task>> ListTasks(sql::Database& database, int64_t run_key, int limit) {
  std::vector<v1::Task> tasks;
  CAUDAL_TRY(database.Query("SELECT body FROM task WHERE run_key=$1 ORDER BY task_index LIMIT $2",
                            {run_key, int64_t{limit}}, [&](const sql::Row& row) {
                              tasks.emplace_back().ParseFromString(row.Text(0));
                            }));
  return tasks;
}

Result<TaskLog> FindTaskLog(sql::Database& database, int64_t run_key, const std::string& task_id,
                            int64_t attempt) {
  TaskLog log;
  CAUDAL_TRY(
      database.Query("SELECT a.key, a.ended_at FROM task t JOIN attempt a ON a.run_key=t.run_key"
                     " AND a.task_index=t.task_index WHERE t.task_id=$1 AND t.run_key=$2"
                     " AND ($3=0 OR a.number=$3-1) ORDER BY a.number DESC LIMIT 1",
                     {string_view(task_id), run_key, attempt}, [&](const sql::Row& row) {
                       log.attempt_key = row.Int(0);
                       log.is_final = row.Int(1) != 0;
                     }));
  if (log.attempt_key == 0) {
    return base::NotFound(
        "log of task " + task_id + " not found: " +
        (attempt == 0 ? "no step of it has run" : "it had no attempt " + std::to_string(attempt)));
  }
  return log;
}

Result<bool> IsKnownAttempt(sql::Database& database, int64_t attempt_key) {
  bool known = false;
  CAUDAL_TRY(database.Query("SELECT 1 FROM attempt WHERE key=$1", {attempt_key},
                            [&](const sql::Row&) { known = true; }));
  return known;
}

}  // namespace caudal::store
