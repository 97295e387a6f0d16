#pragma once

/// What callers may ask for: authorise, validate, call. Knows no transport.

#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "backend/api/v2beta1/experiment.pb.h"
#include "backend/api/v2beta1/pipeline.pb.h"
#include "backend/api/v2beta1/run.pb.h"
#include "base/clock.h"
#include "base/status.h"
#include "caudal/v1/cache_service.pb.h"
#include "caudal/v1/environment_service.pb.h"
#include "caudal/v1/run_service.pb.h"
#include "caudal/v1/secret_service.pb.h"
#include "orchestrator/orchestrator.h"
#include "service/method.h"
#include "store/store.h"

namespace caudal::pyenv {
class Environments;
}

namespace caudal::secrets {
enum class Kind;
class Vault;
}  // namespace caudal::secrets

namespace caudal::service {

namespace v2beta1 = kubeflow::pipelines::backend::api::v2beta1;

struct Options {
  std::string data_dir;   ///< absolute; local paths of artifacts and logs are made from it
  std::string isolation;  ///< of runs that do not ask for one
  pyenv::Environments* environments = nullptr;  ///< outlives the service; null: there are none
  std::string no_sandbox_reason{};  ///< why a run cannot ask for a sandbox; empty: it can
  secrets::Vault* vault = nullptr;  ///< outlives the service; null: there are no secrets here
  bool no_cache = false;            ///< no run looks anything up
  bool flatten_collected = false;   ///< v1::RunInfo.flatten_collected of every run
};

class CodeStore;
class PlanCache;

/// Thread-safe; every method may block on the database. Errors carry the code that clients see.
class Service {
 public:
  Service(store::Store& store, orchestrator::Orchestrator& orchestrator, const base::Clock& clock,
          Options options);
  ~Service();

  /// Makes what every server has: the default experiment. Called once, first.
  base::Status Prepare();

  /// Every method of the proto services, ready for a transport.
  MethodTable Methods();

  // Experiments (api.md 3.3).
  base::Result<v2beta1::Experiment> CreateExperiment(const Caller&,
                                                     const v2beta1::CreateExperimentRequest&);
  base::Result<v2beta1::Experiment> GetExperiment(const Caller&,
                                                  const v2beta1::GetExperimentRequest&);
  base::Result<v2beta1::ListExperimentsResponse> ListExperiments(
      const Caller&, const v2beta1::ListExperimentsRequest&);
  base::Status ArchiveExperiment(const Caller&, const v2beta1::ArchiveExperimentRequest&);
  base::Status UnarchiveExperiment(const Caller&, const v2beta1::UnarchiveExperimentRequest&);
  base::Status DeleteExperiment(const Caller&, const v2beta1::DeleteExperimentRequest&);

  // Pipelines and versions (api.md 2, 3.1, 3.2).
  base::Result<v2beta1::Pipeline> UploadPipeline(const Caller&, const Upload&);
  base::Result<v2beta1::PipelineVersion> UploadPipelineVersion(const Caller&, const Upload&);
  base::Result<v2beta1::Pipeline> CreatePipeline(const Caller&,
                                                 const v2beta1::CreatePipelineRequest&);
  base::Result<v2beta1::Pipeline> GetPipeline(const Caller&, const v2beta1::GetPipelineRequest&);
  base::Result<v2beta1::Pipeline> GetPipelineByName(const Caller&,
                                                    const v2beta1::GetPipelineByNameRequest&);
  base::Result<v2beta1::ListPipelinesResponse> ListPipelines(const Caller&,
                                                             const v2beta1::ListPipelinesRequest&);
  base::Status DeletePipeline(const Caller&, const v2beta1::DeletePipelineRequest&);
  base::Result<v2beta1::PipelineVersion> GetPipelineVersion(
      const Caller&, const v2beta1::GetPipelineVersionRequest&);
  base::Result<v2beta1::ListPipelineVersionsResponse> ListPipelineVersions(
      const Caller&, const v2beta1::ListPipelineVersionsRequest&);
  base::Status DeletePipelineVersion(const Caller&, const v2beta1::DeletePipelineVersionRequest&);

  // Runs (api.md 3.4).
  base::Result<v2beta1::Run> CreateRun(const Caller&, const v2beta1::CreateRunRequest&);
  base::Result<v2beta1::Run> GetRun(const Caller&, const v2beta1::GetRunRequest&);
  base::Result<v2beta1::ListRunsResponse> ListRuns(const Caller&, const v2beta1::ListRunsRequest&);
  base::Status ArchiveRun(const Caller&, const v2beta1::ArchiveRunRequest&);
  base::Status UnarchiveRun(const Caller&, const v2beta1::UnarchiveRunRequest&);
  base::Status DeleteRun(const Caller&, const v2beta1::DeleteRunRequest&);
  base::Status TerminateRun(const Caller&, const v2beta1::TerminateRunRequest&);
  base::Status RetryRun(const Caller&, const v2beta1::RetryRunRequest&);

