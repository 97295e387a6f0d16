#include "api/internal/errors.h"

#include <google/protobuf/struct.pb.h>

#include "base/utf8.h"
#include "google/rpc/status.pb.h"
#include "wire/json.h"

namespace caudal::api::internal {
namespace {

http::Response JsonResponse(int status, const google::protobuf::Message& message) {
  http::Response response;
  response.status = status;
  response.body = wire::ToJson(message, wire::FieldNames::kSnakeCase);
  return response;
}

google::rpc::Status ToProto(base::Code code, std::string_view message) {
  google::rpc::Status proto;
  proto.set_code(static_cast<int>(code));
  proto.set_message(base::ToUtf8(message));
  return proto;
}

}  // namespace

int HttpStatus(base::Code code) {
  switch (code) {
    case base::Code::kOk:
      return 200;
    case base::Code::kCancelled:
      return 499;
    case base::Code::kInvalidArgument:
      return 400;
    case base::Code::kDeadlineExceeded:
      return 504;
    case base::Code::kNotFound:
      return 404;
    case base::Code::kAlreadyExists:
      return 409;
    case base::Code::kPermissionDenied:
      return 403;
    case base::Code::kResourceExhausted:
      return 429;
    case base::Code::kFailedPrecondition:
      return 400;
    case base::Code::kAborted:
      return 409;
    case base::Code::kOutOfRange:
      return 400;
    case base::Code::kUnimplemented:
      return 501;
    case base::Code::kUnavailable:
      return 503;
    case base::Code::kUnauthenticated:
      return 401;
    case base::Code::kUnknown:
    case base::Code::kInternal:
    case base::Code::kDataLoss:
      return 500;
  }
  return 500;
}

http::Response RpcError(const base::Status& status) {
  google::rpc::Status proto = ToProto(status.code(), status.message());
  proto.add_details()->PackFrom(ToProto(status.code(), status.message()));
  http::Response response = JsonResponse(HttpStatus(status.code()), proto);
  if (status.code() == base::Code::kUnauthenticated) {
    response.headers.emplace_back("WWW-Authenticate", status.message());
  }
  return response;
}

http::Response GatewayError(int http_status, base::Code code, std::string_view message) {
  return JsonResponse(http_status, ToProto(code, message));
}

http::Response PlainError(int http_status, std::string_view message, std::string_view details) {
  google::protobuf::Struct body;
  (*body.mutable_fields())["error_message"].set_string_value(std::string(message));
  (*body.mutable_fields())["error_details"].set_string_value(std::string(details));
  return JsonResponse(http_status, body);
}

}  // namespace caudal::api::internal
