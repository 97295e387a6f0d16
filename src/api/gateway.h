#pragma once

/// REST over the service layer: routes from the HTTP annotations of the proto services, plus
/// uploads, health and logs. Formats: api.md 0.2, 1.5, 1.8, 2.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backend/api/v2beta1/pipeline.pb.h"
#include "base/status.h"
#include "http/server.h"
#include "service/method.h"

namespace caudal::api {

namespace v2beta1 = kubeflow::pipelines::backend::api::v2beta1;

/// What the gateway calls. All functions are thread-safe and may block.
struct Backend {
  service::MethodTable methods;
  std::function<base::Result<v2beta1::Pipeline>(const service::Caller&, const service::Upload&)>
      upload_pipeline;
  std::function<base::Result<v2beta1::PipelineVersion>(const service::Caller&,
                                                       const service::Upload&)>
      upload_pipeline_version;
  std::function<base::Result<service::LogSource>(const service::Caller&, const std::string& run_id,
                                                 const std::string& node_id, int64_t attempt)>
      open_log;
  /// Users' code by the SHA-256 of its archive: whether it is there, and adding it.
  std::function<base::Status(const service::Caller&, const std::string& sha256)> has_code;
  std::function<base::Status(const service::Caller&, const std::string& sha256,
                             const std::string& content)>
      add_code;
  std::string version;  ///< shown by healthz as tag_name
  /// Host names, without port, that requests may be addressed to and pages may post from; empty:
  /// localhost, 127.0.0.1 and [::1]. A page of a foreign site that points its own name at this
  /// machine is refused, and so is one that posts here.
  std::vector<std::string> allowed_hosts;
};

/// Lifetime: outlives the http::Server that calls Handle. Thread-safe.
class Gateway {
 public:
  /// Errors: kInternal for a method without HTTP rule, permission or handler, or two equal routes.
  static base::Result<std::unique_ptr<Gateway>> Make(Backend backend);
  ~Gateway();
  http::Response Handle(const http::Request& request);

 private:
  struct Impl;
  explicit Gateway(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace caudal::api
