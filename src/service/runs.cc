#include <algorithm>
#include <cctype>
#include <unordered_set>

#include "base/sha256.h"
#include "base/uuid.h"
#include "engine/attempt.h"
#include "model/task.h"
#include "service/internal/convert.h"
#include "service/internal/plan_cache.h"
#include "service/internal/report.h"
#include "service/service.h"
#include "spec/parameters.h"
#include "store/list.h"
#include "store/run_log.h"
#include "wire/json.h"

namespace caudal::service {

using auth::Resource;
using auth::Verb;
using base::InvalidArgument;
using base::Result;
using base::Status;

namespace {

constexpr int kMostTaskDetails = 5000;
constexpr int kLongestWaitMillis = 30'000;
// Who waits holds a thread. Half of a transport's may be held long; beyond that waits are short, so
// that all other calls still get their turn.
constexpr int kMostLongWaiters = 16;
constexpr int kShortWaitMillis = 100;

/// The tasks that a report shall list, with those that enclose them.
struct AskedTasks {
  std::vector<v1::Task> tasks;
  std::unordered_set<int> indexes;  // of those to be listed, where that is not all
  bool are_all = false;
  int next = 0;  // where the next page begins

  bool Has(const v1::Task& task) const { return are_all || indexes.count(task.index()) > 0; }
};

Result<AskedTasks> ReadTasks(sql::Database& database, int64_t run_key,
                             const v1::GetRunReportRequest& request) {
  AskedTasks asked;
  const int page = std::min(request.most_tasks(), kMostReportTasks);
  if (request.changes_only()) {
    CAUDAL_ASSIGN(asked.tasks, store::ListTasksSince(database, run_key, request.after_sequence(),
                                                     kMostReportTasks));
  } else if (page > 0) {
    const int first = std::max(request.first_task(), 0);
    CAUDAL_ASSIGN(asked.tasks, store::ListTasksFrom(database, run_key, first, page));
    const bool is_full = asked.tasks.size() == static_cast<size_t>(page);
    if (is_full) asked.next = asked.tasks.back().index() + 1;
  } else {
    asked.are_all = true;
    CAUDAL_ASSIGN(asked.tasks, store::ListTasks(database, run_key, kMostReportTasks));
    return asked;
  }
  for (const v1::Task& task : asked.tasks) asked.indexes.insert(task.index());
  CAUDAL_ASSIGN(asked.tasks, store::AddEnclosingTasks(database, run_key, std::move(asked.tasks)));
  return asked;
}

}  // namespace

Result<store::Run> Service::LoadRun(const Caller& caller, const std::string& run_id, Verb verb) {
  store::Run row;
  CAUDAL_TRY(store_.Read([&](sql::Database& database) -> Status {
    CAUDAL_ASSIGN(row, store::GetRun(database, run_id));
    return {};
  }));
  CAUDAL_TRY(
      auth::Authorize(caller.principal, {verb, Resource::kRun}, row.name_space, row.created_by));
  return row;
}

Result<v2beta1::Run> Service::GetRun(const Caller& caller, const v2beta1::GetRunRequest& request) {
  CAUDAL_ASSIGN(store::Run row, LoadRun(caller, request.run_id(), Verb::kGet));
  // As upstream: no details before the first report.
  if (row.phase == v1::RUN_PENDING) return ToProto(row);
  // Row and tasks from one snapshot of the database.
  std::vector<v1::Task> tasks;
  CAUDAL_TRY(store_.Read([&](sql::Database& database) -> Status {
    return database.InReadTransaction([&]() -> Status {
      CAUDAL_ASSIGN(row, store::GetRunByKey(database, row.key));
      CAUDAL_ASSIGN(tasks, store::ListTasks(database, row.key, kMostTaskDetails + 1));
      return {};
    });
  }));
  v2beta1::Run run = ToProto(row);
  CAUDAL_ASSIGN(const auto plan, plans_->Get(row.spec));
  *run.mutable_run_details() = ToRunDetails(row, tasks, *plan);
  return run;
}

Result<v2beta1::ListRunsResponse> Service::ListRuns(const Caller& caller,
                                                    const v2beta1::ListRunsRequest& request) {
  CAUDAL_TRY(auth::Authorize(caller.principal, {Verb::kList, Resource::kRun}, "", ""));
  if (!request.experiment_id().empty()) {
    CAUDAL_TRY(LoadExperiment(caller, request.experiment_id(), Verb::kGet).status());
  }
  v2beta1::ListRunsResponse response;
  CAUDAL_TRY(store_.Read([&](sql::Database& database) -> Status {
    const store::ListRequest list{request.page_token(),
                                  request.page_size(),
                                  request.sort_by(),
                                  request.filter(),
                                  "",
                                  request.experiment_id(),
                                  0};
    CAUDAL_ASSIGN(const auto page, store::ListRuns(database, list, store_.secret()));
    for (const store::Run& row : page.rows) *response.add_runs() = ToProto(row);
    response.set_next_page_token(page.next_page_token);
    response.set_total_size(page.total_size);
    return {};
  }));
  return response;
}

Status Service::ArchiveRun(const Caller& caller, const v2beta1::ArchiveRunRequest& request) {
  CAUDAL_TRY(LoadRun(caller, request.run_id(), Verb::kArchive).status());
  return store_.Write([&](sql::Database& database) {
    return store::SetRunStorageState(database, request.run_id(), store::kArchived);
  });
}

Status Service::UnarchiveRun(const Caller& caller, const v2beta1::UnarchiveRunRequest& request) {
  CAUDAL_ASSIGN(const store::Run row, LoadRun(caller, request.run_id(), Verb::kArchive));
  CAUDAL_ASSIGN(const store::Experiment experiment,
                LoadExperiment(caller, row.experiment_id, Verb::kGet));
  if (experiment.storage_state == store::kArchived) {
    return base::FailedPrecondition("experiment '" + experiment.name +
                                    "' is archived; unarchive it first");
  }
  return store_.Write([&](sql::Database& database) {
    return store::SetRunStorageState(database, row.id, store::kAvailable);
  });
}

Status Service::DeleteRun(const Caller& caller, const v2beta1::DeleteRunRequest& request) {
  CAUDAL_ASSIGN(const store::Run row, LoadRun(caller, request.run_id(), Verb::kDelete));
  return orchestrator_.DeleteRun(row.key);
}

Status Service::Terminate(const Caller& caller, const std::string& run_id, bool now) {
  CAUDAL_ASSIGN(const store::Run row, LoadRun(caller, run_id, Verb::kTerminate));
  const auto phase = static_cast<v1::RunPhase>(row.phase);
  const bool hurries = now && phase == v1::RUN_CANCELING;
  if (model::IsFinal(phase) || (phase == v1::RUN_CANCELING && !hurries)) {
    return InvalidArgument("run " + run_id + " cannot be terminated: its state is " + row.state);
  }
  Status asked = orchestrator_.Terminate(row.key, caller.principal.name, now);
  // It has ended since: the same answer as above.
  const bool has_ended = asked.code() == base::Code::kFailedPrecondition;
  return has_ended ? std::move(asked).WithCode(base::Code::kInvalidArgument) : asked;
}

Status Service::Retry(const Caller& caller, const std::string& run_id) {
  CAUDAL_ASSIGN(const store::Run row, LoadRun(caller, run_id, Verb::kRetry));
  const auto phase = static_cast<v1::RunPhase>(row.phase);
  if (phase != v1::RUN_FAILED && phase != v1::RUN_CANCELED) {
    return base::Aborted("run " + run_id + " cannot be retried: its state is " + row.state +
                         ", and only what failed is done again");
  }
  Status asked = orchestrator_.Retry(row.key, caller.principal.name);
  // Somebody else was faster: the same answer as above.
  const bool goes_on = asked.code() == base::Code::kFailedPrecondition;
  return goes_on ? std::move(asked).WithCode(base::Code::kAborted) : asked;
}

Status Service::RetryRun(const Caller& caller, const v2beta1::RetryRunRequest& request) {
  return Retry(caller, request.run_id());
}

Status Service::RetryRun(const Caller& caller, const v1::RetryRunRequest& request) {
  return Retry(caller, request.run_id());
}

Status Service::TerminateRun(const Caller& caller, const v2beta1::TerminateRunRequest& request) {
  return Terminate(caller, request.run_id(), false);
}

Status Service::CancelRun(const Caller& caller, const v1::CancelRunRequest& request) {
  return Terminate(caller, request.run_id(), request.now());
}

void Service::WaitForChange(const store::Run& row, const v1::GetRunReportRequest& request) {
  const bool is_final = model::IsFinal(static_cast<v1::RunPhase>(row.phase));
  if (request.wait_millis() <= 0 || is_final || row.seq > request.after_sequence()) return;
  const bool is_crowded = ++waiters_ > kMostLongWaiters;
  const int longest = is_crowded ? kShortWaitMillis : kLongestWaitMillis;
  orchestrator_.WaitForChange(row.key, request.after_sequence(),
                              std::chrono::milliseconds(std::min(request.wait_millis(), longest)));
  --waiters_;
}

Result<v1::RunReport> Service::GetRunReport(const Caller& caller,
                                            const v1::GetRunReportRequest& request) {
  CAUDAL_ASSIGN(store::Run row, LoadRun(caller, request.run_id(), Verb::kGet));
  CAUDAL_ASSIGN(const auto plan, plans_->Get(row.spec));
  WaitForChange(row, request);
  // Row and tasks from one snapshot of the database.
  v1::RunReport report;
  CAUDAL_TRY(store_.Read([&](sql::Database& database) -> Status {
    return database.InReadTransaction([&]() -> Status {
      CAUDAL_ASSIGN(row, store::GetRun(database, request.run_id()));
      CAUDAL_ASSIGN(const store::Submission submission, store::GetSubmission(database, row.key));
      CAUDAL_ASSIGN(const AskedTasks asked, ReadTasks(database, row.key, request));
      report = ToReport(row, asked.tasks, *plan, submission, options_.data_dir,
                        [&](const v1::Task& task) { return asked.Has(task); });
      report.set_next_task(asked.next);
      return {};
    });
  }));
  return report;
}

Result<LogSource> Service::OpenLog(const Caller& caller, const std::string& run_id,
                                   const std::string& node_id, int64_t attempt) {
  CAUDAL_ASSIGN(const store::Run row, LoadRun(caller, run_id, Verb::kReadLog));
  const int64_t run_key = row.key;
  const auto find = [this, run_key, node_id, attempt]() -> Result<store::TaskLog> {
    store::TaskLog log;
    CAUDAL_TRY(store_.Read([&](sql::Database& database) -> Status {
      CAUDAL_ASSIGN(log, store::FindTaskLog(database, run_key, node_id, attempt));
      return {};
    }));
    return log;
  };
  CAUDAL_ASSIGN(const store::TaskLog log, find());
  LogSource source;
  source.path = options_.data_dir + "/" + engine::LogPath(log.attempt_key);
  source.is_complete = [find, log] {
    if (log.is_final) return true;
    const auto now = find();
    // A newer attempt writes a log of its own: this one has ended.
    return !now.ok() || now->is_final || now->attempt_key != log.attempt_key;
  };
  return source;
}

}  // namespace caudal::service
