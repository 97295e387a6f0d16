// Lists of runs, pipelines and experiments, and what is done to single ones.

#include <boost/json.hpp>

#include "base/uuid.h"
#include "cli/internal/api.h"
#include "wire/json.h"

namespace caudal::cli {
namespace {

constexpr size_t kLargestPage = 200;
const std::string kRuns = "/apis/v2beta1/runs";
const std::string kPipelines = "/apis/v2beta1/pipelines";
const std::string kExperiments = "/apis/v2beta1/experiments";

std::string ObjectPath(const std::string& list, const std::string& id) {
  return list + "/" + UrlEncode(id);
}

std::string PageQuery(const ListQuery& query, size_t size, const std::string& token) {
  std::string text = "?page_size=" + std::to_string(size) + "&sort_by=" + UrlEncode(query.sort_by);
  if (!query.experiment_id.empty()) text += "&experiment_id=" + UrlEncode(query.experiment_id);
  if (query.filter.predicates_size() > 0) {
    // The server takes the escapes of a filter away twice.
    const std::string filter = wire::ToJson(query.filter, wire::FieldNames::kSnakeCase);
    text += "&filter=" + UrlEncode(UrlEncode(filter));
  }
  if (!token.empty()) text += "&page_token=" + UrlEncode(token);
  return text;
}

// A form of one file, as browsers send it.
std::string FormOf(const std::string& boundary, const std::string& file_name,
                   const std::string& content) {
  std::string name;
  for (const char c : file_name) name += c == '"' || c == '\r' || c == '\n' ? '_' : c;
  return "--" + boundary + "\r\nContent-Disposition: form-data; name=\"uploadfile\"; filename=\"" +
         name + "\"\r\nContent-Type: application/octet-stream\r\n\r\n" + content + "\r\n--" +
         boundary + "--\r\n";
}

// The upload addresses have error bodies of their own: error_details is error_message with what was
// done, which the caller knows, and the code in front.
base::Status UploadError(const http::ClientResponse& response) {
  boost::system::error_code error;
  const boost::json::value json = boost::json::parse(response.body, error);
  std::string text = "the server answered HTTP " + std::to_string(response.status);
  bool exists = response.status == 409;
  if (!error && json.is_object()) {
    const boost::json::object& body = json.get_object();
    for (const char* name : {"message", "error_details", "error_message"}) {
      const boost::json::value* found = body.if_contains(name);
      if (found == nullptr || !found->is_string() || found->get_string().empty()) continue;
      text = std::string(found->get_string());
      exists = exists || text.find("ALREADY_EXISTS") != std::string::npos;
    }
  }
  if (exists) return {base::Code::kAlreadyExists, text};
  return response.status < 500 ? base::InvalidArgument(text) : base::Internal(text);
}

template <typename T>
void Append(google::protobuf::RepeatedPtrField<T>* page, std::vector<T>* all) {
  for (T& object : *page) all->push_back(std::move(object));
}

}  // namespace

void Where(const std::string& key, v2beta1::Predicate::Operation operation,
           const std::string& value, v2beta1::Filter* filter) {
  v2beta1::Predicate* predicate = filter->add_predicates();
  predicate->set_key(key);
  predicate->set_operation(operation);
  predicate->set_string_value(value);
}

template <typename Page, typename Take>
base::Status Api::EachPage(const std::string& path, const ListQuery& query, Take take) {
  size_t taken = 0;
  std::string token;
  do {
    const size_t left = query.limit == 0 ? kLargestPage : query.limit - taken;
    Page page;
    CAUDAL_TRY(
        Call("GET", path + PageQuery(query, std::min(left, kLargestPage), token), "", &page));
    taken += take(&page);
    token = page.next_page_token();
  } while (!token.empty() && (query.limit == 0 || taken < query.limit));
  return base::OkStatus();
}

base::Result<v2beta1::Run> Api::GetRun(const std::string& run_id) {
  v2beta1::Run run;
  CAUDAL_TRY(Call("GET", ObjectPath(kRuns, run_id), "", &run));
  return run;
}

base::Result<v1::RunProvenance> Api::GetProvenance(const std::string& run_id) {
  v1::RunProvenance provenance;
  CAUDAL_TRY(
      Call("GET", ObjectPath("/apis/caudal/v1/runs", run_id) + "/provenance", "", &provenance));
  return provenance;
}

base::Result<std::vector<v2beta1::Run>> Api::ListRuns(const ListQuery& query) {
  std::vector<v2beta1::Run> all;
  CAUDAL_TRY(EachPage<v2beta1::ListRunsResponse>(kRuns, query, [&all](auto* page) {
    Append(page->mutable_runs(), &all);
    return static_cast<size_t>(page->runs_size());
  }));
  return all;
}

base::Status Api::ArchiveRun(const std::string& run_id) {
  return Call("POST", ObjectPath(kRuns, run_id) + ":archive", "", nullptr);
}

base::Status Api::UnarchiveRun(const std::string& run_id) {
  return Call("POST", ObjectPath(kRuns, run_id) + ":unarchive", "", nullptr);
}

base::Status Api::DeleteRun(const std::string& run_id) {
  return Call("DELETE", ObjectPath(kRuns, run_id), "", nullptr);
}

base::Result<v2beta1::Pipeline> Api::GetPipeline(const std::string& pipeline_id) {
  v2beta1::Pipeline pipeline;
  CAUDAL_TRY(Call("GET", ObjectPath(kPipelines, pipeline_id), "", &pipeline));
  return pipeline;
}

base::Result<std::vector<v2beta1::Pipeline>> Api::ListPipelines(const ListQuery& query) {
  std::vector<v2beta1::Pipeline> all;
  CAUDAL_TRY(EachPage<v2beta1::ListPipelinesResponse>(kPipelines, query, [&all](auto* page) {
    Append(page->mutable_pipelines(), &all);
    return static_cast<size_t>(page->pipelines_size());
  }));
  return all;
}

base::Result<std::vector<v2beta1::PipelineVersion>> Api::ListPipelineVersions(
    const std::string& pipeline_id, const ListQuery& query) {
  std::vector<v2beta1::PipelineVersion> all;
  CAUDAL_TRY(EachPage<v2beta1::ListPipelineVersionsResponse>(
      ObjectPath(kPipelines, pipeline_id) + "/versions", query, [&all](auto* page) {
        Append(page->mutable_pipeline_versions(), &all);
        return static_cast<size_t>(page->pipeline_versions_size());
      }));
  return all;
}

base::Status Api::DeletePipeline(const std::string& pipeline_id) {
  return Call("DELETE", ObjectPath(kPipelines, pipeline_id) + "?cascade=true", "", nullptr);
}

base::Status Api::Upload(const std::string& path, const std::string& file_name,
                         const std::string& package, google::protobuf::Message* reply) {
  const std::string boundary = "caudal-" + base::NewUuid4();
  constexpr int kTimeoutSeconds = 300;
  CAUDAL_ASSIGN(const http::ClientResponse response,
                client_.Send("POST", path, FormOf(boundary, file_name, package), kTimeoutSeconds,
                             "multipart/form-data; boundary=" + boundary));
  if (response.status != 200) return UploadError(response);
  return wire::FromJsonText(response.body, reply, wire::UnknownFields::kIgnore);
}

base::Result<v2beta1::Pipeline> Api::UploadPipeline(const std::string& file_name,
                                                    const std::string& package,
                                                    const std::string& name) {
  v2beta1::Pipeline pipeline;
  CAUDAL_TRY(Upload(kPipelines + "/upload" + (name.empty() ? "" : "?name=" + UrlEncode(name)),
                    file_name, package, &pipeline));
  return pipeline;
}

base::Result<v2beta1::PipelineVersion> Api::UploadPipelineVersion(const std::string& file_name,
                                                                  const std::string& package,
                                                                  const std::string& name,
                                                                  const std::string& pipeline_id) {
  v2beta1::PipelineVersion version;
  CAUDAL_TRY(Upload(kPipelines + "/upload_version?pipelineid=" + UrlEncode(pipeline_id) +
                        (name.empty() ? "" : "&name=" + UrlEncode(name)),
                    file_name, package, &version));
  return version;
}

base::Result<v2beta1::Experiment> Api::GetExperiment(const std::string& experiment_id) {
  v2beta1::Experiment experiment;
  CAUDAL_TRY(Call("GET", ObjectPath(kExperiments, experiment_id), "", &experiment));
  return experiment;
}

base::Result<std::vector<v2beta1::Experiment>> Api::ListExperiments(const ListQuery& query) {
  std::vector<v2beta1::Experiment> all;
  CAUDAL_TRY(EachPage<v2beta1::ListExperimentsResponse>(kExperiments, query, [&all](auto* page) {
    Append(page->mutable_experiments(), &all);
    return static_cast<size_t>(page->experiments_size());
  }));
  return all;
}

base::Result<v2beta1::Experiment> Api::CreateExperiment(const v2beta1::Experiment& experiment) {
  v2beta1::Experiment created;
  CAUDAL_TRY(
      Call("POST", kExperiments, wire::ToJson(experiment, wire::FieldNames::kSnakeCase), &created));
  return created;
}

base::Status Api::ArchiveExperiment(const std::string& experiment_id) {
  return Call("POST", ObjectPath(kExperiments, experiment_id) + ":archive", "", nullptr);
}

base::Status Api::UnarchiveExperiment(const std::string& experiment_id) {
  return Call("POST", ObjectPath(kExperiments, experiment_id) + ":unarchive", "", nullptr);
}

base::Status Api::DeleteExperiment(const std::string& experiment_id) {
  return Call("DELETE", ObjectPath(kExperiments, experiment_id), "", nullptr);
}

}  // namespace caudal::cli
