#include "spec/package.h"

#include <algorithm>
#include <boost/json.hpp>
#include <regex>

#include "spec/internal/manifest.h"
#include "spec/internal/yaml.h"
#include "wire/json.h"
#include "wire/names.h"

namespace caudal::spec {
namespace {

namespace json = boost::json;
using base::Fault;
using internal::Document;

constexpr std::string_view kSchemaVersion = "2.1.0";
constexpr std::string_view kCompileWithV2 =
    "compile it again with kfp 2: kfp.compiler.Compiler().compile(pipeline, 'pipeline.yaml')";

enum class DocumentKind { kPipeline, kPlatform, kTwoParts, kManifest, kArgo, kV1Component, kOther };

std::vector<std::string> FieldNames(const google::protobuf::Descriptor& type) {
  std::vector<std::string> names;
  for (int i = 0; i < type.field_count(); ++i) {
    names.push_back(type.field(i)->json_name());
    names.push_back(type.field(i)->name());
  }
  return names;
}

/// Whether some key is, or nearly is, one of `names`: a misspelt document is still meant as one.
bool HasKeyLike(const json::object& object, const std::vector<std::string>& names) {
  for (const auto& [key, value] : object) {
    if (!wire::NearestName(key, names).empty()) return true;
  }
  return false;
}

bool IsArgoWorkflow(const json::object& object) {
  const json::value* version = object.if_contains("apiVersion");
  return version != nullptr && version->is_string() &&
         std::string_view(version->get_string()).starts_with("argoproj.io/");
}

DocumentKind Classify(const json::object& object) {
  static const auto kPipelineNames = FieldNames(*ml_pipelines::PipelineSpec::descriptor());
  static const auto kPlatformNames = FieldNames(*ml_pipelines::PlatformSpec::descriptor());
  if (object.contains("pipeline_spec") || object.contains("pipelineSpec")) {
    return DocumentKind::kTwoParts;
  }
  if (IsArgoWorkflow(object)) return DocumentKind::kArgo;
  if (internal::IsManifest(object)) return DocumentKind::kManifest;
  if (object.contains("platforms")) return DocumentKind::kPlatform;
  if (object.contains("pipelineInfo") || object.contains("root")) return DocumentKind::kPipeline;
  if (object.contains("implementation")) return DocumentKind::kV1Component;
  if (HasKeyLike(object, kPlatformNames)) return DocumentKind::kPlatform;
  if (HasKeyLike(object, kPipelineNames)) return DocumentKind::kPipeline;
  return DocumentKind::kOther;
}

std::string Keys(const json::object& object) {
  std::string text;
  size_t count = 0;
  for (const auto& [key, value] : object) {
    if (++count > 8) return text + ", …";
    text += (count == 1 ? "'" : ", '") + std::string(key.substr(0, 40)) + "'";
  }
  return text.empty() ? "nothing" : text;
}

/// Collects what the documents of one package say.
class Loader {
 public:
  void Add(const json::value& value, const std::string& where) {
    if (value.is_null()) return;
    if (!value.is_object()) {
      return Report(where, "wants a mapping with pipelineInfo, root and components");
    }
    const json::object& object = value.get_object();
    switch (Classify(object)) {
      case DocumentKind::kPipeline:
        return AddPipeline(value, "");
      case DocumentKind::kPlatform:
        return AddPlatform(value, "");
      case DocumentKind::kTwoParts:
        return AddTwoParts(object);
      case DocumentKind::kManifest:
        return AddManifest(object, where);
      case DocumentKind::kArgo:
        return Report(where, "this is a v1 pipeline (an Argo workflow), which cannot run here; " +
                                 std::string(kCompileWithV2));
      case DocumentKind::kV1Component:
        return Report(where,
                      "this is a component, not a pipeline; load it with "
                      "kfp.components.load_component_from_file, call it in a pipeline and compile "
                      "that");
      case DocumentKind::kOther:
        others_.push_back(Keys(object));
        return;
    }
  }

