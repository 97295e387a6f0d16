#pragma once

/// Package uploads: multipart forms with their own error bodies.

#include "api/gateway.h"

namespace caudal::api::internal {

/// POST /apis/v2beta1/pipelines/upload: a pipeline and its first version.
http::Response UploadPipeline(const Backend& backend, const service::Caller& caller,
                              const http::Request& request);

/// POST /apis/v2beta1/pipelines/upload_version: a version of an existing pipeline.
http::Response UploadPipelineVersion(const Backend& backend, const service::Caller& caller,
                                     const http::Request& request);

}  // namespace caudal::api::internal
