#pragma once

/// The server's public API, as far as the command line needs it.

#include <string>

#include "backend/api/v2beta1/experiment.pb.h"
#include "backend/api/v2beta1/run.pb.h"
#include "base/status.h"
#include "caudal/v1/run_service.pb.h"
#include "http/client.h"

namespace caudal::cli {

namespace v2beta1 = kubeflow::pipelines::backend::api::v2beta1;

/// One connection; one per thread. Errors: kUnavailable when nothing answers, else the server's own
/// code and words.
class Api {
 public:
  explicit Api(const std::string& url) : url_(url), client_(url) {}

  const std::string& url() const { return url_; }

  base::Status CheckHealth();
  base::Result<v2beta1::Run> CreateRun(const v2beta1::Run& run);
  /// Waits up to `wait_millis` for a state later than `after_sequence`.
  base::Result<v1::RunReport> GetReport(const std::string& run_id, int wait_millis,
                                        int64_t after_sequence);
  base::Status CancelRun(const std::string& run_id, bool now);
  /// The newest runs, newest first.
  base::Result<v2beta1::ListRunsResponse> ListNewestRuns(int count);
  /// The id of the experiment of that name, made if need be.
  base::Result<std::string> ResolveExperiment(const std::string& name);
  base::Result<std::string> GetTaskLog(const std::string& run_id, const std::string& task_id);
  /// Where the log of a task is to be read, for people.
  std::string LogUrl(const std::string& run_id, const std::string& task_id) const;

 private:
  base::Status Call(std::string_view method, const std::string& target, const std::string& body,
                    google::protobuf::Message* reply);

  std::string url_;
  http::Client client_;
};

/// Percent-encodes everything but unreserved characters.
std::string UrlEncode(std::string_view text);

}  // namespace caudal::cli