  base::Result<Package> Finish() {
    if (pipelines_ == 0 && faults_.empty()) Report("", NoPipeline());
    if (pipelines_ > 1) Report("", "holds " + std::to_string(pipelines_) + " pipelines, wants one");
    if (platforms_ > 1) {
      Report("", "holds " + std::to_string(platforms_) + " platform documents, wants at most one");
    }
    if (pipelines_ == 1) CheckForm();
    CAUDAL_TRY(base::FaultsToStatus(faults_));
    return std::move(package_);
  }

 private:
  void AddPipeline(const json::value& value, const std::string& path) {
    if (++pipelines_ > 1) return;
    Append(wire::FromJson(value, &package_.pipeline, wire::UnknownFields::kReject, path));
    prefix_ = path.empty() ? "" : path + ".";
  }

  /// A platform other than Kubernetes is none of ours: the document is left out, as upstream does.
  void AddPlatform(const json::value& value, const std::string& path) {
    const json::value* platforms =
        value.is_object() ? value.get_object().if_contains("platforms") : nullptr;
    const json::object* names = platforms == nullptr ? nullptr : platforms->if_object();
    if (names != nullptr && !names->contains("kubernetes")) return;
    if (++platforms_ > 1) return;
    package_.platform.emplace();
    Append(wire::FromJson(value, &*package_.platform, wire::UnknownFields::kReject, path));
  }

  void AddTwoParts(const json::object& object) {
    for (const auto& [key, value] : object) {
      if (key == "pipeline_spec" || key == "pipelineSpec") {
        AddPipeline(value, key);
      } else if ((key == "platform_spec" || key == "platformSpec") && !value.is_null()) {
        AddPlatform(value, key);
      } else if (!value.is_null()) {
        Report(key, "unknown field" + wire::DidYouMean(key, {"pipeline_spec", "platform_spec"}));
      }
    }
  }

  void AddManifest(const json::object& object, const std::string& where) {
    if (!package_.manifest) package_.manifest.emplace();
    const internal::ManifestParts parts =
        internal::ReadManifest(object, where, &*package_.manifest, &faults_);
    if (parts.pipeline != nullptr) AddPipeline(*parts.pipeline, "spec.pipelineSpec");
    if (parts.platform != nullptr) AddPlatform(*parts.platform, "spec.platformSpec");
  }

  void CheckForm() {
    const auto& pipeline = package_.pipeline;
    const bool complete = faults_.empty();  // else what seems missing may be misspelt
    const std::string& version = pipeline.schema_version();
    if (version != kSchemaVersion && (complete || !version.empty())) {
      const std::string got = version.empty() ? "it is missing" : "got \"" + version + "\"";
      Report(prefix_ + "schemaVersion", "wants \"" + std::string(kSchemaVersion) + "\", " + got +
                                            "; " + std::string(kCompileWithV2));
    }
    CheckName(pipeline.pipeline_info().name(), complete);
    if (!pipeline.has_root() && complete) {
      Report(prefix_ + "root", "is missing: a pipeline is the dag of its root component");
    }
  }

  void CheckName(const std::string& name, bool complete) {
    const std::string path = prefix_ + "pipelineInfo.name";
    if (name.empty()) {
      if (complete) Report(path, "is missing: a pipeline needs a name");
      return;
    }
    static const std::regex kName(
        R"([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)");
    if (name.size() > 253 || !std::regex_match(name, kName)) {
      Report(path,
             "wants at most 253 lower-case letters, digits, '-' and '.', starting and ending "
             "with a letter or digit, got \"" +
                 name.substr(0, 60) + "\"");
    }
  }

  std::string NoPipeline() const {
    if (package_.manifest) {
      return "holds no pipeline: a PipelineVersion document has it, in spec.pipelineSpec";
    }
    if (others_.empty()) return "holds no pipeline: there is nothing in it but comments or space";
    return "holds no pipeline: wants a mapping with pipelineInfo, root and components, got one "
           "with " +
           others_.front();
  }

