#include <algorithm>
#include <cctype>

#include "base/sha256.h"
#include "base/uuid.h"
#include "engine/attempt.h"
#include "model/task.h"
#include "service/internal/convert.h"
#include "service/internal/plan_cache.h"
#include "service/service.h"
#include "spec/parameters.h"
#include "store/list.h"
#include "wire/json.h"

namespace caudal::service {

using auth::Resource;
using auth::Verb;
using base::InvalidArgument;
using base::Result;
using base::Status;

namespace {

constexpr size_t kLongestRunId = 191;
constexpr size_t kLongestExperimentId = 64;
constexpr int kMostTaskDetails = 5000;
constexpr int kMostReportTasks = 100'000;
constexpr int kLongestWaitMillis = 30'000;
// Who waits holds a thread. Half of a transport's may be held long; beyond that waits are short, so
// that all other calls still get their turn.
constexpr int kMostLongWaiters = 16;
constexpr int kShortWaitMillis = 100;
constexpr char kServiceAccount[] = "pipeline-runner";
constexpr char kDefaultRoot[] = "minio://mlpipeline/v2/artifacts";
// Namespace of ids of runs that a schedule starts (api.md 3.4.1, step 9).
constexpr char kScheduledRunNamespace[] = "c2f3a9d4-1e6b-4c8a-9f7d-0b5e3a1c2d4f";

// Upstream wraps these in its internal error, and clients know them so.
Status AsInternal(Status status, const std::string& context) {
  return std::move(status).With(context).WithCode(base::Code::kInternal);
}

// "minio://bucket/prefix?query": scheme, bucket, then anything (execution.md 3.6).
Status CheckPipelineRoot(const std::string& root) {
  const size_t colon = root.find("://");
  const std::string scheme = root.substr(0, colon == std::string::npos ? 0 : colon);
  const bool known = scheme == "minio" || scheme == "s3" || scheme == "gs" || scheme == "mem";
  const size_t bucket = colon + 3;
  const bool has_bucket = colon != std::string::npos && bucket < root.size() &&
                          root[bucket] != '/' && root[bucket] != '?';
  const bool climbs = ("/" + root + "/").find("/../") != std::string::npos;
  if (known && has_bucket && !climbs) return {};
  return InvalidArgument("pipeline root \"" + root +
                         "\" is not of the form minio://bucket/prefix, s3://… or gs://…");
}

// "<pipeline name>-<5 letters>", the name of the run's object upstream.
std::string ResourceName(const std::string& pipeline_name, const std::string& run_id) {
  const std::string last = pipeline_name.substr(pipeline_name.rfind('/') + 1);
  return last + "-" + base::Sha256Hex(run_id).substr(0, 5);
}

std::string ChooseRunId(const v2beta1::Run& run) {
  if (!run.run_id().empty()) return run.run_id();
  if (run.recurring_run_id().empty()) return base::NewUuid4();
  return base::Uuid5(kScheduledRunNamespace, run.recurring_run_id() + "/" + run.display_name());
}

Status CheckRequest(const v2beta1::Run& run) {
  if (!run.plugins_output().empty()) {
    return base::Aborted("plugins_output is set by the server; leave it out");
  }
  if (run.display_name().empty()) return base::Internal("run has no display_name; give it one");
  if (run.run_id().size() > kLongestRunId) {
    return base::Internal("run_id is longer than 191 bytes");
  }
  if (run.experiment_id().size() > kLongestExperimentId) {
    return base::Internal("experiment_id is longer than 64 bytes");
  }
  return {};
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

// Fills what the run executes. Errors are the ones of the source; the caller makes them internal.
Status Service::FindPipelineSource(const Caller& caller, const v2beta1::Run& run, store::Run* row) {
  if (run.has_pipeline_spec()) {
    row->spec = wire::ToJson(run.pipeline_spec(), wire::FieldNames::kCamelCase);
    row->is_inline = true;
    return {};
  }
  const v2beta1::PipelineVersionReference& reference = run.pipeline_version_reference();
  store::PipelineVersion version;
  if (!reference.pipeline_version_id().empty()) {
    CAUDAL_ASSIGN(version, LoadVersion(caller, reference.pipeline_version_id(), Verb::kGet));
    if (!reference.pipeline_id().empty() && reference.pipeline_id() != version.pipeline_id) {
      return InvalidArgument("pipeline version " + version.id + " belongs to pipeline " +
                             version.pipeline_id + ", not to " + reference.pipeline_id());
    }
  } else if (!reference.pipeline_id().empty()) {
    CAUDAL_ASSIGN(const store::Pipeline pipeline,
                  LoadPipeline(caller, reference.pipeline_id(), Verb::kGet));
    CAUDAL_TRY(store_.Read([&](sql::Database& database) -> Status {
      CAUDAL_ASSIGN(version, store::GetLatestVersion(database, pipeline.key));
      return {};
    }));
  } else {
    return InvalidArgument(
        "run names no pipeline; give a pipeline_spec or a pipeline_version_reference");
  }
  row->pipeline_id = version.pipeline_id;
  row->pipeline_version_id = version.id;
  row->spec = version.spec;
  return {};
}

Result<orchestrator::NewRun> Service::MakeRun(const Caller& caller, const v2beta1::Run& run) {
  orchestrator::NewRun made;
  store::Run& row = made.row;
  const Status source = FindPipelineSource(caller, run, &row);
  if (!source.ok()) return AsInternal(source, "cannot find the pipeline to run");
  auto plan = plans_->Get(row.spec);
  if (!plan.ok()) return AsInternal(plan.status(), "cannot read the pipeline to run");
  made.plan = *plan;
  CAUDAL_TRY(base::FaultsToStatus(spec::FindUnsupported(*made.plan)));

  const base::Time now = clock_.Now();
  const int64_t micros = base::ToMicros(now);
  row.id = ChooseRunId(run);
  row.display_name = run.display_name();
  row.description = run.description();
  row.service_account = run.service_account().empty() ? kServiceAccount : run.service_account();
  row.created_at = micros;
  row.scheduled_at = run.has_scheduled_at() ? run.scheduled_at().seconds() * 1'000'000 : micros;
  row.recurring_run_id = run.recurring_run_id();
  row.phase = v1::RUN_PENDING;
  row.state_history = std::to_string(micros) + ":PENDING";
  row.created_by = caller.principal.name;
  row.client = caller.client;
  const v2beta1::RuntimeConfig& config = run.runtime_config();
  if (!config.parameters().empty() || !config.pipeline_root().empty()) {
    row.runtime_config = wire::ToJson(config, wire::FieldNames::kSnakeCase);
  }

  const spec::MacroSource macros{row.id, now, run.has_scheduled_at(),
                                 base::TimeFromMicros(row.scheduled_at)};
  const spec::Values given(config.parameters().begin(), config.parameters().end());
  CAUDAL_ASSIGN(const spec::Values values, spec::PrepareParameters(*made.plan, given, macros));
  const auto& pipeline = made.plan->package.pipeline;
  v1::RunInfo& info = made.info;
  info.set_run_id(row.id);
  info.set_display_name(row.display_name);
  info.set_pipeline_name(pipeline.pipeline_info().name());
  info.set_resource_name(ResourceName(info.pipeline_name(), row.id));
  info.set_pipeline_root(!config.pipeline_root().empty() ? config.pipeline_root()
                         : !pipeline.default_pipeline_root().empty()
                             ? pipeline.default_pipeline_root()
                             : kDefaultRoot);
  CAUDAL_TRY(CheckPipelineRoot(info.pipeline_root()));
  info.set_created_at(row.created_at);
  info.set_scheduled_at(row.scheduled_at);
  info.mutable_parameters()->insert(values.begin(), values.end());
  info.mutable_settings()->set_isolation(options_.isolation);
  return made;
}

Result<v2beta1::Run> Service::CreateRun(const Caller& caller,
                                        const v2beta1::CreateRunRequest& request) {
  const v2beta1::Run& asked = request.run();
  CAUDAL_TRY(CheckRequest(asked));
  const std::string experiment_id =
      asked.experiment_id().empty() ? default_experiment_id_ : asked.experiment_id();
  CAUDAL_ASSIGN(const store::Experiment experiment,
                LoadExperiment(caller, experiment_id, Verb::kGet));
  CAUDAL_TRY(auth::Authorize(caller.principal, {Verb::kCreate, Resource::kRun},
                             experiment.name_space, caller.principal.name));
  CAUDAL_ASSIGN(orchestrator::NewRun made, MakeRun(caller, asked));
  made.row.experiment_id = experiment.id;
  made.row.name_space = experiment.name_space;
  v2beta1::Run created = ToProto(made.row);
  CAUDAL_TRY(orchestrator_.CreateRun(std::move(made)).status());
  return created;
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
  WaitForChange(row, request);
  // Row and tasks from one snapshot of the database.
  v1::RunReport report;
  CAUDAL_TRY(store_.Read([&](sql::Database& database) -> Status {
    return database.InReadTransaction([&]() -> Status {
      CAUDAL_ASSIGN(row, store::GetRun(database, request.run_id()));
      CAUDAL_ASSIGN(const auto tasks, store::ListTasks(database, row.key, kMostReportTasks));
      report = ToReport(row, tasks, options_.data_dir);
      return {};
    });
  }));
  return report;
}

Result<LogSource> Service::OpenLog(const Caller& caller, const std::string& run_id,
                                   const std::string& node_id) {
  CAUDAL_ASSIGN(const store::Run row, LoadRun(caller, run_id, Verb::kReadLog));
  const int64_t run_key = row.key;
  const auto find = [this, run_key, node_id]() -> Result<store::TaskLog> {
    store::TaskLog log;
    CAUDAL_TRY(store_.Read([&](sql::Database& database) -> Status {
      CAUDAL_ASSIGN(log, store::FindTaskLog(database, run_key, node_id));
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
