#include <algorithm>
#include <boost/json.hpp>
#include <set>

#include "spec/internal/check.h"
#include "spec/parameters.h"
#include "wire/json.h"

namespace caudal::spec::internal {
namespace {

using google::protobuf::Value;
using ml_pipelines::ComponentInputsSpec;
using ml_pipelines::ComponentSpec;
using ml_pipelines::ParameterType;
using ml_pipelines::PipelineTaskSpec;
using ml_pipelines::TaskInputsSpec;

bool IsLoop(const PipelineTaskSpec& task) {
  return task.has_parameter_iterator() || task.has_artifact_iterator();
}

const std::string& ItemInput(const PipelineTaskSpec& task) {
  return task.has_artifact_iterator() ? task.artifact_iterator().item_input()
                                      : task.parameter_iterator().item_input();
}

/// The input a loop takes its items from, or empty when they are in the pipeline itself.
const std::string& ItemsInput(const PipelineTaskSpec& task) {
  return task.has_artifact_iterator() ? task.artifact_iterator().items().input_artifact()
                                      : task.parameter_iterator().items().input_parameter();
}

bool HasPlaceholder(const Value& value) {
  return value.kind_case() == Value::kStringValue &&
         value.string_value().find("{{$") != std::string::npos;
}

/// Items of loops are declared STRING when their type is unknown, so their declaration binds
/// nobody.
bool IsLoopItem(const std::string& input) { return input.find("loop-item") != std::string::npos; }

/// What a source is declared as, with words for messages.
struct Declared {
  TypeEnum type = ParameterType::PARAMETER_TYPE_ENUM_UNSPECIFIED;
  std::string what;  // "output 'Output' of task 'make'"
};

/// Checks the inputs of the tasks of one DAG.
class Checker {
 public:
  Checker(const Plan& plan, std::set<std::string> items, const Component& dag, Faults* faults)
      : plan_(plan), dag_(dag), faults_(*faults), items_(std::move(items)) {}

  void CheckTask(const TaskPlan& task) {
    const std::string path = TaskPath(dag_, task.name);
    const ComponentSpec& component = *plan_.components[task.component].spec;
    CheckIterator(task, component, path);
    for (const std::string& name : Sorted(task.spec->inputs().parameters())) {
      CheckParameter(task, component, name, path + ".inputs.parameters." + name);
    }
    for (const std::string& name : Sorted(task.spec->inputs().artifacts())) {
      CheckArtifact(task, component, name, path + ".inputs.artifacts." + name);
    }
    CheckNothingMissing(task, component, path);
  }

  /// Checks where a parameter comes from; the declaration of the source, if it is known.
  Declared CheckSource(const ParameterSource& source, const std::string& path) {
    switch (source.kind_case()) {
      case ParameterSource::kTaskOutputParameter:
        return CheckTaskOutput(source, path);
      case ParameterSource::kComponentInputParameter:
        return CheckComponentInput(source, path);
      case ParameterSource::kRuntimeValue:
        CheckRuntimeValue(source.runtime_value(), path);
        break;
      case ParameterSource::kTaskFinalStatus:
        FindTask(source.task_final_status().producer_task(),
                 path + ".taskFinalStatus.producerTask");
        break;
      case ParameterSource::KIND_NOT_SET:
        faults_.Report(path,
                       "says nowhere where its value comes from, wants one of runtimeValue, "
                       "componentInputParameter, taskOutputParameter, taskFinalStatus");
        break;
    }
    return {};
  }

 private:
  template <typename Map>
  static std::vector<std::string> Sorted(const Map& map) {
    std::vector<std::string> keys = KeysOf(map);
    std::sort(keys.begin(), keys.end());
    return keys;
  }

  const TaskPlan* FindTask(const std::string& name, const std::string& path) {
    const auto found = dag_.position.find(name);
    if (found != dag_.position.end()) return &dag_.tasks[found->second];
    faults_.Report(path, "there is no task '" + name + "' in this dag" +
                             faults_.DidYouMean(name, dag_.position));
    return nullptr;
  }

