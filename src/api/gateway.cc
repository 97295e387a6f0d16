#include "api/gateway.h"

#include <google/protobuf/struct.pb.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "api/internal/bind.h"
#include "api/internal/code.h"
#include "api/internal/errors.h"
#include "api/internal/guard.h"
#include "api/internal/log_stream.h"
#include "api/internal/route.h"
#include "api/internal/upload.h"
#include "wire/json.h"

namespace caudal::api {
namespace {

using internal::GatewayError;
using internal::PathPieces;
using internal::RouteTable;

constexpr std::string_view kLogTemplate = "/apis/v1alpha1/runs/{run_id}/nodes/{node_id}/log";

http::Response BadRequest(const base::Status& status) {
  return GatewayError(400, base::Code::kInvalidArgument, status.message());
}

// In place of an error that quotes a request with secrets.
base::Status Unquoted(const internal::Route& route) {
  return base::InvalidArgument("the request of " + route.method->descriptor->name() +
                               " cannot be read, and is not quoted as it may hold secrets; send "
                               "{\"values\": {\"KEY\": \"<value in base64>\"}}");
}

http::Response NotFound() { return GatewayError(404, base::Code::kNotFound, "Not Found"); }

// Browsers read a backslash as a slash, so it must not become the second one of "//host".
http::Response Redirect(const std::string& path, const std::string& query) {
  std::string location;
  for (const char c : path) location += c == '\\' ? "%5C" : std::string(1, c);
  if (!query.empty()) location += "?" + query;
  http::Response response;
  response.status = 301;
  response.content_type = "";
  response.headers.emplace_back("Location", location);
  return response;
}

struct LogOptions {
  bool follows = false;
  int64_t offset = 0;
  int64_t tail_bytes = -1;  // not given
  int64_t attempt = 0;      // from 1; 0: the newest
};

bool ReadCount(const std::string& value, int64_t* count) {
  const char* end = value.data() + value.size();
  const auto parsed = std::from_chars(value.data(), end, *count);
  return parsed.ec == std::errc() && parsed.ptr == end && *count >= 0;
}

base::Result<LogOptions> ReadLogOptions(const std::string& query) {
  LogOptions options;
  const auto pairs = http::ParseQuery(query);
  if (!pairs) return base::InvalidArgument("the query string has a broken % escape");
  for (const auto& [key, value] : *pairs) {
    if (key == "follow" && !internal::ParseBool(value, &options.follows)) {
      return base::InvalidArgument("query parameter 'follow' wants true or false, got '" + value +
                                   "'");
    }
    if (key == "attempt" && (!ReadCount(value, &options.attempt) || options.attempt == 0)) {
      return base::InvalidArgument("query parameter 'attempt' wants a number from 1, got '" +
                                   value + "'");
    }
    if (key != "offset" && key != "tail_bytes") continue;
    if (!ReadCount(value, key == "offset" ? &options.offset : &options.tail_bytes)) {
      return base::InvalidArgument("query parameter '" + key + "' wants a number of bytes, got '" +
                                   value + "'");
    }
  }
  return options;
}

}  // namespace

struct Gateway::Impl {
  explicit Impl(Backend given) : backend(std::move(given)), guard(backend.allowed_hosts) {}

  base::Status Prepare();
  http::Response Answer(const http::Request& request);
  http::Response Health(bool names_store) const;
  http::Response Rest(const service::Caller& caller, const http::Request& request,
                      const PathPieces& path) const;
  http::Response Log(const service::Caller& caller, const http::Request& request,
                     const std::string& run_id, const std::string& node_id);

