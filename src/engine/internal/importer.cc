#include "engine/internal/importer.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "engine/internal/constants.h"
#include "wire/json.h"

namespace caudal::engine {
namespace {

using base::InvalidArgument;
using base::Result;
using base::Status;
using google::protobuf::Value;
using Importer = ml_pipelines::PipelineDeploymentConfig::ImporterSpec;
using UriSource = ml_pipelines::ValueOrRuntimeParameter;

constexpr std::array<std::string_view, 9> kSchemes = {"gs",   "s3",    "minio", "mem", "oci",
                                                      "http", "https", "file",  "hf"};
// Those of which a copy has a place in the workspace.
constexpr std::array<std::string_view, 3> kCopiedSchemes = {"gs", "s3", "minio"};

std::string Listed(const auto& schemes) {
  std::string text;
  for (const std::string_view scheme : schemes) {
    text += (text.empty() ? "" : ", ") + std::string(scheme) + "://";
  }
  return text;
}

bool IsOneOf(const auto& schemes, std::string_view scheme) {
  return std::find(schemes.begin(), schemes.end(), scheme) != schemes.end();
}

// The resolved input, or its component's default; null when there is neither.
const Value* Input(const Draft& draft, int task, const std::string& name) {
  const auto& given = draft.parameters(task);
  if (const auto found = given.find(name); found != given.end()) return &found->second;
  const auto& declared = draft.component(task).spec->input_definitions().parameters();
  const auto found = declared.find(name);
  return found == declared.end() || !found->second.has_default_value()
             ? nullptr
             : &found->second.default_value();
}

Result<std::string> UriText(const Value& value, const std::string& from) {
  if (value.kind_case() != Value::kStringValue) {
    return InvalidArgument("artifact URI from " + from + " is " + wire::ValueToGoJson(value) +
                           ", which is no text");
  }
  if (value.string_value().empty()) {
    return InvalidArgument("artifact URI from " + from + " is empty; say where the artifact is");
  }
  return value.string_value();
}

Result<std::string> ResolveUri(const Draft& draft, int task, const UriSource& source) {
  switch (source.value_case()) {
    case UriSource::kConstant:
      return UriText(ResolveConstant(draft, task, source.constant()), "the importer's constant");
    case UriSource::kConstantValue: {
      Value text;
      text.set_string_value(source.constant_value().string_value());
      return UriText(ResolveConstant(draft, task, text), "the importer's constant");
    }
    case UriSource::kRuntimeParameter: {
      const std::string& name = source.runtime_parameter();
      const Value* value = Input(draft, task, name);
      if (value == nullptr) {
        return InvalidArgument("artifact URI comes from input '" + name +
                               "', which has no value; give it one");
      }
      return UriText(*value, "input '" + name + "'");
    }
    case UriSource::VALUE_NOT_SET:
      break;
  }
  return InvalidArgument("the importer has no artifact URI; say where the artifact is");
}

// Of an instance schema, which is a YAML text, only the title counts.
std::string TypeTitle(const ml_pipelines::ArtifactTypeSchema& type) {
  if (!type.has_instance_schema()) return type.schema_title();
  std::string_view text = type.instance_schema();
  constexpr std::string_view kTitle = "title:";
  const size_t start = text.starts_with(kTitle) ? 0 : text.find("\ntitle:") + 1;
  if (!text.substr(start).starts_with(kTitle)) return "";
  text.remove_prefix(start + kTitle.size());
  text = text.substr(0, text.find('\n'));
  const size_t first = text.find_first_not_of(" \t\"'");
  if (first == text.npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(" \t\r\"'") - first + 1));
}

Status CheckUri(const Importer& importer, const v1::Artifact& artifact) {
  const std::string& uri = artifact.uri();
  const size_t colon = uri.find("://");
  const bool is_path = uri.starts_with('/');
  const std::string scheme = colon == uri.npos || is_path ? "" : uri.substr(0, colon);
  if (!is_path && !IsOneOf(kSchemes, scheme)) {
    return InvalidArgument("artifact URI \"" + uri + "\" has " +
                           (scheme.empty() ? "no scheme" : "the unknown scheme " + scheme + "://") +
                           "; known are " + Listed(kSchemes) + " and absolute paths");
  }
  const std::string title = TypeTitle(artifact.type());
  if (scheme == "oci" && title != "system.Model") {
    return InvalidArgument("artifact URI \"" + uri + "\" is an image, which can be imported as " +
                           "system.Model only, not as " +
                           (title.empty() ? "an artifact without type" : title));
  }
  if (!importer.download_to_workspace()) return {};
  if (!IsOneOf(kCopiedSchemes, scheme)) {
    return InvalidArgument("artifact URI \"" + uri +
                           "\" cannot be downloaded to the workspace, which takes " +
                           Listed(kCopiedSchemes) + "; import it without downloadToWorkspace");
  }
  return {};
}

}  // namespace

Result<v1::Artifact> ImportedArtifact(const Draft& draft, int task) {
  const spec::Component& component = draft.component(task);
  const Importer& importer = component.executor.importer();
  const auto& outputs = component.spec->output_definitions().artifacts();
  if (outputs.size() != 1) {
    return InvalidArgument("component '" + component.name + "' of the importer has " +
                           std::to_string(outputs.size()) + " output artifacts, it needs just one");
  }
  v1::Artifact artifact;
  artifact.set_name(outputs.begin()->first);
  *artifact.mutable_type() =
      importer.has_type_schema() ? importer.type_schema() : outputs.begin()->second.artifact_type();
  if (artifact.type().has_schema_uri()) {
    return InvalidArgument("the importer's type is the schema at \"" +
                           artifact.type().schema_uri() +
                           "\"; name it by schemaTitle or instanceSchema instead");
  }
  CAUDAL_ASSIGN(*artifact.mutable_uri(), ResolveUri(draft, task, importer.artifact_uri()));
  CAUDAL_TRY(CheckUri(importer, artifact));
  if (importer.has_metadata()) {
    Value metadata;
    *metadata.mutable_struct_value() = importer.metadata();
    *artifact.mutable_metadata() = ResolveConstant(draft, task, metadata).struct_value();
  }
  return artifact;
}

}  // namespace caudal::engine
