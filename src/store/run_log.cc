#include "store/run_log.h"

#include <string>

#include "model/task.h"
#include "store/internal/cache_entries.h"
#include "store/internal/event_log.h"
#include "store/internal/lineage.h"
#include "store/internal/task_rows.h"
#include "store/store.h"

namespace caudal::store {
namespace {

using base::Result;
using base::Status;
using std::string_view;

/// The changes of one run, in order.
using Changes = std::vector<const RunChange*>;

// v2beta1 names of the run's phase; a canceled run shows as FAILED, which clients' waits
// understand.
string_view StateOf(v1::RunPhase phase) {
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

bool EndsRun(const RunChange& change) {
  return change.delta.run().has_phase() && model::IsFinal(change.delta.run().phase());
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
  return database.Execute("DELETE FROM outbox WHERE attempt_key=$1", {outcome.attempt_key()});
}

// Each phase leaves its mark, also one that the same turn goes on from.
Status SavePhase(sql::Database& database, const RunChange& change) {
  if (!change.delta.run().has_phase()) return {};
  const string_view state = StateOf(change.delta.run().phase());
  const std::string entry = ";" + std::to_string(change.event.at()) + ":" + std::string(state);
  CAUDAL_TRY(database.Execute(
      "UPDATE run SET state=$1, state_history=state_history || $2 WHERE key=$3 AND state<>$1",
      {state, string_view(entry), change.run_key}));
  if (!EndsRun(change)) return {};
  return database.Execute("DELETE FROM outbox WHERE run_key=$1", {change.run_key});
}

Status SaveRun(sql::Database& database, const Changes& changes) {
  const RunChange& last = *changes.back();
  bool has_run = false;
  for (const RunChange* change : changes) {
    has_run = has_run || change->delta.has_run() || change->event.has_run_created();
  }
  if (!has_run) {
    return database.Execute("UPDATE run SET seq=$1 WHERE key=$2", {last.seq, last.run_key});
  }
  const v1::Run& run = last.after->run();
  CAUDAL_TRY(database.Execute(
      "UPDATE run SET seq=$1, phase=$2, error=$3, finished_at=$4, generation=$5 WHERE key=$6",
      {last.seq, int64_t{run.phase()}, string_view(run.error()),
       model::IsFinal(run.phase()) ? run.ended_at() : int64_t{0}, int64_t{run.generation()},
       last.run_key}));
  const std::string body = run.SerializeAsString();
  CAUDAL_TRY(database.Execute("UPDATE run_state SET body=$1 WHERE run_key=$2",
                              {sql::Blob{body}, last.run_key}));
  if (database.Changes() > 0) return {};
  const std::string info = last.after->info().SerializeAsString();
  return database.Execute("INSERT INTO run_state(run_key, info, body) VALUES($1,$2,$3)",
                          {last.run_key, sql::Blob{info}, sql::Blob{body}});
}

Status Fold(sql::Database& database, const Changes& changes) {
  const int64_t first = changes.front()->seq;
  const RunChange& last = *changes.back();
  const bool is_due = last.seq / kFoldEvery > (first - 1) / kFoldEvery;
  if (!is_due && !model::IsFinal(last.after->run().phase())) return {};
  return FoldEvents(database, last.run_key);
}

}  // namespace

Status CommitRunChanges(sql::Database& database, std::span<const RunChange> changes) {
  if (changes.empty()) return {};
  CAUDAL_TRY(AppendEvents(database, changes));
  std::map<int64_t, Changes> runs;
  for (const RunChange& change : changes) {
    runs[change.run_key].push_back(&change);
    CAUDAL_TRY(SaveCommands(database, change));
    CAUDAL_TRY(SaveAttempt(database, change));
    CAUDAL_TRY(SaveLineage(database, change));
    CAUDAL_TRY(SaveCacheEntries(database, change));
    CAUDAL_TRY(SavePhase(database, change));
  }
  for (const auto& [run_key, of_run] : runs) {
    CAUDAL_TRY(SaveTasks(database, of_run));
    CAUDAL_TRY(SaveRun(database, of_run));
    CAUDAL_TRY(Fold(database, of_run));
  }
  return {};
}

Status CommitRunChange(sql::Database& database, const RunChange& change) {
  return CommitRunChanges(database, {&change, 1});
}

Result<int64_t> GetNextKey(sql::Database& database) {
  CAUDAL_ASSIGN(const std::string next, Store::GetMeta(database, "next_key"));
  return next.empty() ? int64_t{1} : std::stoll(next);
}

Status SetNextKey(sql::Database& database, int64_t key) {
  return Store::SetMeta(database, "next_key", std::to_string(key));
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

Result<bool> IsKnownAttempt(sql::Database& database, int64_t attempt_key) {
  bool known = false;
  // The second condition is the index's own, without which it is not used.
  CAUDAL_TRY(
      database.Query("SELECT 1 FROM attempt WHERE key=$1"
                     " UNION ALL SELECT 1 FROM artifact WHERE attempt_key=$1 AND attempt_key<>0",
                     {attempt_key}, [&](const sql::Row&) { known = true; }));
  return known;
}

}  // namespace caudal::store