  Declared CheckTaskOutput(const ParameterSource& source, const std::string& path) {
    const auto& output = source.task_output_parameter();
    const std::string here = path + ".taskOutputParameter";
    const TaskPlan* producer = FindTask(output.producer_task(), here + ".producerTask");
    if (producer == nullptr || producer->component == kUnknownComponent) return {};
    const auto& outputs =
        plan_.components[producer->component].spec->output_definitions().parameters();
    const auto declared = outputs.find(output.output_parameter_key());
    if (declared == outputs.end()) {
      faults_.Report(here + ".outputParameterKey",
                     "task '" + producer->name + "' has no output parameter '" +
                         output.output_parameter_key() + "'" +
                         faults_.DidYouMean(output.output_parameter_key(), outputs));
      return {};
    }
    if (IsLoop(*producer->spec)) return {};  // a list of what is declared, or declared as that list
    return {declared->second.parameter_type(),
            "output '" + output.output_parameter_key() + "' of task '" + producer->name + "'"};
  }

  Declared CheckComponentInput(const ParameterSource& source, const std::string& path) {
    const std::string& name = source.component_input_parameter();
    const auto& inputs = dag_.spec->input_definitions().parameters();
    const auto declared = inputs.find(name);
    if (declared == inputs.end()) {
      faults_.Report(path + ".componentInputParameter", "component '" + dag_.name +
                                                            "' has no input parameter '" + name +
                                                            "'" + faults_.DidYouMean(name, inputs));
      return {};
    }
    if (IsLoopItem(name) || items_.contains(name)) return {};
    return {declared->second.parameter_type(),
            "input '" + name + "' of component '" + dag_.name + "'"};
  }

  void CheckRuntimeValue(const ml_pipelines::ValueOrRuntimeParameter& value,
                         const std::string& path) {
    using Kind = ml_pipelines::ValueOrRuntimeParameter;
    if (value.value_case() == Kind::kConstant) return;
    const bool is_old = value.value_case() == Kind::kConstantValue;
    faults_.Report(path + ".runtimeValue",
                   is_old ? "constantValue is no longer read, give the value as constant"
                          : "wants a constant");
  }

  void CheckParameter(const TaskPlan& task, const ComponentSpec& component, const std::string& name,
                      const std::string& path) {
    const ParameterSource& source = task.spec->inputs().parameters().at(name);
    const Declared from = CheckSource(source, path);
    const auto& inputs = component.input_definitions().parameters();
    const auto declared = inputs.find(name);
    if (declared == inputs.end()) {
      // Inputs that placeholders in constants refer to are not declared, and are passed through.
      if (component.input_definitions().artifacts().contains(name)) {
        faults_.Report(path, "is an artifact of component '" + task.spec->component_ref().name() +
                                 "', give it under inputs.artifacts");
      }
      return;
    }
    const bool is_iterated =
        IsLoop(*task.spec) && (name == ItemInput(*task.spec) || name == ItemsInput(*task.spec));
    if (is_iterated || !source.parameter_expression_selector().empty()) return;
    if (source.runtime_value().has_constant()) {
      return CheckConstant(source.runtime_value().constant(), declared->second,
                           path + ".runtimeValue.constant");
    }
    if (!CanConvert(from.type, declared->second.parameter_type())) {
      faults_.Report(path, "wants " + TypeName(declared->second.parameter_type()) + ", but " +
                               from.what + " is " + TypeName(from.type));
    }
  }

  void CheckConstant(const Value& constant, const ComponentInputsSpec::ParameterSpec& declared,
                     const std::string& path) {
    if (HasPlaceholder(constant)) return;
    if (constant.kind_case() == Value::kNullValue) {
      if (!declared.is_optional()) faults_.Report(path, "is null, but the input is not optional");
      return;
    }
    if (declared.parameter_type() == ParameterType::PARAMETER_TYPE_ENUM_UNSPECIFIED) return;
    const auto converted = ConvertParameter(declared.parameter_type(), constant);
    if (!converted.ok()) faults_.Report(path, converted.status().message());
  }

