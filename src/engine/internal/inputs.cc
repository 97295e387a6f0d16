#include "engine/internal/inputs.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "engine/internal/constants.h"
#include "spec/parameters.h"
#include "wire/json.h"

namespace caudal::engine {
namespace {

using base::InvalidArgument;
using base::Status;
using google::protobuf::Value;
using ml_pipelines::ComponentInputsSpec;
using ml_pipelines::ParameterType;
using ParameterSource = ml_pipelines::TaskInputsSpec::InputParameterSpec;
using ArtifactSource = ml_pipelines::TaskInputsSpec::InputArtifactSpec;

// Index of the sibling with this key in the same DAG, or -1. The plan guarantees known producers.
int Sibling(const Draft& draft, int task, const std::string& key) {
  const int dag = draft.parent(task);
  const spec::Component& component = draft.component(dag);
  const auto found = component.position.find(key);
  return found == component.position.end() ? -1 : draft.first_child(dag) + found->second;
}

template <typename M>
const typename M::mapped_type* FindIn(const M& map, const std::string& key) {
  const auto found = map.find(key);
  return found == map.end() ? nullptr : &found->second;
}

bool IsNull(const Value* value) {
  return value == nullptr || value->kind_case() == Value::kNullValue ||
         value->kind_case() == Value::KIND_NOT_SET;
}

// The value that a source names, or null when there is none; `where` says where it was looked for.
std::optional<Value> FromSource(const Draft& draft, int task, const ParameterSource& source,
                                std::string* where) {
  switch (source.kind_case()) {
    case ParameterSource::kComponentInputParameter: {
      const std::string& name = source.component_input_parameter();
      *where = "input '" + name + "' of the enclosing pipeline is null";
      const Value* value = FindIn(draft.parameters(draft.parent(task)), name);
      if (IsNull(value)) return std::nullopt;
      return *value;
    }
    case ParameterSource::kTaskOutputParameter: {
      const auto& output = source.task_output_parameter();
      *where = "task '" + output.producer_task() + "' left no output '" +
               output.output_parameter_key() + "'";
      const int producer = Sibling(draft, task, output.producer_task());
      if (producer < 0) return std::nullopt;
      const Value* value = FindIn(draft.output_parameters(producer), output.output_parameter_key());
      if (IsNull(value)) return std::nullopt;
      return *value;
    }
    case ParameterSource::kRuntimeValue:
      *where = "its constant is null";
      if (IsNull(&source.runtime_value().constant())) return std::nullopt;
      return ResolveConstant(draft, task, source.runtime_value().constant());
    default:
      *where = "it has no source";
      return std::nullopt;
  }
}

// What stands in for a missing value. An error where nothing may.
Status FillAbsent(Draft& draft, int task, const std::string& name,
                  const ComponentInputsSpec::ParameterSpec& declared, const std::string& where) {
  const bool is_dag = draft.component(task).kind == spec::ComponentKind::kDag;
  auto& parameters = *draft.Change(task).mutable_parameters();
  if (declared.has_default_value()) {
    // A container's default is added when its command line is made, as the SDK expects.
    if (is_dag || !declared.is_optional()) parameters[name] = declared.default_value();
    return {};
  }
  if (!declared.is_optional()) {
    return InvalidArgument("input '" + name + "' has no value: " + where +
                           "; give it a default or a value");
  }
  if (is_dag) parameters[name].set_null_value(google::protobuf::NULL_VALUE);
  return {};
}

Status CheckLiterals(const std::string& name, const ComponentInputsSpec::ParameterSpec& declared,
                     const Value& value) {
  if (declared.literals().empty()) return {};
  std::string allowed;
  for (const Value& literal : declared.literals()) {
    if (wire::ValueToGoJson(literal) == wire::ValueToGoJson(value)) return {};
    allowed += (allowed.empty() ? "" : ", ") + wire::ValueToGoJson(literal);
  }
  return InvalidArgument("input '" + name + "' is " + wire::ValueToGoJson(value) +
                         ", allowed are " + allowed);
}

Status ResolveParameter(Draft& draft, int task, const std::string& name,
                        const ParameterSource* source) {
  const auto* declared = FindIn(draft.component(task).spec->input_definitions().parameters(), name);
  std::string where = "nothing is connected to it";
  std::optional<Value> value;
  if (source != nullptr) value = FromSource(draft, task, *source, &where);
  if (declared == nullptr) {
    // The SDK passes further inputs for its own placeholders; they have no declared type.
    if (value) (*draft.Change(task).mutable_parameters())[name] = *std::move(value);
    return {};
  }
  if (!value) return FillAbsent(draft, task, name, *declared, where);
  CAUDAL_TRY(CheckLiterals(name, *declared, *value));
  auto converted = spec::ConvertParameter(declared->parameter_type(), *value);
  if (!converted.ok()) return Status(converted.status()).With("input '" + name + "'");
  (*draft.Change(task).mutable_parameters())[name] = *std::move(converted);
  return {};
}

const v1::ArtifactList* FindArtifacts(const Draft& draft, int task, const ArtifactSource& source,
                                      std::string* where) {
  if (source.kind_case() == ArtifactSource::kComponentInputArtifact) {
    const std::string& name = source.component_input_artifact();
    *where = "input artifact '" + name + "' of the enclosing pipeline was not given";
    return FindIn(draft.artifacts(draft.parent(task)), name);
  }
  const auto& output = source.task_output_artifact();
  *where = "task '" + output.producer_task() + "' left no artifact '" +
           output.output_artifact_key() + "'";
  const int producer = Sibling(draft, task, output.producer_task());
  return producer < 0 ? nullptr
                      : FindIn(draft.output_artifacts(producer), output.output_artifact_key());
}

Status ResolveArtifact(Draft& draft, int task, const std::string& name,
                       const ArtifactSource* source) {
  const auto* declared = FindIn(draft.component(task).spec->input_definitions().artifacts(), name);
  std::string where = "nothing is connected to it";
  const v1::ArtifactList* artifacts =
      source == nullptr ? nullptr : FindArtifacts(draft, task, *source, &where);
  if (artifacts != nullptr) {
    (*draft.Change(task).mutable_artifacts())[name] = *artifacts;
    return {};
  }
  if (declared == nullptr || declared->is_optional()) return {};
  return InvalidArgument("input artifact '" + name + "' is missing: " + where);
}

// Names of wired and of declared inputs together; constants that refer to other inputs come last,
// so that what they refer to is there.
template <typename Declared, typename Wired, typename IsLate>
std::vector<std::string> InputNames(const Declared& declared, const Wired& wired, IsLate is_late) {
  std::vector<std::string> early;
  std::vector<std::string> late;
  for (const auto& [name, source] : wired) (is_late(source) ? late : early).push_back(name);
  for (const auto& [name, definition] : declared) {
    if (wired.count(name) == 0) early.push_back(name);
  }
  std::sort(early.begin(), early.end());
  std::sort(late.begin(), late.end());
  early.insert(early.end(), late.begin(), late.end());
  return early;
}

}  // namespace

Status ResolveInputs(Draft& draft, int task) {
  const auto& inputs = draft.plan(task).spec->inputs();
  const auto& declared = draft.component(task).spec->input_definitions();
  const auto refers = [](const ParameterSource& source) {
    return source.has_runtime_value() && RefersToInput(source.runtime_value().constant());
  };
  for (const auto& name : InputNames(declared.parameters(), inputs.parameters(), refers)) {
    CAUDAL_TRY(ResolveParameter(draft, task, name, FindIn(inputs.parameters(), name)));
  }
  const auto never = [](const ArtifactSource&) { return false; };
  for (const auto& name : InputNames(declared.artifacts(), inputs.artifacts(), never)) {
    CAUDAL_TRY(ResolveArtifact(draft, task, name, FindIn(inputs.artifacts(), name)));
  }
  return {};
}

void ResolveDagOutputs(Draft& draft, int dag) {
  const spec::Component& component = draft.component(dag);
  const auto& outputs = component.spec->dag().outputs();
  const auto child = [&](const std::string& key) {
    const auto found = component.position.find(key);
    return found == component.position.end() ? -1 : draft.first_child(dag) + found->second;
  };
  for (const auto& [name, output] : outputs.parameters()) {
    const auto& selector = output.value_from_parameter();
    const int producer = child(selector.producer_subtask());
    if (producer < 0) continue;
    const Value* value = FindIn(draft.output_parameters(producer), selector.output_parameter_key());
    if (value == nullptr) continue;
    const Value copy = *value;  // Change may move what `value` points at
    (*draft.Change(dag).mutable_output_parameters())[name] = copy;
  }
  for (const auto& [name, output] : outputs.artifacts()) {
    if (output.artifact_selectors().empty()) continue;
    const auto& selector = output.artifact_selectors(0);
    const int producer = child(selector.producer_subtask());
    if (producer < 0) continue;
    const v1::ArtifactList* artifacts =
        FindIn(draft.output_artifacts(producer), selector.output_artifact_key());
    if (artifacts == nullptr) continue;
    const v1::ArtifactList copy = *artifacts;
    (*draft.Change(dag).mutable_output_artifacts())[name] = copy;
  }
}

}  // namespace caudal::engine
