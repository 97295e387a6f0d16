#include "engine/internal/outputs.h"

#include "engine/internal/values.h"
#include "model/task.h"

namespace caudal::engine {
namespace {

using google::protobuf::Value;
using ml_pipelines::DagOutputsSpec;

int Child(const Draft& draft, int dag, const std::string& key) {
  const auto& position = draft.component(dag).position;
  const auto found = position.find(key);
  return found == position.end() ? -1 : draft.first_child(dag) + found->second;
}

// The candidates of an output of parameters, in listed order.
std::vector<const DagOutputsSpec::ParameterSelectorSpec*> SelectorsOf(
    const DagOutputsSpec::DagOutputParameterSpec& output) {
  std::vector<const DagOutputsSpec::ParameterSelectorSpec*> selectors;
  if (output.has_value_from_parameter()) selectors.push_back(&output.value_from_parameter());
  for (const auto& selector : output.value_from_oneof().parameter_selectors()) {
    selectors.push_back(&selector);
  }
  return selectors;
}

const Value* SelectParameter(const Draft& draft, int dag,
                             const DagOutputsSpec::DagOutputParameterSpec& output) {
  for (const auto* selector : SelectorsOf(output)) {
    const int producer = Child(draft, dag, selector->producer_subtask());
    if (producer < 0 || !model::IsSuccess(draft.task_state(producer))) continue;
    const Value* value =
        FindIn(draft.output_parameters(producer), selector->output_parameter_key());
    if (value != nullptr) return value;
  }
  return nullptr;
}

const v1::ArtifactList* SelectArtifacts(const Draft& draft, int dag,
                                        const DagOutputsSpec::DagOutputArtifactSpec& output) {
  for (const auto& selector : output.artifact_selectors()) {
    const int producer = Child(draft, dag, selector.producer_subtask());
    if (producer < 0 || !model::IsSuccess(draft.task_state(producer))) continue;
    const v1::ArtifactList* artifacts =
        FindIn(draft.output_artifacts(producer), selector.output_artifact_key());
    if (artifacts != nullptr) return artifacts;
  }
  return nullptr;
}

// Whether an output of a DAG is itself what a loop in it gathered.
bool IsGathered(const spec::Plan& plan, const spec::Component& dag, const std::string& name) {
  const auto* output = FindIn(dag.spec->dag().outputs().parameters(), name);
  if (output == nullptr) return false;
  for (const auto* selector : SelectorsOf(*output)) {
    const auto producer = dag.position.find(selector->producer_subtask());
    if (producer == dag.position.end()) continue;
    const spec::TaskPlan& task = dag.tasks[static_cast<size_t>(producer->second)];
    if (task.loop != nullptr) return true;
    const spec::Component& inner = plan.components[static_cast<size_t>(task.component)];
    if (inner.kind == spec::ComponentKind::kDag &&
        IsGathered(plan, inner, selector->output_parameter_key())) {
      return true;
    }
  }
  return false;
}

}  // namespace

void ResolveDagOutputs(Draft& draft, int dag) {
  const auto& outputs = draft.component(dag).spec->dag().outputs();
  for (const auto& [name, output] : outputs.parameters()) {
    const Value* value = SelectParameter(draft, dag, output);
    if (value == nullptr) continue;
    const Value copy = *value;  // Change may move what `value` points at
    (*draft.Change(dag).mutable_output_parameters())[name] = copy;
  }
  for (const auto& [name, output] : outputs.artifacts()) {
    const v1::ArtifactList* artifacts = SelectArtifacts(draft, dag, output);
    if (artifacts == nullptr) continue;
    const v1::ArtifactList copy = *artifacts;
    (*draft.Change(dag).mutable_output_artifacts())[name] = copy;
  }
}

void ResolveLoopOutputs(Draft& draft, int loop) {
  const spec::Component& body = draft.component(loop);
  const auto& outputs = body.spec->dag().outputs();
  const int count = draft.iteration_count(loop);
  v1::Task& change = draft.Change(loop);
  for (const auto& [name, output] : outputs.parameters()) {
    const bool is_flat =
        draft.info().flatten_collected() && IsGathered(draft.state().plan(), body, name);
    auto& list = *(*change.mutable_output_parameters())[name].mutable_list_value();
    for (int i = 0; i < count; ++i) {
      const Value* value = FindIn(draft.output_parameters(draft.iteration(loop, i)), name);
      if (value == nullptr) continue;
      if (is_flat && value->has_list_value()) {
        list.MergeFrom(value->list_value());
      } else {
        *list.add_values() = *value;
      }
    }
  }
  for (const auto& [name, output] : outputs.artifacts()) {
    v1::ArtifactList& list = (*change.mutable_output_artifacts())[name];
    for (int i = 0; i < count; ++i) {
      const auto* artifacts = FindIn(draft.output_artifacts(draft.iteration(loop, i)), name);
      if (artifacts != nullptr) list.MergeFrom(*artifacts);
    }
  }
}

}  // namespace caudal::engine