  // Beyond upstream.
  base::Result<v2beta1::Run> SubmitRun(const Caller&, const v1::SubmitRunRequest&);
  base::Result<v1::RunProvenance> GetRunProvenance(const Caller&,
                                                   const v1::GetRunProvenanceRequest&);
  base::Result<v1::RunReport> GetRunReport(const Caller&, const v1::GetRunReportRequest&);
  base::Status CancelRun(const Caller&, const v1::CancelRunRequest&);
  base::Status RetryRun(const Caller&, const v1::RetryRunRequest&);
  base::Result<v1::RunExplanation> ExplainRun(const Caller&, const v1::ExplainRunRequest&);
  /// The log of a task; `node_id` is its task id, `attempt` counts from 1 (0: the newest). Errors:
  /// kNotFound.
  base::Result<LogSource> OpenLog(const Caller&, const std::string& run_id,
                                  const std::string& node_id, int64_t attempt = 0);

  // Users' code for the steps of runs, by the SHA-256 of its canonical tar. Errors of HasCode:
  // kNotFound; of AddCode: kInvalidArgument for another digest, a broken archive or a limit.
  base::Status HasCode(const Caller&, const std::string& sha256);
  base::Status AddCode(const Caller&, const std::string& sha256, const std::string& content);
  /// Removes snapshots that no run uses. Safe while requests are served; leaves off once
  /// `is_stopping`.
  void SweepCode(const std::atomic<bool>& is_stopping);

  // Secrets and config maps. What is given is in no error and no log, and of a secret never in an
  // answer.
  base::Result<v1::KeySet> SetSecret(const Caller&, const v1::SetKeysRequest&);
  base::Result<v1::KeySets> ListSecrets(const Caller&, const v1::ListKeySetsRequest&);
  base::Status DeleteSecret(const Caller&, const v1::DeleteKeySetRequest&);
  base::Result<v1::KeySet> SetConfigMap(const Caller&, const v1::SetKeysRequest&);
  base::Result<v1::KeySets> ListConfigMaps(const Caller&, const v1::ListKeySetsRequest&);
  base::Status DeleteConfigMap(const Caller&, const v1::DeleteKeySetRequest&);

  // The task cache.
  base::Result<v1::CacheEntries> ListCacheEntries(const Caller&,
                                                  const v1::ListCacheEntriesRequest&);
  base::Result<v1::CacheEntry> GetCacheEntry(const Caller&, const v1::GetCacheEntryRequest&);
  base::Result<v1::CacheEntry> PinCacheEntry(const Caller&, const v1::PinCacheEntryRequest&);
  base::Result<v1::EvictedCacheEntries> EvictCacheEntries(const Caller&,
                                                          const v1::EvictCacheEntriesRequest&);

  // Python environments.
  base::Result<v1::ListEnvironmentsResponse> ListEnvironments(const Caller&,
                                                              const v1::ListEnvironmentsRequest&);
  base::Result<v1::PythonEnvironment> GetEnvironment(const Caller&,
                                                     const v1::GetEnvironmentRequest&);
  base::Result<v1::PruneEnvironmentsResponse> PruneEnvironments(
      const Caller&, const v1::PruneEnvironmentsRequest&);
  base::Result<v1::PythonEnvironment> RefreshEnvironment(const Caller&,
                                                         const v1::RefreshEnvironmentRequest&);

 private:
  // Environments by id, with their locks, in order of the ids; of one that nobody knows, the id.
  std::vector<v1::PythonEnvironment> DescribeEnvironments(const std::set<std::string>& ids) const;
  // Loads a run and asks whether `caller` may do `verb` to it.
  base::Result<store::Run> LoadRun(const Caller& caller, const std::string& run_id,
                                   auth::Verb verb);
  base::Result<store::Pipeline> LoadPipeline(const Caller& caller, const std::string& id,
                                             auth::Verb verb);
  base::Result<store::PipelineVersion> LoadVersion(const Caller& caller, const std::string& id,
                                                   auth::Verb verb);
  base::Result<store::Experiment> LoadExperiment(const Caller& caller, const std::string& id,
                                                 auth::Verb verb);
  base::Status FindPipelineSource(const Caller& caller, const v2beta1::Run& run, store::Run* row);
  /// Whose error codes a submission answers with, where they differ.
  enum class Contract { kUpstream, kOurs };
  base::Result<v2beta1::Run> Submit(const Caller& caller, const v1::SubmitRunRequest& request,
                                    Contract contract);
  base::Result<orchestrator::NewRun> MakeRun(const Caller& caller,
                                             const v1::SubmitRunRequest& request,
                                             Contract contract);
  base::Status CheckSettings(const v1::RunSettings& settings) const;
  base::Status Terminate(const Caller& caller, const std::string& run_id, bool now);
  base::Status Retry(const Caller& caller, const std::string& run_id);
  base::Result<v1::KeySet> SetKeys(const Caller& caller, secrets::Kind kind,
                                   const v1::SetKeysRequest& request);
  base::Result<v1::KeySets> ListKeys(const Caller& caller, secrets::Kind kind);
  base::Status DeleteKeys(const Caller& caller, secrets::Kind kind, const std::string& name);
  base::Result<v1::CacheEntry> LoadCacheEntry(const Caller& caller, int64_t id, auth::Verb verb);
  void WaitForChange(const store::Run& row, const v1::GetRunReportRequest& request);

  store::Store& store_;
  orchestrator::Orchestrator& orchestrator_;
  const base::Clock& clock_;
  Options options_;
  std::string default_experiment_id_;
  std::unique_ptr<PlanCache> plans_;
  std::unique_ptr<CodeStore> code_;
  std::atomic<int> waiters_ = 0;  // callers that hold a thread of their transport to wait
};

}  // namespace caudal::service
