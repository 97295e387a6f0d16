#include "api/internal/code.h"

#include <google/protobuf/struct.pb.h>

#include "api/internal/errors.h"
#include "base/utf8.h"
#include "wire/json.h"

namespace caudal::api::internal {
namespace {

http::Response Answer(const base::Status& status, const std::string& sha256) {
  if (!status.ok()) return RpcError(status);
  google::protobuf::Struct fields;
  (*fields.mutable_fields())["sha256"].set_string_value(sha256);
  http::Response response;
  response.body = wire::ToJson(fields, wire::FieldNames::kSnakeCase);
  return response;
}

http::Response Add(const Backend& backend, const service::Caller& caller,
                   const http::Request& request) {
  const auto pairs = http::ParseQuery(request.query);
  if (!pairs) return RpcError(base::InvalidArgument("the query string has a broken % escape"));
  for (const auto& [key, value] : *pairs) {
    if (key == "sha256" && base::IsUtf8(value)) {
      return Answer(backend.add_code(caller, value, request.body), value);
    }
  }
  return RpcError(base::InvalidArgument("the code's digest is missing; give it as ?sha256="));
}

}  // namespace

http::Response AnswerCode(const Backend& backend, const service::Caller& caller,
                          const http::Request& request, const std::string& path) {
  const bool is_get = request.method == "GET" || request.method == "HEAD";
  if (path == kCodePath && request.method == "POST") return Add(backend, caller, request);
  const std::string rest = path.substr(kCodePath.size());
  const bool is_one = rest.size() > 1 && rest[0] == '/' && rest.find('/', 1) == std::string::npos;
  if (is_one && is_get && base::IsUtf8(rest)) {
    const std::string sha256 = rest.substr(1);
    return Answer(backend.has_code(caller, sha256), sha256);
  }
  if (path == kCodePath || is_one) {
    return GatewayError(501, base::Code::kUnimplemented, "Method Not Allowed");
  }
  return GatewayError(404, base::Code::kNotFound, "Not Found");
}

}  // namespace caudal::api::internal
