#pragma once

/// A run's history and present: events with their deltas, task rows that are its state, and the
/// outbox, all brought up to date in one transaction.

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "caudal/v1/engine.pb.h"
#include "engine/state.h"
#include "sql/database.h"
#include "store/rows.h"

namespace caudal::store {

/// At most this many events of a run lie unfolded.
inline constexpr int64_t kFoldEvery = 1000;

/// One step of one run, to be committed.
struct RunChange {
  int64_t run_key = 0;
  int64_t seq = 0;  ///< of the event; the first is 1
  v1::Event event;
  v1::Delta delta;
  const engine::State* after = nullptr;  ///< state with the delta applied (or a later one)
};

/// Appends the events of a turn, of one run or several, and brings tasks, attempts, artifacts,
/// objects, cache entries, outbox and the runs' rows up to date. Changes of one run are in order,
/// without a gap, and end in the same `after`; each task is written once, however often it changed.
/// Errors: kAborted when a `seq` is taken (somebody else drove the run).
base::Status CommitRunChanges(sql::Database& database, std::span<const RunChange> changes);
/// The same for one.
base::Status CommitRunChange(sql::Database& database, const RunChange& change);

/// Keys from here on are free; kept with every commit that used some.
base::Result<int64_t> GetNextKey(sql::Database& database);
base::Status SetNextKey(sql::Database& database, int64_t key);

/// A run as it stood when the server last committed.
struct LoadedRun {
  engine::State state;
  int64_t seq;
};

/// Reads the rows; decides and applies nothing. Ended runs too. Errors: kNotFound, kDataLoss when a
/// task is missing or cannot be read.
base::Result<LoadedRun> LoadRun(sql::Database& database, int64_t run_key,
                                std::shared_ptr<const spec::Plan> plan);

/// The whole history of a run in order, folded or not. Errors: kDataLoss for a log with a hole or
/// that cannot be read.
base::Result<std::vector<v1::LogRecord>> ReadLog(sql::Database& database, int64_t run_key);

/// Keys of runs that are not final, oldest first.
base::Result<std::vector<int64_t>> ListOpenRuns(sql::Database& database);

struct OutboxEntry {
  int64_t run_key = 0;
  v1::Command command;
};
/// What was commanded and is not known to be done, in order.
base::Result<std::vector<OutboxEntry>> ListOutbox(sql::Database& database);

/// The tasks of a run, by index, at most `limit`. Errors: kDataLoss.
base::Result<std::vector<v1::Task>> ListTasks(sql::Database& database, int64_t run_key, int limit);
/// The same from index `first` on.
base::Result<std::vector<v1::Task>> ListTasksFrom(sql::Database& database, int64_t run_key,
                                                  int first, int limit);
/// Those that changed after event `after_seq`, by index: at most `limit`, the earliest changes
/// first. A caller who got `limit` asks again from the start, or takes them as cut off.
base::Result<std::vector<v1::Task>> ListTasksSince(sql::Database& database, int64_t run_key,
                                                   int64_t after_seq, int limit);
/// Some tasks, by index, together with all that enclose them: of those the body only,
/// without inputs and outputs; the root is whole. Errors: kDataLoss.
base::Result<std::vector<v1::Task>> AddEnclosingTasks(sql::Database& database, int64_t run_key,
                                                      std::vector<v1::Task> tasks);
/// How many tasks are in which state. States without a task are absent.
base::Result<std::map<v1::TaskState, int64_t>> CountTasks(sql::Database& database, int64_t run_key);

/// Where an attempt of a task logs to, counted from 1 (0: the newest); kNotFound when the run has
/// no such task or attempt.
struct TaskLog {
  int64_t attempt_key = 0;
  bool is_final = false;
};
base::Result<TaskLog> FindTaskLog(sql::Database& database, int64_t run_key,
                                  const std::string& task_id, int64_t attempt = 0);

/// Whether an attempt, or an artifact whose bytes it wrote, is still known; used to sweep blob
/// directories ("<xx>/<attempt key>").
base::Result<bool> IsKnownAttempt(sql::Database& database, int64_t attempt_key);

}  // namespace caudal::store
