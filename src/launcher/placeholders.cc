#include "launcher/internal/placeholders.h"

#include <algorithm>
#include <utility>

#include "launcher/internal/surroundings.h"
#include "launcher/internal/uri.h"
#include "wire/json.h"

namespace caudal::launcher::internal {
namespace {

using base::InvalidArgument;
using base::Result;
using base::Status;
using google::protobuf::Value;

constexpr std::string_view kWhole = "{{$}}";
constexpr std::string_view kOpen = "{{$.";
constexpr std::string_view kClose = "}}";

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/// Takes `['name']` off the front of `*text`. Some compilers double the quotes; double ones are as
/// good.
std::optional<std::string> TakeKey(std::string_view* text) {
  for (const std::string_view quote : {"''", "'", "\""}) {
    const std::string open = "[" + std::string(quote);
    const std::string close = std::string(quote) + "]";
    if (!text->starts_with(open)) continue;
    const size_t end = text->find(close, open.size());
    if (end == std::string_view::npos || end == open.size()) return std::nullopt;
    std::string key(text->substr(open.size(), end - open.size()));
    text->remove_prefix(end + close.size());
    return key;
  }
  return std::nullopt;
}

std::optional<std::string> TakeName(std::string_view* text) {
  size_t end = 0;
  while (end < text->size() && IsNameCharacter((*text)[end])) ++end;
  if (end == 0) return std::nullopt;
  std::string name(text->substr(0, end));
  text->remove_prefix(end);
  return name;
}

bool Matches(const std::vector<PathPart>& path, size_t index, std::string_view name) {
  return index < path.size() && !path[index].is_key && path[index].name == name;
}

bool IsKey(const std::vector<PathPart>& path, size_t index) {
  return index < path.size() && path[index].is_key;
}

Value StringValue(std::string text) {
  Value value;
  value.set_string_value(std::move(text));
  return value;
}

std::string_view TrimLeft(std::string_view text) {
  const size_t start = text.find_first_not_of(" \t\r\n");
  return start == std::string_view::npos ? std::string_view() : text.substr(start);
}

const Value* Field(const Value& object, const std::string& name) {
  const auto& fields = object.struct_value().fields();
  const auto found = fields.find(name);
  return found == fields.end() ? nullptr : &found->second;
}

bool IsElement(const Value& value);

bool AreElements(const Value& value) {
  const auto& values = value.list_value().values();
  return value.has_list_value() && std::all_of(values.begin(), values.end(), IsElement);
}

bool IsBranch(const Value* value) {
  return value != nullptr && (IsElement(*value) || AreElements(*value));
}

bool IsIfPresent(const Value& body) {
  if (!body.has_struct_value()) return false;
  const Value* input = Field(body, "InputName");
  const Value* otherwise = Field(body, "Else");
  const size_t known = otherwise == nullptr ? 2 : 3;
  return input != nullptr && input->has_string_value() && IsBranch(Field(body, "Then")) &&
         (otherwise == nullptr || IsBranch(otherwise)) &&
         body.struct_value().fields().size() == known;
}

/// The grammar of execution.md 3.3: a text, or an object with the one key Concat or IfPresent.
bool IsElement(const Value& value) {
  if (value.has_string_value()) return true;
  if (!value.has_struct_value() || value.struct_value().fields().size() != 1) return false;
  const Value* parts = Field(value, "Concat");
  if (parts != nullptr) return AreElements(*parts);
  const Value* condition = Field(value, "IfPresent");
  return condition != nullptr && IsIfPresent(*condition);
}

/// The structured placeholder that `word` is, if it is one to the letter.
std::optional<Value> ParseStructured(std::string_view word) {
  const std::string_view text = TrimLeft(word);
  if (!text.starts_with('{')) return std::nullopt;
  const std::string_view key = TrimLeft(text.substr(1));
  if (!key.starts_with("\"IfPresent\"") && !key.starts_with("\"Concat\"")) return std::nullopt;
  Value value;
  if (!wire::FromJsonText(text, &value).ok() || !IsElement(value)) return std::nullopt;
  return value;
}

}  // namespace

std::optional<std::vector<PathPart>> ParsePath(std::string_view text) {
  std::vector<PathPart> path;
  while (!text.empty()) {
    const bool is_key = text.starts_with('[');
    if (!is_key && !path.empty()) {
      if (!text.starts_with('.')) return std::nullopt;
      text.remove_prefix(1);
    }
    std::optional<std::string> name = is_key ? TakeKey(&text) : TakeName(&text);
    if (!name) return std::nullopt;
    path.push_back({*std::move(name), is_key});
  }
  if (path.empty()) return std::nullopt;
  return path;
}

Placeholders::Placeholders(const v1::AttemptSpec& spec, const Places& places)
    : spec_(&spec), places_(places), values_(WithDefaults(spec)) {
  if (places.workspace.empty()) return;
  for (auto& [name, value] : values_) MoveWorkspace(places.workspace, &value);
}

Placeholders Placeholders::Make(const v1::AttemptSpec& spec, const Places& places) {
  Placeholders made(spec, places);
  made.executor_input_ =
      wire::ToJson(MakeExecutorInput(spec, places, made.values_), wire::FieldNames::kCamelCase);
  return made;
}

Result<std::string> Placeholders::Replace(std::string_view text) {
  std::string out;
  while (true) {
    const size_t start = text.find("{{$");
    if (start == std::string_view::npos) break;
    out += text.substr(0, start);
    text.remove_prefix(start);
    Text value;
    size_t length = kOpen.size() - 1;  // of what is copied when it is no placeholder: "{{$"
    if (text.starts_with(kWhole)) {
      value = executor_input_;
      length = kWhole.size();
    } else if (text.starts_with(kOpen)) {
      const size_t end = text.find(kClose);
      const auto path = end == std::string_view::npos
                            ? std::nullopt
                            : ParsePath(text.substr(kOpen.size(), end - kOpen.size()));
      if (path) {
        CAUDAL_ASSIGN(value, Lookup(*path));
        length = end + kClose.size();
      }
    }
    out += value ? *value : std::string(text.substr(0, length));
    text.remove_prefix(length);
  }
  return out.append(text);
}

Result<Placeholders::Text> Placeholders::Lookup(const std::vector<PathPart>& path) {
  if (path.size() == 1 && !path[0].is_key) return LookupJob(path[0].name);
  if (Matches(path, 0, "inputs")) return LookupInputs(path);
  if (Matches(path, 0, "outputs")) return LookupOutputs(path);
  return Text();
}

Placeholders::Text Placeholders::LookupJob(const std::string& name) const {
  const v1::JobInfo& job = spec_->job();
  if (name == "pipeline_job_name") return job.job_name();
  if (name == "pipeline_job_resource_name") return job.job_resource_name();
  if (name == "pipeline_job_uuid") return job.job_uuid();
  if (name == "pipeline_task_name") return job.task_name();
  if (name == "pipeline_task_uuid") return job.task_uuid();
  if (name == "pipeline_job_create_time_utc") return job.create_time_utc();
  if (name == "pipeline_job_schedule_time_utc") {
    return job.schedule_time_utc().empty() ? job.create_time_utc() : job.schedule_time_utc();
  }
  if (name == "pipeline_root") return job.pipeline_root();
  if (name == "workspace_path") {
    return places_.workspace.empty() ? std::string(kWorkspacePath) : places_.workspace;
  }
  if (name == "outputMetadataUri") return OutputFileForStep(*spec_, places_);
  return std::nullopt;
}

Result<Placeholders::Text> Placeholders::LookupInputs(const std::vector<PathPart>& path) {
  if (Matches(path, 1, "parameters") && IsKey(path, 2) && path.size() == 3) {
    return InputParameter(path[2].name);
  }
  if (Matches(path, 1, "artifacts") && IsKey(path, 2)) return InputArtifactText(path[2].name, path);
  return Text();
}

Result<Placeholders::Text> Placeholders::InputParameter(const std::string& name) {
  const auto value = values_.find(name);
  if (value != values_.end()) return Text(wire::ValueText(value->second));
  const auto& declared = spec_->component().input_definitions().parameters();
  const auto found = declared.find(name);
  const bool may_be_absent = spec_->parameters().count(name) > 0 ||  // given as null
                             (found != declared.end() && found->second.is_optional());
  if (may_be_absent) return Text("");
  return InvalidArgument("the command needs input parameter '" + name +
                         "', which was not given and has no default");
}

Result<Placeholders::Text> Placeholders::InputArtifactText(const std::string& name,
                                                           const std::vector<PathPart>& path) {
  const auto& declared = spec_->component().input_definitions().artifacts();
  const auto definition = declared.find(name);
  const auto given = spec_->artifacts().find(name);
  if (given == spec_->artifacts().end()) {
    if (definition != declared.end() && definition->second.is_optional()) return Text("");
    return InvalidArgument("the command needs input artifact '" + name + "', which was not given");
  }
  const auto& artifacts = given->second.artifacts();
  const bool is_list = definition != declared.end() && definition->second.is_artifact_list();
  if (path.size() == 3 && (is_list || artifacts.size() != 1)) {
    Value list;
    list.mutable_list_value();
    for (const v1::Artifact& artifact : artifacts) {
      *list.mutable_list_value()->add_values() = ArtifactValue(InputArtifact(artifact));
    }
    return Text(wire::ValueToGoJson(list));
  }
  if (artifacts.empty()) {
    return InvalidArgument("the command needs an entry of input artifact '" + name +
                           "', which is an empty list");
  }
  return ArtifactText(InputArtifact(artifacts[0]), path);
}

Result<Placeholders::Text> Placeholders::LookupOutputs(const std::vector<PathPart>& path) {
  const auto& outputs = spec_->component().output_definitions();
  if (Matches(path, 1, "output_file") && path.size() == 2) {
    return Text(OutputFileForStep(*spec_, places_));
  }
  if (!IsKey(path, 2)) return Text();
  const std::string& name = path[2].name;
  if (Matches(path, 1, "parameters") && Matches(path, 3, "output_file") && path.size() == 4) {
    if (outputs.parameters().count(name) == 0) return Text();
    return Text(places_.ParameterForStep(name));
  }
  if (!Matches(path, 1, "artifacts") || outputs.artifacts().count(name) == 0) return Text();
  return ArtifactText(OutputArtifact(*spec_, name), path);
}

std::string Placeholders::ArtifactPath(const ml_pipelines::RuntimeArtifact& artifact) const {
  const std::string path = SdkPath(artifact.uri(), artifact.metadata());
  return path.empty() ? artifact.uri() : places_.ForStep(path);
}

Value Placeholders::ArtifactValue(const ml_pipelines::RuntimeArtifact& artifact) const {
  Value value;
  auto& fields = *value.mutable_struct_value()->mutable_fields();
  fields["name"] = StringValue(artifact.name());
  fields["uri"] = StringValue(artifact.uri());
  fields["path"] = StringValue(ArtifactPath(artifact));
  *fields["metadata"].mutable_struct_value() = artifact.metadata();
  auto& type = *fields["type"].mutable_struct_value()->mutable_fields();
  if (artifact.type().has_schema_title()) {
    type["schemaTitle"] = StringValue(artifact.type().schema_title());
  }
  if (artifact.type().has_instance_schema()) {
    type["instanceSchema"] = StringValue(artifact.type().instance_schema());
  }
  if (!artifact.type().schema_version().empty()) {
    type["schemaVersion"] = StringValue(artifact.type().schema_version());
  }
  return value;
}

Result<Placeholders::Text> Placeholders::ArtifactText(const ml_pipelines::RuntimeArtifact& artifact,
                                                      const std::vector<PathPart>& path) const {
  if (path.size() == 3) return Text(wire::ValueToGoJson(ArtifactValue(artifact)));
  if (path.size() == 4) {
    if (Matches(path, 3, "uri")) return Text(artifact.uri());
    if (Matches(path, 3, "name")) return Text(artifact.name());
    if (Matches(path, 3, "path")) return Text(ArtifactPath(artifact));
  }
  if (!Matches(path, 3, "metadata")) return Text();
  if (path.size() == 4) {
    Value metadata;
    *metadata.mutable_struct_value() = artifact.metadata();
    return Text(wire::ValueToGoJson(metadata));
  }
  if (path.size() != 5 || !IsKey(path, 4)) return Text();
  const auto found = artifact.metadata().fields().find(path[4].name);
  if (found != artifact.metadata().fields().end()) return Text(wire::ValueText(found->second));
  return InvalidArgument("the command needs metadata '" + path[4].name + "' of artifact '" +
                         path[2].name + "', which does not have it");
}

bool Placeholders::IsPresent(const std::string& input) const {
  return values_.count(input) > 0 || spec_->artifacts().count(input) > 0;
}

Status Placeholders::Evaluate(const Value& element, std::vector<std::string>* words) {
  if (element.has_string_value()) {
    CAUDAL_ASSIGN(std::string word, Replace(element.string_value()));
    words->push_back(std::move(word));
    return {};
  }
  if (element.has_list_value()) {
    for (const Value& item : element.list_value().values()) CAUDAL_TRY(Evaluate(item, words));
    return {};
  }
  if (const Value* parts = Field(element, "Concat")) {
    std::vector<std::string> pieces;
    CAUDAL_TRY(Evaluate(*parts, &pieces));
    std::string joined;
    for (const std::string& piece : pieces) joined += piece;
    words->push_back(std::move(joined));
    return {};
  }
  const Value& condition = *Field(element, "IfPresent");
  const bool present = IsPresent(Field(condition, "InputName")->string_value());
  const Value* branch = Field(condition, present ? "Then" : "Else");
  return branch == nullptr ? Status() : Evaluate(*branch, words);
}

Result<std::vector<std::string>> Placeholders::Words(std::string_view element) {
  std::vector<std::string> words;
  if (const std::optional<Value> structured = ParseStructured(element)) {
    CAUDAL_TRY(Evaluate(*structured, &words));
    return words;
  }
  CAUDAL_ASSIGN(std::string word, Replace(element));
  words.push_back(std::move(word));
  return words;
}

}  // namespace caudal::launcher::internal
