#include <initializer_list>

#include "archive/package_file.h"
#include "base/uuid.h"
#include "service/internal/convert.h"
#include "service/service.h"
#include "spec/package.h"
#include "spec/plan.h"
#include "store/list.h"

namespace caudal::service {

using auth::Resource;
using auth::Verb;
using base::InvalidArgument;
using base::Result;
using base::Status;

namespace {

constexpr size_t kLongestPipelineName = 128;
constexpr size_t kLongestVersionName = 127;

Status CheckLength(const std::string& what, const std::string& text, size_t limit) {
  if (text.size() <= limit) return {};
  return InvalidArgument(what + " has " + std::to_string(text.size()) + " bytes, at most " +
                         std::to_string(limit) + " are allowed");
}

/// An uploaded package that may be stored.
struct CheckedPackage {
  std::string stored;       // its stored form
  spec::Manifest manifest;  // empty for a package without
};

Result<CheckedPackage> CheckPackage(const Upload& upload) {
  CAUDAL_ASSIGN(const std::string text, archive::PackageText(upload.file_name, upload.content));
  CAUDAL_ASSIGN(spec::Package package, spec::LoadPackage(text));
  CAUDAL_TRY(spec::CheckPipelineName(package.pipeline.pipeline_info().name()));
  CheckedPackage checked;
  checked.stored = spec::StoredText(package);
  if (package.manifest) checked.manifest = *std::move(package.manifest);
  // The graph is checked now, not when the first run fails on it.
  CAUDAL_TRY(spec::MakePlan(std::move(package)).status());
  return checked;
}

using Tags = google::protobuf::Map<std::string, std::string>;

// The tags of the request, or else those of the package.
Result<Tags> ReadTags(const Upload& upload, const std::map<std::string, std::string>& of_package) {
  CAUDAL_ASSIGN(const auto given, ParseTags(upload.tags_json));
  const auto& tags = upload.tags_json.empty() ? of_package : given;
  Tags map(tags.begin(), tags.end());
  CAUDAL_TRY(CheckTags(map));
  return map;
}

std::string FirstNonEmpty(std::initializer_list<std::string> texts) {
  for (const std::string& text : texts) {
    if (!text.empty()) return text;
  }
  return "";
}

// Whether the request says what to call it; else a manifest may, and then the file's name.
bool IsNamed(const Upload& upload) { return !upload.name.empty() || !upload.display_name.empty(); }

}  // namespace

Result<store::Pipeline> Service::LoadPipeline(const Caller& caller, const std::string& id,
                                              Verb verb) {
  if (id.empty()) return InvalidArgument("pipeline_id is empty");
  store::Pipeline row;
  CAUDAL_TRY(store_.Read([&](sql::Database& database) -> Status {
    CAUDAL_ASSIGN(row, store::GetPipeline(database, id));
    return {};
  }));
  CAUDAL_TRY(auth::Authorize(caller.principal, {verb, Resource::kPipeline}, row.name_space,
                             row.created_by));
  return row;
}

Result<store::PipelineVersion> Service::LoadVersion(const Caller& caller, const std::string& id,
                                                    Verb verb) {
  if (id.empty()) return InvalidArgument("pipeline_version_id is empty");
  store::PipelineVersion row;
  CAUDAL_TRY(store_.Read([&](sql::Database& database) -> Status {
    CAUDAL_ASSIGN(row, store::GetVersion(database, id));
    return {};
  }));
  CAUDAL_TRY(auth::Authorize(caller.principal, {verb, Resource::kPipelineVersion}, row.name_space,
                             row.created_by));
  return row;
}

Result<v2beta1::Pipeline> Service::UploadPipeline(const Caller& caller, const Upload& upload) {
  // First: reading a package costs more than saying no.
  CAUDAL_TRY(auth::Authorize(caller.principal, {Verb::kCreate, Resource::kPipeline}, "",
                             caller.principal.name));
  CAUDAL_ASSIGN(const CheckedPackage package, CheckPackage(upload));
  CAUDAL_TRY(CheckLength("namespace", upload.name_space, 63));
  const spec::Manifest& manifest = package.manifest;
  const bool named = IsNamed(upload);
  store::Pipeline pipeline;
  pipeline.name =
      FirstNonEmpty({upload.name, upload.display_name, manifest.pipeline_name, upload.file_name});
  if (pipeline.name.empty()) return InvalidArgument("pipeline has no name; give one with ?name=");
  CAUDAL_TRY(CheckLength("pipeline name", pipeline.name, kLongestPipelineName));
  CAUDAL_ASSIGN(const Tags tags, ReadTags(upload, manifest.pipeline_tags));

  pipeline.id = base::NewUuid4();
  pipeline.display_name = FirstNonEmpty(
      {upload.display_name, named ? "" : manifest.pipeline_display_name, pipeline.name});
  pipeline.description = FirstNonEmpty({upload.description, manifest.pipeline_description});
  pipeline.created_at = base::ToMicros(clock_.Now());
  pipeline.tags = TagsToJson(tags);
  pipeline.created_by = caller.principal.name;
  store::PipelineVersion version;
  version.spec = package.stored;
  version.id = base::NewUuid4();
  version.name = FirstNonEmpty({named ? "" : manifest.version_name, pipeline.name});
  CAUDAL_TRY(CheckLength("version name", version.name, kLongestPipelineName));
  version.display_name =
      FirstNonEmpty({named ? "" : manifest.version_display_name, pipeline.display_name});
  version.description =
      FirstNonEmpty({upload.description, manifest.version_description, pipeline.description});
  version.created_at = pipeline.created_at;
  version.code_source_url = FirstNonEmpty({upload.code_source_url, manifest.code_source_url});
  version.tags = TagsToJson(Tags(manifest.version_tags.begin(), manifest.version_tags.end()));
  version.created_by = caller.principal.name;
  CAUDAL_TRY(store_.Write([&](sql::Database& database) -> Status {
    CAUDAL_TRY(store::InsertPipeline(database, &pipeline));
    version.pipeline_key = pipeline.key;
    return store::InsertVersion(database, &version);
  }));
  return ToProto(pipeline);
}

Result<v2beta1::PipelineVersion> Service::UploadPipelineVersion(const Caller& caller,
                                                                const Upload& upload) {
  if (upload.pipeline_id.empty()) {
    return InvalidArgument("pipelineid is empty; name the pipeline with ?pipelineid=");
  }
  auto pipeline = LoadPipeline(caller, upload.pipeline_id, Verb::kUpdate);
  // The upload endpoint answers 400 for an unknown pipeline.
  if (!pipeline.ok()) return Status(pipeline.status()).WithCode(base::Code::kInvalidArgument);
  CAUDAL_ASSIGN(const CheckedPackage package, CheckPackage(upload));
  const spec::Manifest& manifest = package.manifest;
  store::PipelineVersion version;
  version.name =
      FirstNonEmpty({upload.name, upload.display_name, manifest.version_name, upload.file_name});
  CAUDAL_TRY(CheckLength("version name", version.name, kLongestVersionName));
  CAUDAL_ASSIGN(const Tags tags, ReadTags(upload, manifest.version_tags));

  version.spec = package.stored;
  version.id = base::NewUuid4();
  version.pipeline_key = pipeline->key;
  version.pipeline_id = pipeline->id;
  version.display_name = FirstNonEmpty(
      {upload.display_name, IsNamed(upload) ? "" : manifest.version_display_name, version.name});
  version.description = FirstNonEmpty({upload.description, manifest.version_description});
  version.created_at = base::ToMicros(clock_.Now());
  version.code_source_url = FirstNonEmpty({upload.code_source_url, manifest.code_source_url});
  version.tags = TagsToJson(tags);
  version.created_by = caller.principal.name;
  CAUDAL_TRY(store_.Write(
      [&](sql::Database& database) { return store::InsertVersion(database, &version); }));
  return ToProto(version);
}

Result<v2beta1::Pipeline> Service::CreatePipeline(const Caller& caller,
                                                  const v2beta1::CreatePipelineRequest& request) {
  CAUDAL_TRY(auth::Authorize(caller.principal, {Verb::kCreate, Resource::kPipeline}, "",
                             caller.principal.name));
  const v2beta1::Pipeline& asked = request.pipeline();
  store::Pipeline row;
  row.name = FirstNonEmpty({asked.name(), asked.display_name()});
  if (row.name.empty()) return InvalidArgument("pipeline has neither name nor display_name");
  // Upstream answers a name that is too long with its internal error, and clients know it so.
  CAUDAL_TRY(
      CheckLength("pipeline name", row.name, kLongestPipelineName).WithCode(base::Code::kInternal));
  CAUDAL_TRY(CheckLength("namespace", asked.namespace_(), 63).WithCode(base::Code::kInternal));
  CAUDAL_TRY(CheckTags(asked.tags()));
  row.id = base::NewUuid4();
  row.display_name = FirstNonEmpty({asked.display_name(), row.name});
  row.description = asked.description();
  row.created_at = base::ToMicros(clock_.Now());
  row.tags = TagsToJson(asked.tags());
  row.created_by = caller.principal.name;
  CAUDAL_TRY(
      store_.Write([&](sql::Database& database) { return store::InsertPipeline(database, &row); }));
  return ToProto(row);
}

Result<v2beta1::Pipeline> Service::GetPipeline(const Caller& caller,
                                               const v2beta1::GetPipelineRequest& request) {
  CAUDAL_ASSIGN(const store::Pipeline row, LoadPipeline(caller, request.pipeline_id(), Verb::kGet));
  return ToProto(row);
}

Result<v2beta1::Pipeline> Service::GetPipelineByName(
    const Caller& caller, const v2beta1::GetPipelineByNameRequest& request) {
  store::Pipeline row;
  CAUDAL_TRY(store_.Read([&](sql::Database& database) -> Status {
    CAUDAL_ASSIGN(row, store::GetPipelineByName(database, request.name()));
    return {};
  }));
  CAUDAL_TRY(auth::Authorize(caller.principal, {Verb::kGet, Resource::kPipeline}, row.name_space,
                             row.created_by));
  return ToProto(row);
}

Result<v2beta1::ListPipelinesResponse> Service::ListPipelines(
    const Caller& caller, const v2beta1::ListPipelinesRequest& request) {
  CAUDAL_TRY(auth::Authorize(caller.principal, {Verb::kList, Resource::kPipeline}, "", ""));
  v2beta1::ListPipelinesResponse response;
  CAUDAL_TRY(store_.Read([&](sql::Database& database) -> Status {
    const store::ListRequest list{
        request.page_token(), request.page_size(), request.sort_by(), request.filter(), "", "", 0};
    CAUDAL_ASSIGN(const auto page, store::ListPipelines(database, list, store_.secret()));
    for (const store::Pipeline& row : page.rows) *response.add_pipelines() = ToProto(row);
    response.set_next_page_token(page.next_page_token);
    response.set_total_size(page.total_size);
    return {};
  }));
  return response;
}

Status Service::DeletePipeline(const Caller& caller,
                               const v2beta1::DeletePipelineRequest& request) {
  CAUDAL_ASSIGN(const store::Pipeline row,
                LoadPipeline(caller, request.pipeline_id(), Verb::kDelete));
  return store_.Write([&](sql::Database& database) -> Status {
    CAUDAL_ASSIGN(const int64_t versions, store::CountVersions(database, row.key));
    if (versions > 0 && !request.cascade()) {
      return InvalidArgument("pipeline '" + row.name + "' still has " + std::to_string(versions) +
                             " version(s); delete them first, or set cascade=true");
    }
    CAUDAL_TRY(store::DeleteVersions(database, row.key));
    return store::DeletePipeline(database, row.key);
  });
}

Result<v2beta1::PipelineVersion> Service::GetPipelineVersion(
    const Caller& caller, const v2beta1::GetPipelineVersionRequest& request) {
  if (request.pipeline_id().empty()) return InvalidArgument("pipeline_id is empty");
  // The pipeline's id is not compared: clients rely on that.
  CAUDAL_ASSIGN(const store::PipelineVersion row,
                LoadVersion(caller, request.pipeline_version_id(), Verb::kGet));
  return ToProto(row);
}

Result<v2beta1::ListPipelineVersionsResponse> Service::ListPipelineVersions(
    const Caller& caller, const v2beta1::ListPipelineVersionsRequest& request) {
  CAUDAL_ASSIGN(const store::Pipeline pipeline,
                LoadPipeline(caller, request.pipeline_id(), Verb::kList));
  v2beta1::ListPipelineVersionsResponse response;
  CAUDAL_TRY(store_.Read([&](sql::Database& database) -> Status {
    const store::ListRequest list{
        request.page_token(), request.page_size(), request.sort_by(), request.filter(), "", "",
        pipeline.key};
    CAUDAL_ASSIGN(const auto page, store::ListVersions(database, list, store_.secret()));
    for (const auto& row : page.rows) *response.add_pipeline_versions() = ToProto(row);
    response.set_next_page_token(page.next_page_token);
    response.set_total_size(page.total_size);
    return {};
  }));
  return response;
}

Status Service::DeletePipelineVersion(const Caller& caller,
                                      const v2beta1::DeletePipelineVersionRequest& request) {
  CAUDAL_TRY(LoadVersion(caller, request.pipeline_version_id(), Verb::kDelete).status());
  return store_.Write([&](sql::Database& database) {
    return store::DeleteVersion(database, request.pipeline_version_id());
  });
}

}  // namespace caudal::service