  void CheckArtifact(const TaskPlan& task, const ComponentSpec& component, const std::string& name,
                     const std::string& path) {
    const auto& source = task.spec->inputs().artifacts().at(name);
    std::string what;
    bool is_list = false;
    if (source.has_task_output_artifact()) {
      if (!FindTaskOutput(source.task_output_artifact(), path, &what, &is_list)) return;
    } else if (source.kind_case() == TaskInputsSpec::InputArtifactSpec::kComponentInputArtifact) {
      if (!FindComponentInput(source.component_input_artifact(), path, &what, &is_list)) return;
    } else {
      return faults_.Report(path,
                            "says nowhere where it comes from, wants taskOutputArtifact or "
                            "componentInputArtifact");
    }
    const auto& inputs = component.input_definitions().artifacts();
    const auto declared = inputs.find(name);
    if (declared == inputs.end() || IsLoop(*task.spec) || what.empty()) return;
    if (declared->second.is_artifact_list() == is_list) return;
    faults_.Report(path, is_list ? "wants one artifact, but " + what + " is a list"
                                 : "wants a list of artifacts, but " + what + " is a single one");
  }

  /// False when there is a fault. `what` stays empty when list or not cannot be told.
  bool FindTaskOutput(const TaskInputsSpec::InputArtifactSpec::TaskOutputArtifactSpec& output,
                      const std::string& path, std::string* what, bool* is_list) {
    const std::string here = path + ".taskOutputArtifact";
    const TaskPlan* producer = FindTask(output.producer_task(), here + ".producerTask");
    if (producer == nullptr || producer->component == kUnknownComponent) return false;
    const auto& outputs =
        plan_.components[producer->component].spec->output_definitions().artifacts();
    const auto declared = outputs.find(output.output_artifact_key());
    if (declared == outputs.end()) {
      faults_.Report(here + ".outputArtifactKey",
                     "task '" + producer->name + "' has no output artifact '" +
                         output.output_artifact_key() + "'" +
                         faults_.DidYouMean(output.output_artifact_key(), outputs));
      return false;
    }
    if (IsLoop(*producer->spec)) return true;
    *what = "output '" + output.output_artifact_key() + "' of task '" + producer->name + "'";
    *is_list = declared->second.is_artifact_list();
    return true;
  }

  bool FindComponentInput(const std::string& name, const std::string& path, std::string* what,
                          bool* is_list) {
    const auto& inputs = dag_.spec->input_definitions().artifacts();
    const auto declared = inputs.find(name);
    if (declared == inputs.end()) {
      faults_.Report(path + ".componentInputArtifact", "component '" + dag_.name +
                                                           "' has no input artifact '" + name +
                                                           "'" + faults_.DidYouMean(name, inputs));
      return false;
    }
    if (IsLoopItem(name) || items_.contains(name)) return true;
    *what = "input '" + name + "' of component '" + dag_.name + "'";
    *is_list = declared->second.is_artifact_list();
    return true;
  }

  void CheckNothingMissing(const TaskPlan& task, const ComponentSpec& component,
                           const std::string& path) {
    const std::string item = IsLoop(*task.spec) ? ItemInput(*task.spec) : "";
    const auto& parameters = component.input_definitions().parameters();
    for (const std::string& name : Sorted(parameters)) {
      const auto& declared = parameters.at(name);
      const bool is_filled = declared.is_optional() || declared.has_default_value() ||
                             declared.parameter_type() == ParameterType::TASK_CONFIG ||
                             name == item || task.spec->inputs().parameters().contains(name);
      if (is_filled) continue;
      faults_.Report(path + ".inputs.parameters",
                     "input '" + name + "' is required by component '" +
                         task.spec->component_ref().name() + "' and has no default, give it");
    }
    const auto& artifacts = component.input_definitions().artifacts();
    for (const std::string& name : Sorted(artifacts)) {
      const bool is_filled = artifacts.at(name).is_optional() || name == item ||
                             task.spec->inputs().artifacts().contains(name);
      if (is_filled) continue;
      faults_.Report(path + ".inputs.artifacts", "input '" + name + "' is required by component '" +
                                                     task.spec->component_ref().name() +
                                                     "', give it");
    }
  }