  void Append(std::vector<Fault> faults) {
    for (Fault& fault : faults) faults_.push_back(std::move(fault));
  }

  void Report(std::string path, std::string message) {
    faults_.push_back({std::move(path), std::move(message)});
  }

  Package package_;
  std::string prefix_;
  int pipelines_ = 0;
  int platforms_ = 0;
  std::vector<std::string> others_;
  std::vector<Fault> faults_;
};

/// The canonical form, made from the messages rather than from what was given.
std::string TwoPartText(const Package& package) {
  std::string text = R"({"pipeline_spec":)";
  text += wire::ToJson(package.pipeline, wire::FieldNames::kCamelCase);
  if (package.platform) {
    text += R"(,"platform_spec":)" + wire::ToJson(*package.platform, wire::FieldNames::kCamelCase);
  }
  return text + "}";
}

/// The spec is sent to clients as a message, and no client reads one nested too deep.
base::Status CheckDepth(const google::protobuf::Struct& spec) {
  constexpr int kMaxDepth = wire::kMaxValueDepth + 5;  // little is around it when it is sent
  int depth = 0;
  for (const auto& [key, value] : spec.fields()) {
    depth = std::max(depth, wire::ValueDepth(value) + 1);
  }
  if (depth <= kMaxDepth) return base::OkStatus();
  return base::InvalidArgument("the package is nested " + std::to_string(depth) +
                               " levels deep, at most " + std::to_string(kMaxDepth) +
                               " work; give deep values as JSON text");
}

base::Result<Package> Complete(Loader loader) {
  CAUDAL_ASSIGN(Package package, loader.Finish());
  const std::string text = package.platform
                               ? TwoPartText(package)
                               : wire::ToJson(package.pipeline, wire::FieldNames::kCamelCase);
  CAUDAL_TRY(wire::FromJsonText(text, &package.as_struct));
  CAUDAL_TRY(CheckDepth(package.as_struct));
  return package;
}

}  // namespace

base::Result<Package> LoadPackage(std::string_view text, const PackageLimits& limits) {
  if (text.size() > limits.text_bytes) {
    return base::InvalidArgument("the package has " + std::to_string(text.size()) +
                                 " bytes, at most " + std::to_string(limits.text_bytes) +
                                 " are read");
  }
  Loader loader;
  // JSON is YAML too, but read as JSON it is faster, and pairs of \u escapes work. What fails to
  // read goes on to YAML, which explains better.
  const size_t start = text.find_first_not_of(" \t\r\n");
  if (start != std::string_view::npos && text[start] == '{') {
    const auto object =
        wire::ParseJson(text, {.depth = static_cast<size_t>(limits.depth), .nodes = limits.nodes});
    if (object.ok()) {
      loader.Add(*object, "");
      return Complete(std::move(loader));
    }
  }
  CAUDAL_ASSIGN(const std::vector<Document> documents, internal::ReadYaml(text, limits));
  for (const Document& document : documents) {
    loader.Add(document.value, "document at line " + std::to_string(document.line));
  }
  return Complete(std::move(loader));
}

base::Result<Package> LoadPackage(const google::protobuf::Struct& spec) {
  google::protobuf::Value value;
  *value.mutable_struct_value() = spec;
  Loader loader;
  loader.Add(wire::FromValue(value), "");
  return Complete(std::move(loader));
}

std::string StoredText(const Package& package) { return TwoPartText(package); }

base::Status CheckPipelineName(const std::string& name) {
  const bool good =
      !name.empty() && name.size() <= 128 && name[0] != '-' &&
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
  if (good) return base::OkStatus();
  return base::InvalidArgument(
      "pipeline name \"" + name.substr(0, 140) +
      "\" wants 1 to 128 lower-case letters, digits and '-', starting with a letter or digit");
}

}  // namespace caudal::spec
