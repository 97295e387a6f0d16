#pragma once

/// What callers may ask for: authorise, validate, call. Knows no transport.

#include <atomic>
#include <memory>
#include <string>

#include "backend/api/v2beta1/experiment.pb.h"
#include "backend/api/v2beta1/pipeline.pb.h"
#include "backend/api/v2beta1/run.pb.h"
#include "base/clock.h"
#include "base/status.h"
#include "caudal/v1/run_service.pb.h"
#include "orchestrator/orchestrator.h"
#include "service/method.h"
#include "store/store.h"

namespace caudal::service {

namespace v2beta1 = kubeflow::pipelines::backend::api::v2beta1;

struct Options {
  std::string data_dir;   ///< absolute; local paths of artifacts and logs are made from it
  std::string isolation;  ///< of runs that do not ask for one
};

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

  // Beyond upstream.
  base::Result<v1::RunReport> GetRunReport(const Caller&, const v1::GetRunReportRequest&);
  base::Status CancelRun(const Caller&, const v1::CancelRunRequest&);
  /// The log of a task; `node_id` is its task id. Errors: kNotFound.
  base::Result<LogSource> OpenLog(const Caller&, const std::string& run_id,
                                  const std::string& node_id);

 private:
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
  base::Result<orchestrator::NewRun> MakeRun(const Caller& caller, const v2beta1::Run& run);
  base::Status Terminate(const Caller& caller, const std::string& run_id, bool now);
  void WaitForChange(const store::Run& row, const v1::GetRunReportRequest& request);

  store::Store& store_;
  orchestrator::Orchestrator& orchestrator_;
  const base::Clock& clock_;
  Options options_;
  std::string default_experiment_id_;
  std::unique_ptr<PlanCache> plans_;
  std::atomic<int> waiters_ = 0;  // callers that hold a thread of their transport to wait
};

}  // namespace caudal::service
