#include <set>

#include "spec/internal/check.h"
#include "spec/parameters.h"

namespace caudal::spec::internal {
namespace {

using ml_pipelines::ComponentSpec;
using ml_pipelines::ParameterType;
using ml_pipelines::TaskInputsSpec;

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
    if (task.loop) CheckLoop(task, plan_.components[task.component], path, &faults_);
    for (const std::string& name : SortedKeysOf(task.spec->inputs().parameters())) {
      CheckParameter(task, component, name, path + ".inputs.parameters." + name);
    }
    for (const std::string& name : SortedKeysOf(task.spec->inputs().artifacts())) {
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
        return CheckFinalStatus(source.task_final_status().producer_task(),
                                path + ".taskFinalStatus.producerTask");
      case ParameterSource::KIND_NOT_SET:
        faults_.Report(path,
                       "says nowhere where its value comes from, wants one of runtimeValue, "
                       "componentInputParameter, taskOutputParameter, taskFinalStatus");
        break;
    }
    return {};
  }

 private:
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
    // A loop gives a list of what its body gives, whichever of the two its body declares.
    const std::string what = "output '" + output.output_parameter_key() + "' of ";
    if (producer->loop) return {ParameterType::LIST, what + "loop '" + producer->name + "'"};
    return {declared->second.parameter_type(), what + "task '" + producer->name + "'"};
  }

  Declared CheckFinalStatus(const std::string& producer, const std::string& path) {
    FindTask(producer, path);
    return {ParameterType::TASK_FINAL_STATUS, "the final status of task '" + producer + "'"};
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
        task.loop && (name == task.loop->item_input || name == task.loop->items_input);
    if (is_iterated) return;
    const bool converts = source.parameter_expression_selector().empty();
    if (source.runtime_value().has_constant()) {
      return CheckConstant(source.runtime_value().constant(), declared->second, converts,
                           path + ".runtimeValue.constant", &faults_);
    }
    if (converts && !CanConvert(from.type, declared->second.parameter_type())) {
      faults_.Report(path, "wants " + TypeName(declared->second.parameter_type()) + ", but " +
                               from.what + " is " + TypeName(from.type));
    }
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
    const bool is_iterated =
        task.loop && (name == task.loop->item_input || name == task.loop->items_input);
    if (declared == inputs.end() || is_iterated || what.empty()) return;
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
    *what = "output '" + output.output_artifact_key() + "' of " +
            (producer->loop ? "loop '" : "task '") + producer->name + "'";
    *is_list = producer->loop || declared->second.is_artifact_list();
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
    const std::string item = task.loop ? task.loop->item_input : "";
    const auto& parameters = component.input_definitions().parameters();
    for (const std::string& name : SortedKeysOf(parameters)) {
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
    for (const std::string& name : SortedKeysOf(artifacts)) {
      const bool is_filled = artifacts.at(name).is_optional() || name == item ||
                             task.spec->inputs().artifacts().contains(name);
      if (is_filled) continue;
      faults_.Report(path + ".inputs.artifacts", "input '" + name + "' is required by component '" +
                                                     task.spec->component_ref().name() +
                                                     "', give it");
    }
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