  void CheckIterator(const TaskPlan& task, const ComponentSpec& component,
                     const std::string& path) {
    if (!IsLoop(*task.spec)) return;
    const bool of_artifacts = task.spec->has_artifact_iterator();
    const std::string here = path + (of_artifacts ? ".artifactIterator" : ".parameterIterator");
    const std::string& item = ItemInput(*task.spec);
    const auto& inputs = component.input_definitions();
    const bool is_declared =
        of_artifacts ? inputs.artifacts().contains(item) : inputs.parameters().contains(item);
    if (!is_declared) {
      faults_.Report(here + ".itemInput", "component '" + task.spec->component_ref().name() +
                                              "' has no such input '" + item + "'");
    }
    CheckItems(task, here + ".items");
    if (task.spec->iterator_policy().parallelism_limit() < 0) {
      faults_.Report(path + ".iteratorPolicy.parallelismLimit",
                     "wants 0 (no limit) or more, got " +
                         std::to_string(task.spec->iterator_policy().parallelism_limit()));
    }
  }

  void CheckItems(const TaskPlan& task, const std::string& path) {
    using Items = ml_pipelines::ParameterIteratorSpec::ItemsSpec;
    const auto& items = task.spec->parameter_iterator().items();
    if (items.kind_case() == Items::kRaw) {
      const auto list = wire::ParseJson(items.raw());
      if (list.ok() && list->is_array()) return;
      return faults_.Report(path + ".raw",
                            "wants a JSON list, got \"" + items.raw().substr(0, 60) + "\"");
    }
    const std::string& name = ItemsInput(*task.spec);
    const bool is_given = task.spec->has_artifact_iterator()
                              ? task.spec->inputs().artifacts().contains(name)
                              : task.spec->inputs().parameters().contains(name);
    if (is_given) return;
    faults_.Report(path, name.empty()
                             ? "is missing: say what the loop goes over"
                             : "task '" + task.name + "' has no such input '" + name + "'");
  }

  const Plan& plan_;
  const Component& dag_;
  Faults& faults_;
  const std::set<std::string> items_;  // inputs that hold an item of a loop with this body
};

bool IsNumber(TypeEnum type) {
  return type == ParameterType::NUMBER_DOUBLE || type == ParameterType::NUMBER_INTEGER;
}

bool IsObject(TypeEnum type) {
  return type == ParameterType::STRUCT || type == ParameterType::TASK_FINAL_STATUS ||
         type == ParameterType::TASK_CONFIG;
}

}  // namespace

bool CanConvert(TypeEnum from, TypeEnum to) {
  constexpr TypeEnum kUnknown = ParameterType::PARAMETER_TYPE_ENUM_UNSPECIFIED;
  if (from == kUnknown || to == kUnknown || from == to || to == ParameterType::STRING) return true;
  return (IsNumber(from) && IsNumber(to)) || (IsObject(from) && IsObject(to));
}

LoopItems FindLoopItems(const Plan& plan) {
  LoopItems items;
  for (const Component& component : plan.components) {
    for (const TaskPlan& task : component.tasks) {
      if (task.component == kUnknownComponent || !IsLoop(*task.spec)) continue;
      items[&plan.components[task.component]].insert(ItemInput(*task.spec));
    }
  }
  return items;
}

void CheckInputs(const Plan& plan, const LoopItems& items, const Component& dag, Faults* faults) {
  const auto own = items.find(&dag);
  Checker checker(plan, own == items.end() ? std::set<std::string>() : own->second, dag, faults);
  for (const TaskPlan& task : dag.tasks) {
    if (task.component != kUnknownComponent) checker.CheckTask(task);
  }
}

void CheckConfigSources(const Plan& plan, const Component& dag,
                        const std::vector<ConfigSource>& sources, const std::string& path,
                        Faults* faults) {
  if (sources.empty()) return;
  Checker checker(plan, {}, dag, faults);
  for (const ConfigSource& source : sources) {
    checker.CheckSource(source.parameter, path + "." + source.path);
  }
}

}  // namespace caudal::spec::internal
