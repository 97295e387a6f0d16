#pragma once

/// Users' code for the steps of runs: a raw body, no rpc.

#include <string>
#include <string_view>

#include "api/gateway.h"

namespace caudal::api::internal {

inline constexpr std::string_view kCodePath = "/apis/caudal/v1/code";

/// POST /apis/caudal/v1/code?sha256=… with the archive as body; GET or HEAD of
/// /apis/caudal/v1/code/{sha256} asks whether it is there. Both answer {"sha256"}. `path` is clean
/// and begins with kCodePath.
http::Response AnswerCode(const Backend& backend, const service::Caller& caller,
                          const http::Request& request, const std::string& path);

}  // namespace caudal::api::internal
