#include "api/internal/upload.h"

#include <string>
#include <utility>

#include "api/internal/errors.h"
#include "base/utf8.h"
#include "http/multipart.h"
#include "wire/json.h"

namespace caudal::api::internal {
namespace {

constexpr std::string_view kFileField = "uploadfile";

// The last segment: some clients send the whole path.
std::string BaseName(const std::string& path) { return path.substr(path.rfind('/') + 1); }

base::Status ReadFile(const http::Request& request, service::Upload* upload) {
  CAUDAL_ASSIGN(std::vector<http::FormPart> parts,
                http::ParseMultipart(request.Header("content-type"), request.body));
  for (http::FormPart& part : parts) {
    if (part.name != kFileField || part.filename.empty()) continue;
    upload->file_name = BaseName(part.filename);
    upload->content = std::move(part.content);
    if (!base::IsUtf8(upload->file_name))
      return base::InvalidArgument("the file's name is not UTF-8");
    return {};
  }
  return base::InvalidArgument("the form has no file in field 'uploadfile'");
}

base::Status ReadQuery(const http::Request& request, service::Upload* upload) {
  const std::pair<std::string_view, std::string*> fields[] = {
      {"name", &upload->name},
      {"display_name", &upload->display_name},
      {"description", &upload->description},
      {"namespace", &upload->name_space},
      {"tags", &upload->tags_json},
      {"code_source_url", &upload->code_source_url},
      {"pipelineid", &upload->pipeline_id},
  };
  auto pairs = http::ParseQuery(request.query);
  if (!pairs) return base::InvalidArgument("the query string has a broken % escape");
  for (auto& [key, value] : *pairs) {
    for (const auto& [name, field] : fields) {
      if (key != name || !field->empty()) continue;
      if (!base::IsUtf8(value))
        return base::InvalidArgument("query parameter '" + key + "' is not UTF-8");
      *field = value;
    }
  }
  return {};
}

base::Status Read(const http::Request& request, service::Upload* upload) {
  CAUDAL_TRY(ReadFile(request, upload));
  return ReadQuery(request, upload);
}

// The upload endpoints answer 400 where an rpc would say 403, 404 or 401.
int UploadStatus(base::Code code) {
  switch (code) {
    case base::Code::kInvalidArgument:
    case base::Code::kNotFound:
    case base::Code::kPermissionDenied:
    case base::Code::kUnauthenticated:
      return 400;
    case base::Code::kAlreadyExists:
      return 409;
    default:
      return 500;
  }
}

http::Response Failure(const base::Status& status, std::string_view doing) {
  return PlainError(UploadStatus(status.code()), status.message(),
                    std::string(doing) + ": " + status.ToString());
}

template <typename Message>
http::Response Finish(const base::Result<Message>& result, std::string_view doing) {
  if (!result.ok()) return Failure(result.status(), doing);
  http::Response response;
  response.body = wire::ToJson(*result, wire::FieldNames::kSnakeCase);
  return response;
}

}  // namespace

http::Response UploadPipeline(const Backend& backend, const service::Caller& caller,
                              const http::Request& request) {
  constexpr std::string_view kDoing = "uploading a pipeline";
  service::Upload upload;
  const base::Status read = Read(request, &upload);
  if (!read.ok()) return Failure(read, kDoing);
  return Finish(backend.upload_pipeline(caller, upload), kDoing);
}

http::Response UploadPipelineVersion(const Backend& backend, const service::Caller& caller,
                                     const http::Request& request) {
  constexpr std::string_view kDoing = "uploading a pipeline version";
  service::Upload upload;
  base::Status read = Read(request, &upload);
  if (read.ok() && upload.pipeline_id.empty()) {
    read = base::InvalidArgument("no pipeline is named; give its id as ?pipelineid=");
  }
  if (!read.ok()) return Failure(read, kDoing);
  return Finish(backend.upload_pipeline_version(caller, upload), kDoing);
}

}  // namespace caudal::api::internal
