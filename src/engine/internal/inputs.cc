#include "engine/internal/inputs.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "base/utf8.h"
#include "engine/internal/constants.h"
#include "engine/internal/values.h"
#include "model/task.h"
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

bool IsNull(const Value* value) {
  return value == nullptr || value->kind_case() == Value::kNullValue ||
         value->kind_case() == Value::KIND_NOT_SET;
}

// An input of the enclosing DAG. An iteration records its own item only: the rest is its loop's.
const Value* InputOf(const Draft& draft, int dag, const std::string& name) {
  const Value* value = FindIn(draft.parameters(dag), name);
  if (value != nullptr || !draft.is_iteration(dag)) return value;
  return FindIn(draft.parameters(draft.parent(dag)), name);
}

const v1::ArtifactList* InputArtifactOf(const Draft& draft, int dag, const std::string& name) {
  const v1::ArtifactList* artifacts = FindIn(draft.artifacts(dag), name);
  if (artifacts != nullptr || !draft.is_iteration(dag)) return artifacts;
  return FindIn(draft.artifacts(draft.parent(dag)), name);
}

// How a task ended, as an exit task is told it (names as upstream's backend gives them).
Value FinalStatus(const Draft& draft, int producer) {
  const v1::TaskState state = draft.task_state(producer);
  const bool is_success = model::IsSuccess(state);
  const bool is_failure = state == v1::FAILED && draft.phase() != v1::RUN_CANCELING;
  Value status;
  auto& fields = *status.mutable_struct_value()->mutable_fields();
  fields["state"].set_string_value(is_success ? "COMPLETE" : is_failure ? "FAILED" : "CANCELED");
  fields["pipelineJobResourceName"].set_string_value(draft.info().resource_name());
  fields["pipelineTaskName"].set_string_value(draft.name(producer));
  auto& error = *fields["error"].mutable_struct_value()->mutable_fields();
  if (is_failure) {
    error["code"].set_number_value(1);
    error["message"].set_string_value(draft.error(producer));
  }
  return status;
}

}  // namespace

std::optional<Value> ValueOfSource(const Draft& draft, int task, const ParameterSource& source,
                                   std::string* where) {
  switch (source.kind_case()) {
    case ParameterSource::kComponentInputParameter: {
      const std::string& name = source.component_input_parameter();
      *where = "input '" + name + "' of the enclosing pipeline is null";
      const Value* value = InputOf(draft, draft.parent(task), name);
      if (IsNull(value)) return std::nullopt;
      return *value;
    }
    case ParameterSource::kTaskOutputParameter: {
      const auto& output = source.task_output_parameter();
      const int producer = Sibling(draft, task, output.producer_task());
      *where = "task '" + output.producer_task() + "' left no output '" +
               output.output_parameter_key() + "'";
      if (producer < 0) return std::nullopt;
      const Value* value = FindIn(draft.output_parameters(producer), output.output_parameter_key());
      if (IsNull(value)) return std::nullopt;
      return *value;
    }
    case ParameterSource::kRuntimeValue:
      *where = "its constant is null";
      if (IsNull(&source.runtime_value().constant())) return std::nullopt;
      return ResolveConstant(draft, task, source.runtime_value().constant());
    case ParameterSource::kTaskFinalStatus: {
      const std::string& name = source.task_final_status().producer_task();
      const int producer = Sibling(draft, task, name);
      *where = "there is no task '" + name + "' beside it";
      if (producer < 0) return std::nullopt;
      return FinalStatus(draft, producer);
    }
    default:
      *where = "it has no source";
      return std::nullopt;
  }
}

