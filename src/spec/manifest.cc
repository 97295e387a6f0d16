#include <algorithm>
#include <map>
#include <utility>

#include "spec/internal/manifest.h"
#include "wire/names.h"

namespace caudal::spec::internal {
namespace {

namespace json = boost::json;
using base::Fault;

constexpr std::string_view kGroup = "pipelines.kubeflow.org/";

/// Reads one object of a document field by field, and reports those nobody asked for.
class Fields {
 public:
  Fields(const json::object& object, std::string path, std::vector<Fault>* faults)
      : object_(object), path_(std::move(path)), faults_(faults) {}

  const json::value* Find(const char* name) {
    known_.emplace_back(name);
    const json::value* value = object_.if_contains(name);
    return value == nullptr || value->is_null() ? nullptr : value;
  }

  void Read(const char* name, std::string* text) {
    const json::value* value = Find(name);
    if (value == nullptr) return;
    if (const json::string* string = value->if_string()) {
      *text = std::string(std::string_view(*string));
    } else {
      Report(name, "wants a text, got " + json::serialize(*value).substr(0, 60));
    }
  }

  void Read(const char* name, std::map<std::string, std::string>* map) {
    const json::value* value = Find(name);
    if (value == nullptr) return;
    if (!value->is_object()) return Report(name, "wants a mapping of texts");
    for (const auto& [key, item] : value->get_object()) {
      if (const json::string* string = item.if_string()) {
        (*map)[std::string(key)] = std::string(std::string_view(*string));
      } else {
        Report(name + ("." + std::string(key)),
               "wants a text, got " + json::serialize(item).substr(0, 60));
      }
    }
  }

  void Report(const std::string& name, const std::string& message) {
    faults_->push_back({path_ + "." + name, message});
  }

  void RejectOthers() {
    for (const auto& [key, value] : object_) {
      if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
      Report(std::string(key), "unknown field" + wire::DidYouMean(key, known_));
    }
  }

 private:
  const json::object& object_;
  const std::string path_;
  std::vector<Fault>* faults_;
  std::vector<std::string> known_;
};

std::string TextOf(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  const json::string* text = value == nullptr ? nullptr : value->if_string();
  return text == nullptr ? "" : std::string(std::string_view(*text));
}

void ReadPipeline(const std::string& name, Fields* spec, Manifest* manifest) {
  manifest->pipeline_name = name;
  spec->Read("displayName", &manifest->pipeline_display_name);
  spec->Read("description", &manifest->pipeline_description);
  spec->Read("tags", &manifest->pipeline_tags);
}

ManifestParts ReadVersion(const std::string& name, Fields* spec, Manifest* manifest) {
  std::string pipeline_name;
  spec->Read("pipelineName", &pipeline_name);
  if (!pipeline_name.empty() && !manifest->pipeline_name.empty() &&
      pipeline_name != manifest->pipeline_name) {
    spec->Report("pipelineName", "is \"" + pipeline_name + "\", but the Pipeline beside it is \"" +
                                     manifest->pipeline_name + "\"");
  }
  if (manifest->pipeline_name.empty()) manifest->pipeline_name = pipeline_name;
  spec->Read("versionName", &manifest->version_name);
  if (manifest->version_name.empty()) manifest->version_name = name;
  spec->Read("displayName", &manifest->version_display_name);
  spec->Read("description", &manifest->version_description);
  spec->Read("codeSourceURL", &manifest->code_source_url);
  spec->Read("tags", &manifest->version_tags);
  ManifestParts parts;
  parts.pipeline = spec->Find("pipelineSpec");
  parts.platform = spec->Find("platformSpec");
  const bool is_elsewhere = spec->Find("pipelineSpecURI") != nullptr;
  if (parts.pipeline == nullptr) {
    spec->Report("pipelineSpec", is_elsewhere
                                     ? "is missing: a pipelineSpecURI is not followed; put the "
                                       "pipeline itself here"
                                     : "is missing: a PipelineVersion holds its pipeline here");
  }
  if (parts.platform != nullptr && parts.platform->is_object() &&
      parts.platform->get_object().empty()) {
    parts.platform = nullptr;
  }
  return parts;
}

}  // namespace

bool IsManifest(const json::object& document) {
  return TextOf(document, "apiVersion").starts_with(kGroup);
}

ManifestParts ReadManifest(const json::object& document, const std::string& where,
                           Manifest* manifest, std::vector<Fault>* faults) {
  const std::string kind = TextOf(document, "kind");
  if (kind != "Pipeline" && kind != "PipelineVersion") {
    faults->push_back(
        {where, "has kind \"" + kind.substr(0, 60) + "\", wants Pipeline or PipelineVersion"});
    return {};
  }
  const json::value* spec = document.if_contains("spec");
  const json::value* metadata = document.if_contains("metadata");
  static const json::object kNone;
  const std::string name =
      metadata != nullptr && metadata->is_object() ? TextOf(metadata->get_object(), "name") : "";
  Fields fields(spec != nullptr && spec->is_object() ? spec->get_object() : kNone, "spec", faults);
  ManifestParts parts;
  if (kind == "Pipeline") {
    ReadPipeline(name, &fields, manifest);
  } else {
    parts = ReadVersion(name, &fields, manifest);
  }
  fields.RejectOthers();
  return parts;
}

}  // namespace caudal::spec::internal
