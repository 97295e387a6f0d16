#pragma once

/// The shapes of errors on the wire.

#include <string>
#include <string_view>

#include "base/status.h"
#include "http/server.h"

namespace caudal::api::internal {

/// 200 for kOk; every other code as grpc-gateway maps it.
int HttpStatus(base::Code code);

/// An rpc's error: code, message, and one detail that repeats both for clients that look there.
http::Response RpcError(const base::Status& status);

/// The gateway's own error: code and message only.
http::Response GatewayError(int http_status, base::Code code, std::string_view message);

/// {"error_message", "error_details"}, as uploads and logs answer.
http::Response PlainError(int http_status, std::string_view message, std::string_view details);

}  // namespace caudal::api::internal