  const Backend backend;
  const internal::Guard guard;
  RouteTable routes;
  std::optional<internal::Template> log_path;
  internal::LogWatcher log_watcher;
};

base::Status Gateway::Impl::Prepare() {
  if (!backend.upload_pipeline || !backend.upload_pipeline_version || !backend.open_log ||
      !backend.has_code || !backend.add_code) {
    return base::Internal("the backend lacks a function for uploads, code or logs");
  }
  CAUDAL_ASSIGN(log_path, internal::Template::Parse(kLogTemplate));
  for (const service::Method& method : backend.methods) CAUDAL_TRY(routes.Add(method));
  return {};
}

http::Response Gateway::Impl::Health(bool names_store) const {
  google::protobuf::Struct health;
  auto& fields = *health.mutable_fields();
  fields["commit_sha"].set_string_value("unknown");
  fields["tag_name"].set_string_value(backend.version);
  fields["multi_user"].set_bool_value(false);
  if (names_store) fields["pipeline_store"].set_string_value("database");
  http::Response response;
  response.body = wire::ToJson(health, wire::FieldNames::kSnakeCase);
  return response;
}

http::Response Gateway::Impl::Answer(const http::Request& request) {
  if (std::optional<http::Response> refusal = guard.Check(request)) return *std::move(refusal);
  if (!request.path.starts_with('/')) return NotFound();
  const std::string clean = internal::CleanPath(request.path);
  if (clean != request.path) return Redirect(clean, request.query);

  const service::Caller caller{auth::LocalUser(), std::string(request.Header("user-agent"))};
  if (clean == "/apis/v2beta1/healthz") return Health(true);
  if (clean == "/apis/v1beta1/healthz") return Health(false);
  if (clean.starts_with(internal::kCodePath)) {
    return internal::AnswerCode(backend, caller, request, clean);
  }
  if (clean == "/apis/v2beta1/pipelines/upload") {
    return internal::UploadPipeline(backend, caller, request);
  }
  if (clean == "/apis/v2beta1/pipelines/upload_version") {
    return internal::UploadPipelineVersion(backend, caller, request);
  }
  const std::optional<PathPieces> path = internal::SplitPath(clean);
  if (!path) {
    return BadRequest(
        base::InvalidArgument("path '" + clean + "' has a broken % escape or is not UTF-8"));
  }
  if (const auto ids = log_path->Match(*path)) return Log(caller, request, (*ids)[0], (*ids)[1]);
  return Rest(caller, request, *path);
}

http::Response Gateway::Impl::Rest(const service::Caller& caller, const http::Request& request,
                                   const PathPieces& path) const {
  // The server leaves the body out of answers to HEAD.
  const std::string& method = request.method == "HEAD" ? "GET" : request.method;
  const RouteTable::Found found = routes.Find(method, path);
  if (found.verdict == RouteTable::Verdict::kNotFound) return NotFound();
  if (found.verdict == RouteTable::Verdict::kOtherMethod) {
    return GatewayError(501, base::Code::kUnimplemented, "Method Not Allowed");
  }
  const internal::Route& route = *found.route;
  const std::vector<std::string>& variables = route.path.variables();
  const google::protobuf::Message* prototype =
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(
          route.method->descriptor->input_type());
  const std::unique_ptr<google::protobuf::Message> input(prototype->New());

  base::Status bound;
  if (!route.body.empty()) bound = internal::BindBody(route.body, request.body, input.get());
  if (bound.ok() && route.body != "*") {
    std::vector<std::string> reserved = variables;
    if (!route.body.empty()) reserved.push_back(route.body);
    bound = internal::BindQuery(request.query, reserved, input.get());
  }
  for (size_t i = 0; bound.ok() && i < variables.size(); ++i) {
    bound = internal::SetPathField(input.get(), variables[i], found.values[i]);
  }
  if (!bound.ok()) return BadRequest(route.method->takes_secrets ? Unquoted(route) : bound);

  const base::Result<service::Reply> reply = route.method->call(caller, *input);
  if (!reply.ok()) return internal::RpcError(reply.status());
  http::Response response;
  response.body = wire::ToJson(**reply, wire::FieldNames::kSnakeCase);
  return response;
}

http::Response Gateway::Impl::Log(const service::Caller& caller, const http::Request& request,
                                  const std::string& run_id, const std::string& node_id) {
  const base::Result<LogOptions> options = ReadLogOptions(request.query);
  if (!options.ok()) return BadRequest(options.status());
  base::Result<service::LogSource> source =
      backend.open_log(caller, run_id, node_id, options->attempt);
  if (!source.ok()) return internal::RpcError(source.status());
  int64_t offset = options->offset;
  struct stat info {};
  if (options->tail_bytes >= 0 && stat(source->path.c_str(), &info) == 0) {
    offset = std::max(offset, static_cast<int64_t>(info.st_size) - options->tail_bytes);
  }
  const bool follows = options->follows && !source->is_complete();
  http::Response response;
  response.content_type = "text/plain; charset=utf-8";
  response.headers.emplace_back("Cache-Control", "no-store");
  response.stream = std::make_unique<internal::LogStream>(*std::move(source), offset,
                                                          follows ? &log_watcher : nullptr);
  return response;
}

base::Result<std::unique_ptr<Gateway>> Gateway::Make(Backend backend) {
  auto impl = std::make_unique<Impl>(std::move(backend));
  CAUDAL_TRY(impl->Prepare());
  return std::unique_ptr<Gateway>(new Gateway(std::move(impl)));
}

Gateway::Gateway(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Gateway::~Gateway() = default;

http::Response Gateway::Handle(const http::Request& request) {
  http::Response response = impl_->Answer(request);
  response.headers.emplace_back("X-Content-Type-Options", "nosniff");
  return response;
}

}  // namespace caudal::api