namespace {

// What stands in for a missing value. An error where nothing may.
Status FillAbsent(Draft& draft, int task, const std::string& name,
                  const ComponentInputsSpec::ParameterSpec& declared, bool may_be_null,
                  const std::string& where) {
  const bool is_dag = draft.is_dag(task);
  auto& parameters = *draft.Change(task).mutable_parameters();
  if (declared.has_default_value()) {
    // A container's default is added when its command line is made, as the SDK expects.
    if (is_dag || !declared.is_optional()) parameters[name] = declared.default_value();
    return {};
  }
  if (!declared.is_optional() && !(is_dag && may_be_null)) {
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

// The item of a loop is set per iteration.
bool IsLoopItem(const Draft& draft, int task, const std::string& name) {
  return draft.is_loop(task) && draft.plan(task).loop->item_input == name;
}

bool IsLoopOver(const Draft& draft, int task, const std::string& name) {
  return draft.is_loop(task) && draft.plan(task).loop->items_input == name;
}

Status ResolveParameter(Draft& draft, int task, const std::string& name,
                        const ParameterSource* source) {
  const auto* declared = FindIn(draft.component(task).spec->input_definitions().parameters(), name);
  const bool is_config =
      declared != nullptr && declared->parameter_type() == ParameterType::TASK_CONFIG;
  if (is_config || (source == nullptr && IsLoopItem(draft, task, name))) return {};
  std::string where = "nothing is connected to it";
  std::optional<Value> value;
  if (source != nullptr) value = ValueOfSource(draft, task, *source, &where);
  if (value && declared != nullptr) CAUDAL_TRY(CheckLiterals(name, *declared, *value));
  const auto selector = draft.plan(task).selectors.find(name);
  if (value && selector != draft.plan(task).selectors.end()) {
    auto selected = expr::EvaluateSelector(*selector->second, *value);
    if (!selected.ok()) {
      return Status(selected.status())
          .With("input '" + name + "': " + expr::TextOf(*selector->second));
    }
    value = *std::move(selected);
  }
  if (declared == nullptr) {
    // The SDK passes further inputs for its own placeholders; they have no declared type.
    if (value) (*draft.Change(task).mutable_parameters())[name] = *std::move(value);
    return {};
  }
  if (!value) {
    // The SDK declares what its groups pass on as required, whatever the pipeline's input is.
    const bool may_be_null = source != nullptr && source->has_component_input_parameter();
    return FillAbsent(draft, task, name, *declared, may_be_null, where);
  }
  // What a loop goes over may be text that holds the list.
  const bool is_text_of_items = IsLoopOver(draft, task, name) && value->has_string_value();
  if (!is_text_of_items) {
    auto converted = spec::ConvertParameter(declared->parameter_type(), *value);
    if (!converted.ok()) return Status(converted.status()).With("input '" + name + "'");
    value = *std::move(converted);
  }
  (*draft.Change(task).mutable_parameters())[name] = *std::move(value);
  return {};
}

const v1::ArtifactList* FindArtifacts(const Draft& draft, int task, const ArtifactSource& source,
                                      std::string* where) {
  if (source.kind_case() == ArtifactSource::kComponentInputArtifact) {
    const std::string& name = source.component_input_artifact();
    *where = "input artifact '" + name + "' of the enclosing pipeline was not given";
    return InputArtifactOf(draft, draft.parent(task), name);
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
  if (source == nullptr && IsLoopItem(draft, task, name)) return {};
  const auto* declared = FindIn(draft.component(task).spec->input_definitions().artifacts(), name);
  std::string where = "nothing is connected to it";
  const v1::ArtifactList* artifacts =
      source == nullptr ? nullptr : FindArtifacts(draft, task, *source, &where);
  if (artifacts != nullptr) {
    (*draft.Change(task).mutable_artifacts())[name] = *artifacts;
    return {};
  }
  if (declared == nullptr || declared->is_optional()) return {};
  // Groups pass on what there is: the step that needs it says what is missing.
  if (source != nullptr && draft.is_dag(task) && !IsLoopOver(draft, task, name)) return {};
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

base::Result<google::protobuf::ListValue> LoopItems(const Draft& draft, int loop) {
  const spec::LoopPlan& plan = *draft.plan(loop).loop;
  if (plan.over == spec::LoopPlan::Over::kRawList) return plan.raw;
  const Value* items = FindIn(draft.parameters(loop), plan.items_input);
  if (IsNull(items)) {
    return InvalidArgument("input '" + plan.items_input + "' has no list to iterate over");
  }
  if (items->has_list_value()) return items->list_value();
  if (items->has_string_value()) {
    Value parsed;
    const Status read = wire::FromJsonText(items->string_value(), &parsed);
    if (read.ok()) return parsed.list_value();
  }
  constexpr size_t kShown = 60;
  return InvalidArgument("input '" + plan.items_input + "' is " +
                         base::Shortened(wire::ValueToGoJson(*items), kShown) +
                         ": only a list can be iterated over");
}

}  // namespace caudal::engine
