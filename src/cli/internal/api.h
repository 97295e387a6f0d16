#pragma once

/// The server's public API, as far as the command line needs it.

#include <functional>
#include <string>
#include <vector>

#include "backend/api/v2beta1/experiment.pb.h"
#include "backend/api/v2beta1/filter.pb.h"
#include "backend/api/v2beta1/pipeline.pb.h"
#include "backend/api/v2beta1/run.pb.h"
#include "base/status.h"
#include "caudal/v1/cache_service.pb.h"
#include "caudal/v1/environment_service.pb.h"
#include "caudal/v1/run_service.pb.h"
#include "caudal/v1/secret_service.pb.h"
#include "http/client.h"

namespace caudal::cli {

namespace v2beta1 = kubeflow::pipelines::backend::api::v2beta1;

/// What a list call asks for.
struct ListQuery {
  v2beta1::Filter filter;
  std::string experiment_id;  ///< of runs; empty: all
  std::string sort_by = "created_at desc";
  size_t limit = 0;  ///< 0: everything
};

/// One more condition of a filter.
void Where(const std::string& key, v2beta1::Predicate::Operation operation,
           const std::string& value, v2beta1::Filter* filter);

/// One connection; one per thread. Errors: kUnavailable when nothing answers, else the server's own
/// code and words.
class Api {
 public:
  explicit Api(const std::string& url) : url_(url), client_(url) {}

  const std::string& url() const { return url_; }

  base::Status CheckHealth();
  base::Result<v2beta1::Run> SubmitRun(const v1::SubmitRunRequest& request);
  /// Brings a snapshot of code to the server unless it is there already. `sha256` is of `tar`.
  base::Status AddCode(const std::string& sha256, const std::string& tar);
  /// Waits up to `wait_millis` for a state later than `after_sequence`.
  base::Result<v1::RunReport> GetReport(const std::string& run_id, int wait_millis,
                                        int64_t after_sequence);
  /// The same with only those tasks that changed since.
  base::Result<v1::RunReport> GetChanges(const std::string& run_id, int wait_millis,
                                         int64_t after_sequence);
  base::Status RetryRun(const std::string& run_id);
  /// Of one task by path or name, or of all where `task` is empty.
  base::Result<v1::RunExplanation> ExplainRun(const std::string& run_id, const std::string& task);
  base::Status CancelRun(const std::string& run_id, bool now);
  /// The newest runs, newest first.
  base::Result<v2beta1::ListRunsResponse> ListNewestRuns(int count);
  /// The id of the experiment of that name, made if need be.
  base::Result<std::string> ResolveExperiment(const std::string& name);
  base::Result<std::string> GetTaskLog(const std::string& run_id, const std::string& task_id);
  /// The last bytes of the log as it stands.
  base::Result<std::string> GetLogEnd(const std::string& run_id, const std::string& task_id,
                                      int64_t bytes, int timeout_seconds);
  /// The log as it comes, from `attempt` on (0: the newest) until `on_data` returns false;
  /// `follow`: until the step has ended.
  base::Status StreamTaskLog(const std::string& run_id, const std::string& task_id, bool follow,
                             int attempt, const std::function<bool(std::string_view)>& on_data);
  /// Where the log of a task is to be read, for people.
  std::string LogUrl(const std::string& run_id, const std::string& task_id) const;

  base::Result<v2beta1::Run> GetRun(const std::string& run_id);
  base::Result<v1::RunProvenance> GetProvenance(const std::string& run_id);
  base::Result<std::vector<v2beta1::Run>> ListRuns(const ListQuery& query);
  base::Status ArchiveRun(const std::string& run_id);
  base::Status UnarchiveRun(const std::string& run_id);
  base::Status DeleteRun(const std::string& run_id);

  base::Result<v2beta1::Pipeline> GetPipeline(const std::string& pipeline_id);
  base::Result<std::vector<v2beta1::Pipeline>> ListPipelines(const ListQuery& query);
  base::Result<std::vector<v2beta1::PipelineVersion>> ListPipelineVersions(
      const std::string& pipeline_id, const ListQuery& query);
  /// With all its versions.
  base::Status DeletePipeline(const std::string& pipeline_id);
  /// A package under a new pipeline, or as a version of `pipeline_id`. An empty name: the file's.
  base::Result<v2beta1::Pipeline> UploadPipeline(const std::string& file_name,
                                                 const std::string& package,
                                                 const std::string& name);
  base::Result<v2beta1::PipelineVersion> UploadPipelineVersion(const std::string& file_name,
                                                               const std::string& package,
                                                               const std::string& name,
                                                               const std::string& pipeline_id);

  base::Result<v2beta1::Experiment> GetExperiment(const std::string& experiment_id);
  base::Result<std::vector<v2beta1::Experiment>> ListExperiments(const ListQuery& query);
  base::Result<v2beta1::Experiment> CreateExperiment(const v2beta1::Experiment& experiment);
  base::Status ArchiveExperiment(const std::string& experiment_id);
  base::Status UnarchiveExperiment(const std::string& experiment_id);
  base::Status DeleteExperiment(const std::string& experiment_id);

  /// Secrets, or config maps.
  enum class KeyKind { kSecret, kConfigMap };
  base::Result<v1::KeySet> SetKeys(KeyKind kind, const v1::SetKeysRequest& request);
  base::Result<v1::KeySets> ListKeys(KeyKind kind);
  base::Status DeleteKeys(KeyKind kind, const std::string& name);

  /// Page by page, the newest first, until `limit` (0: all of them).
  base::Result<std::vector<v1::CacheEntry>> ListCacheEntries(v1::ListCacheEntriesRequest request,
                                                             size_t limit);
  base::Result<v1::CacheEntry> GetCacheEntry(int64_t id);
  base::Result<v1::CacheEntry> PinCacheEntry(int64_t id, bool unpin);
  base::Result<v1::EvictedCacheEntries> EvictCacheEntries(
      const v1::EvictCacheEntriesRequest& request);

  base::Result<v1::ListEnvironmentsResponse> ListEnvironments();
  base::Result<v1::PythonEnvironment> GetEnvironment(const std::string& id);
  base::Result<v1::PruneEnvironmentsResponse> PruneEnvironments(
      const v1::PruneEnvironmentsRequest& request);
  /// Waits until it is built.
  base::Result<v1::PythonEnvironment> RefreshEnvironment(const std::string& id);

 private:
  // One page after the other; `take` gets each and says how many objects it held.
  template <typename Page, typename Take>
  base::Status EachPage(const std::string& path, const ListQuery& query, Take take);
  base::Status Upload(const std::string& path, const std::string& file_name,
                      const std::string& package, google::protobuf::Message* reply);
  base::Status Call(std::string_view method, const std::string& target, const std::string& body,
                    google::protobuf::Message* reply, int timeout_seconds = 60);

  std::string url_;
  http::Client client_;
};

/// Percent-encodes everything but unreserved characters.
std::string UrlEncode(std::string_view text);

}  // namespace caudal::cli
