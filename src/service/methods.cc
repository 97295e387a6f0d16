#include "service/internal/convert.h"
#include "service/service.h"

namespace caudal::service {
namespace {

using auth::Resource;
using auth::Verb;
using base::Result;
using base::Status;

/// Makes a table entry from a member function that returns a message.
template <typename Request, typename Response>
Method Entry(const google::protobuf::ServiceDescriptor* service, const char* name,
             auth::Permission permission, Service* self,
             Result<Response> (Service::*function)(const Caller&, const Request&)) {
  const auto call = [self, function](const Caller& caller,
                                     const google::protobuf::Message& request) -> Result<Reply> {
    auto response = (self->*function)(caller, static_cast<const Request&>(request));
    if (!response.ok()) return response.status();
    return Reply(std::make_unique<Response>(*std::move(response)));
  };
  return {service->FindMethodByName(name), permission, call};
}

/// The same for one that returns nothing but success.
template <typename Request>
Method Entry(const google::protobuf::ServiceDescriptor* service, const char* name,
             auth::Permission permission, Service* self,
             Status (Service::*function)(const Caller&, const Request&)) {
  const auto call = [self, function](const Caller& caller,
                                     const google::protobuf::Message& request) -> Result<Reply> {
    CAUDAL_TRY((self->*function)(caller, static_cast<const Request&>(request)));
    return Reply(std::make_unique<google::protobuf::Empty>());
  };
  return {service->FindMethodByName(name), permission, call};
}

Method WithSecrets(Method method) {
  method.takes_secrets = true;
  return method;
}

const google::protobuf::ServiceDescriptor* ServiceOf(const google::protobuf::FileDescriptor* file,
                                                     const char* name) {
  return file->FindServiceByName(name);
}

}  // namespace

MethodTable Service::Methods() {
  const auto* experiments =
      ServiceOf(v2beta1::Experiment::descriptor()->file(), "ExperimentService");
  const auto* pipelines = ServiceOf(v2beta1::Pipeline::descriptor()->file(), "PipelineService");
  const auto* runs = ServiceOf(v2beta1::Run::descriptor()->file(), "RunService");
  const auto* reports = ServiceOf(v1::RunReport::descriptor()->file(), "CaudalRunService");
  const auto* environments =
      ServiceOf(v1::PythonEnvironment::descriptor()->file(), "CaudalEnvironmentService");
  const auto* vault = ServiceOf(v1::KeySet::descriptor()->file(), "CaudalSecretService");
  const auto* cache = ServiceOf(v1::CacheEntry::descriptor()->file(), "CaudalCacheService");
  const auto experiment = [](Verb verb) { return auth::Permission{verb, Resource::kExperiment}; };
  const auto pipeline = [](Verb verb) { return auth::Permission{verb, Resource::kPipeline}; };
  const auto version = [](Verb verb) { return auth::Permission{verb, Resource::kPipelineVersion}; };
  const auto run = [](Verb verb) { return auth::Permission{verb, Resource::kRun}; };
  const auto environment = [](Verb verb) { return auth::Permission{verb, Resource::kEnvironment}; };
  const auto secret = [](Verb verb) { return auth::Permission{verb, Resource::kSecret}; };
  const auto config_map = [](Verb verb) { return auth::Permission{verb, Resource::kConfigMap}; };
  const auto entry = [](Verb verb) { return auth::Permission{verb, Resource::kCacheEntry}; };
  using S = Service;
  return {
      Entry(experiments, "CreateExperiment", experiment(Verb::kCreate), this, &S::CreateExperiment),
      Entry(experiments, "GetExperiment", experiment(Verb::kGet), this, &S::GetExperiment),
      Entry(experiments, "ListExperiments", experiment(Verb::kList), this, &S::ListExperiments),
      Entry(experiments, "ArchiveExperiment", experiment(Verb::kArchive), this,
            &S::ArchiveExperiment),
      Entry(experiments, "UnarchiveExperiment", experiment(Verb::kArchive), this,
            &S::UnarchiveExperiment),
      Entry(experiments, "DeleteExperiment", experiment(Verb::kDelete), this, &S::DeleteExperiment),
      Entry(pipelines, "CreatePipeline", pipeline(Verb::kCreate), this, &S::CreatePipeline),
      Entry(pipelines, "GetPipeline", pipeline(Verb::kGet), this, &S::GetPipeline),
      Entry(pipelines, "GetPipelineByName", pipeline(Verb::kGet), this, &S::GetPipelineByName),
      Entry(pipelines, "ListPipelines", pipeline(Verb::kList), this, &S::ListPipelines),
      Entry(pipelines, "DeletePipeline", pipeline(Verb::kDelete), this, &S::DeletePipeline),
      Entry(pipelines, "GetPipelineVersion", version(Verb::kGet), this, &S::GetPipelineVersion),
      Entry(pipelines, "ListPipelineVersions", version(Verb::kList), this,
            &S::ListPipelineVersions),
      Entry(pipelines, "DeletePipelineVersion", version(Verb::kDelete), this,
            &S::DeletePipelineVersion),
      Entry(runs, "CreateRun", run(Verb::kCreate), this, &S::CreateRun),
      Entry(runs, "GetRun", run(Verb::kGet), this, &S::GetRun),
      Entry(runs, "ListRuns", run(Verb::kList), this, &S::ListRuns),
      Entry(runs, "ArchiveRun", run(Verb::kArchive), this, &S::ArchiveRun),
      Entry(runs, "UnarchiveRun", run(Verb::kArchive), this, &S::UnarchiveRun),
      Entry(runs, "DeleteRun", run(Verb::kDelete), this, &S::DeleteRun),
      Entry(runs, "TerminateRun", run(Verb::kTerminate), this, &S::TerminateRun),
      Entry<v2beta1::RetryRunRequest>(runs, "RetryRun", run(Verb::kRetry), this, &S::RetryRun),
      Entry(reports, "SubmitRun", run(Verb::kCreate), this, &S::SubmitRun),
      Entry(reports, "GetRunProvenance", run(Verb::kGet), this, &S::GetRunProvenance),
      Entry(reports, "GetRunReport", run(Verb::kGet), this, &S::GetRunReport),
      Entry(reports, "CancelRun", run(Verb::kTerminate), this, &S::CancelRun),
      Entry<v1::RetryRunRequest>(reports, "RetryRun", run(Verb::kRetry), this, &S::RetryRun),
      Entry(reports, "ExplainRun", run(Verb::kGet), this, &S::ExplainRun),
      WithSecrets(Entry(vault, "SetSecret", secret(Verb::kUpdate), this, &S::SetSecret)),
      Entry(vault, "ListSecrets", secret(Verb::kList), this, &S::ListSecrets),
      Entry(vault, "DeleteSecret", secret(Verb::kDelete), this, &S::DeleteSecret),
      WithSecrets(Entry(vault, "SetConfigMap", config_map(Verb::kUpdate), this, &S::SetConfigMap)),
      Entry(vault, "ListConfigMaps", config_map(Verb::kList), this, &S::ListConfigMaps),
      Entry(vault, "DeleteConfigMap", config_map(Verb::kDelete), this, &S::DeleteConfigMap),
      Entry(cache, "ListCacheEntries", entry(Verb::kList), this, &S::ListCacheEntries),
      Entry(cache, "GetCacheEntry", entry(Verb::kGet), this, &S::GetCacheEntry),
      Entry(cache, "PinCacheEntry", entry(Verb::kUpdate), this, &S::PinCacheEntry),
      Entry(cache, "EvictCacheEntries", entry(Verb::kDelete), this, &S::EvictCacheEntries),
      Entry(environments, "ListEnvironments", environment(Verb::kList), this, &S::ListEnvironments),
      Entry(environments, "GetEnvironment", environment(Verb::kGet), this, &S::GetEnvironment),
      Entry(environments, "PruneEnvironments", environment(Verb::kDelete), this,
            &S::PruneEnvironments),
      Entry(environments, "RefreshEnvironment", environment(Verb::kUpdate), this,
            &S::RefreshEnvironment),
  };
}

}  // namespace caudal::service
