#include "base/sha256.h"
#include "base/utf8.h"
#include "base/uuid.h"
#include "service/internal/code_store.h"
#include "service/internal/convert.h"
#include "service/internal/plan_cache.h"
#include "service/internal/submission_check.h"
#include "service/service.h"
#include "spec/parameters.h"
#include "wire/json.h"

// From a request to a run that the orchestrator takes.

namespace caudal::service {

using auth::Resource;
using auth::Verb;
using base::InvalidArgument;
using base::Result;
using base::Status;

namespace {

constexpr size_t kLongestRunId = 191;
constexpr size_t kLongestExperimentId = 64;
constexpr size_t kLongestClient = 512;
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

// What the client said of itself, and what only we can know.
v1::RunOrigin CompleteOrigin(const v1::RunOrigin& given, const store::Run& row,
                             const ml_pipelines::PipelineSpec& pipeline) {
  v1::RunOrigin origin = given;
  origin.set_submitter(row.created_by);
  origin.set_client(row.client);
  origin.set_sdk_version(pipeline.sdk_version());
  if (origin.source_sha256().empty()) origin.set_source_sha256(base::Sha256Hex(row.spec));
  return origin;
}

}  // namespace

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

Result<orchestrator::NewRun> Service::MakeRun(const Caller& caller,
                                              const v1::SubmitRunRequest& request,
                                              Contract contract) {
  const v2beta1::Run& run = request.run();
  orchestrator::NewRun made;
  store::Run& row = made.row;
  const Status source = FindPipelineSource(caller, run, &row);
  if (!source.ok()) return AsInternal(source, "cannot find the pipeline to run");
  auto plan = plans_->Get(row.spec);
  // Faults of a pipeline that came with the request are the client's; a stored one had none once.
  // Upstream answers 13 for either (api.md 3.4.1 step 8).
  if (!plan.ok() && row.is_inline && contract == Contract::kOurs) return plan.status();
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
  row.client = base::ToUtf8(base::Shortened(caller.client, kLongestClient));
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
  *info.mutable_settings() = request.settings();
  if (info.settings().isolation().empty()) {
    info.mutable_settings()->set_isolation(options_.isolation);
  }
  info.set_cache_disabled(options_.no_cache || info.settings().no_cache());
  info.set_flatten_collected(options_.flatten_collected);
  row.submission = {CompleteOrigin(request.origin(), row, pipeline), info.settings()};
  return made;
}

Status Service::CheckSettings(const v1::RunSettings& settings) const {
  CAUDAL_TRY(service::CheckSettings(settings));
  if (settings.isolation() == "sandbox" && !options_.no_sandbox_reason.empty()) {
    return base::FailedPrecondition("this machine cannot make sandboxes: " +
                                    options_.no_sandbox_reason + "; use --isolation process");
  }
  for (const v1::CodeSnapshot& code : settings.code()) {
    if (code_->Has(code.sha256())) continue;
    return base::FailedPrecondition("code " + code.sha256() +
                                    " is not on this server; send it first, with POST "
                                    "/apis/caudal/v1/code?sha256=" +
                                    code.sha256());
  }
  return {};
}

Result<v2beta1::Run> Service::CreateRun(const Caller& caller,
                                        const v2beta1::CreateRunRequest& request) {
  v1::SubmitRunRequest submission;
  *submission.mutable_run() = request.run();
  return Submit(caller, submission, Contract::kUpstream);
}

Result<v2beta1::Run> Service::SubmitRun(const Caller& caller, const v1::SubmitRunRequest& request) {
  return Submit(caller, request, Contract::kOurs);
}

Result<v2beta1::Run> Service::Submit(const Caller& caller, const v1::SubmitRunRequest& request,
                                     Contract contract) {
  const v2beta1::Run& asked = request.run();
  CAUDAL_TRY(CheckRequest(asked));
  CAUDAL_TRY(CheckOrigin(request.origin()));
  CAUDAL_TRY(CheckSettings(request.settings()));
  const std::string experiment_id =
      asked.experiment_id().empty() ? default_experiment_id_ : asked.experiment_id();
  CAUDAL_ASSIGN(const store::Experiment experiment,
                LoadExperiment(caller, experiment_id, Verb::kGet));
  CAUDAL_TRY(auth::Authorize(caller.principal, {Verb::kCreate, Resource::kRun},
                             experiment.name_space, caller.principal.name));
  CAUDAL_ASSIGN(orchestrator::NewRun made, MakeRun(caller, request, contract));
  made.row.experiment_id = experiment.id;
  made.row.name_space = experiment.name_space;
  made.info.set_namespace_(experiment.name_space);
  v2beta1::Run created = ToProto(made.row);
  CAUDAL_TRY(orchestrator_.CreateRun(std::move(made)).status());
  return created;
}

}  // namespace caudal::service
