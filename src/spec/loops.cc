#include <boost/json.hpp>

#include "spec/internal/check.h"
#include "spec/parameters.h"
#include "wire/json.h"

namespace caudal::spec::internal {
namespace {

using google::protobuf::Value;
using ml_pipelines::PipelineTaskSpec;

/// Reads a list that stands in the pipeline itself.
void ReadRaw(const std::string& text, const std::string& path, LoopPlan* loop, Faults* faults) {
  const auto json = wire::ParseJson(text);
  if (!json.ok() || !json->is_array()) {
    return faults->Report(
        path, "wants a JSON list, got \"" + text.substr(0, 60) + (text.size() > 60 ? "…\"" : "\""));
  }
  Value list = wire::ToValue(*json);
  if (wire::ValueDepth(list) > wire::kMaxValueDepth) {
    return faults->Report(path, "is nested deeper than " + std::to_string(wire::kMaxValueDepth) +
                                    " levels, give items as JSON text in strings");
  }
  loop->raw.Swap(list.mutable_list_value());
}

void ReadParameterLoop(const ml_pipelines::ParameterIteratorSpec& iterator, const std::string& path,
                       LoopPlan* loop, Faults* faults) {
  using Items = ml_pipelines::ParameterIteratorSpec::ItemsSpec;
  loop->item_input = iterator.item_input();
  if (iterator.items().kind_case() == Items::kRaw) {
    return ReadRaw(iterator.items().raw(), path + ".items.raw", loop, faults);
  }
  loop->over = LoopPlan::Over::kParameter;
  loop->items_input = iterator.items().input_parameter();
}

std::string PathOf(const LoopPlan& loop, const std::string& task) {
  return task +
         (loop.over == LoopPlan::Over::kArtifacts ? ".artifactIterator" : ".parameterIterator");
}

/// Whether the list has somewhere to come from. A body may declare a list of its own.
bool HasItems(const TaskPlan& task, const ml_pipelines::ComponentInputsSpec& body) {
  const LoopPlan& loop = *task.loop;
  if (loop.over == LoopPlan::Over::kRawList) return true;
  if (loop.over == LoopPlan::Over::kArtifacts) {
    return task.spec->inputs().artifacts().contains(loop.items_input);
  }
  if (task.spec->inputs().parameters().contains(loop.items_input)) return true;
  const auto declared = body.parameters().find(loop.items_input);
  return declared != body.parameters().end() && declared->second.has_default_value();
}

}  // namespace

std::shared_ptr<const LoopPlan> ReadLoop(const PipelineTaskSpec& task, const std::string& path,
                                         Faults* faults) {
  auto loop = std::make_shared<LoopPlan>();
  if (task.has_artifact_iterator()) {
    loop->over = LoopPlan::Over::kArtifacts;
    loop->items_input = task.artifact_iterator().items().input_artifact();
    loop->item_input = task.artifact_iterator().item_input();
  } else if (task.has_parameter_iterator()) {
    ReadParameterLoop(task.parameter_iterator(), PathOf(*loop, path), loop.get(), faults);
  } else {
    return nullptr;
  }
  if (loop->over != LoopPlan::Over::kRawList && loop->items_input.empty()) {
    faults->Report(PathOf(*loop, path) + ".items", "is missing: say what the loop goes over");
  }
  loop->parallelism = task.iterator_policy().parallelism_limit();
  if (loop->parallelism < 0) {
    faults->Report(path + ".iteratorPolicy.parallelismLimit",
                   "wants 0 (no limit) or more, got " + std::to_string(loop->parallelism));
  }
  return loop;
}

void CheckLoop(const TaskPlan& task, const Component& body, const std::string& path,
               Faults* faults) {
  const LoopPlan& loop = *task.loop;
  const auto& inputs = body.spec->input_definitions();
  const std::string here = PathOf(loop, path);
  if (!loop.items_input.empty() && !HasItems(task, inputs)) {
    faults->Report(here + ".items",
                   "task '" + task.name + "' has no such input '" + loop.items_input + "'");
  }
  const auto declared = inputs.parameters().find(loop.item_input);
  const bool is_declared = loop.over == LoopPlan::Over::kArtifacts
                               ? inputs.artifacts().contains(loop.item_input)
                               : declared != inputs.parameters().end();
  if (!is_declared) {
    return faults->Report(here + ".itemInput", "component '" + body.name + "' has no such input '" +
                                                   loop.item_input + "'");
  }
  const bool takes_text = !loop.raw.values().empty() &&
                          declared->second.parameter_type() == ml_pipelines::ParameterType::STRING;
  for (int i = 0; i < loop.raw.values_size() && !faults->full(); ++i) {
    const bool is_null = loop.raw.values(i).kind_case() == Value::kNullValue;
    if (is_null && takes_text) continue;  // an empty text
    CheckConstant(loop.raw.values(i), declared->second, true,
                  here + ".items.raw[" + std::to_string(i) + "]", faults);
  }
}

LoopItems FindLoopItems(const Plan& plan) {
  LoopItems items;
  for (const Component& component : plan.components) {
    for (const TaskPlan& task : component.tasks) {
      if (task.component == kUnknownComponent || !task.loop) continue;
      items[&plan.components[task.component]].insert(task.loop->item_input);
    }
  }
  return items;
}

}  // namespace caudal::spec::internal
