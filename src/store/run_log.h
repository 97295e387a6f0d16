#pragma once

/// A run's history: events with their deltas, snapshots, outbox, and the read model that follows
/// them in the same transaction.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "caudal/v1/engine.pb.h"
#include "engine/state.h"
#include "sql/database.h"
#include "store/rows.h"

namespace caudal::store {

/// Events between two snapshots.
inline constexpr int64_t kSnapshotEvery = 1000;

/// One step of one run, to be committed.
struct RunChange {
  int64_t run_key = 0;
  int64_t seq = 0;  ///< of the event; the first is 1
  v1::Event event;
  v1::Delta delta;
  const engine::State* after = nullptr;  ///< state with the delta applied (or a later one)
};

/// Appends the event, and brings tasks, attempts, artifacts, objects, outbox and the run's row up
/// to date. When the run ends, its events fold into one compressed row. Errors: kAborted when `seq`
/// is taken (somebody else drove the run).
base::Status CommitRunChange(sql::Database& database, const RunChange& change);

/// Keys from here on are free; kept with every commit that used some.
base::Result<int64_t> GetNextKey(sql::Database& database);
base::Status SetNextKey(sql::Database& database, int64_t key);

/// A run as it stood when the server last committed.
struct LoadedRun {
  engine::State state;
  int64_t seq;
};

/// Snapshot plus the deltas after it; decides nothing. Errors: kNotFound, kDataLoss when the log
/// has a hole.
base::Result<LoadedRun> LoadRun(sql::Database& database, int64_t run_key,
                                std::shared_ptr<const spec::Plan> plan);

/// The whole history of a run in order, folded or not. Errors: kDataLoss for a log that cannot be
/// read.
base::Result<std::vector<v1::LogRecord>> ReadLog(sql::Database& database, int64_t run_key);

/// Keys of runs that are not final, oldest first.
base::Result<std::vector<int64_t>> ListOpenRuns(sql::Database& database);

struct OutboxEntry {
  int64_t run_key = 0;
  v1::Command command;
};
/// What was commanded and is not known to be done, in order.
base::Result<std::vector<OutboxEntry>> ListOutbox(sql::Database& database);

/// The read model of a run, by index, at most `limit`.
base::Result<std::vector<v1::Task>> ListTasks(sql::Database& database, int64_t run_key, int limit);
/// Where an attempt of a task logs to, counted from 1 (0: the newest); kNotFound when the run has
/// no such task or attempt.
struct TaskLog {
  int64_t attempt_key = 0;
  bool is_final = false;
};
base::Result<TaskLog> FindTaskLog(sql::Database& database, int64_t run_key,
                                  const std::string& task_id, int64_t attempt = 0);

/// Blob directories ("<xx>/<attempt key>") whose attempts the database knows; used to sweep the
/// rest.
base::Result<bool> IsKnownAttempt(sql::Database& database, int64_t attempt_key);

}  // namespace caudal::store
