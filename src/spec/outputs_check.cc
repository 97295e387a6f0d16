#include "spec/internal/check.h"
#include "spec/parameters.h"

namespace caudal::spec::internal {
namespace {

using ml_pipelines::DagOutputsSpec;

/// Checks the outputs of one DAG.
class Checker {
 public:
  Checker(const Plan& plan, const Component& dag, Faults* faults)
      : plan_(plan), dag_(dag), faults_(*faults), path_(ComponentPath(dag) + ".dag.outputs") {}

  void CheckAll() {
    const DagOutputsSpec& outputs = dag_.spec->dag().outputs();
    for (const std::string& name : SortedKeysOf(outputs.parameters())) {
      CheckParameter(outputs.parameters().at(name), name);
    }
    for (const std::string& name : SortedKeysOf(outputs.artifacts())) {
      CheckArtifact(outputs.artifacts().at(name), name);
    }
    const auto& declared = dag_.spec->output_definitions();
    CheckNothingMissing(declared.parameters(), outputs.parameters(), path_ + ".parameters");
    CheckNothingMissing(declared.artifacts(), outputs.artifacts(), path_ + ".artifacts");
  }

 private:
  void CheckParameter(const DagOutputsSpec::DagOutputParameterSpec& output,
                      const std::string& name) {
    const std::string path = path_ + ".parameters." + name;
    if (output.has_value_from_parameter()) {
      return CheckSelector(output.value_from_parameter(), name, path + ".valueFromParameter");
    }
    const auto& selectors = output.value_from_oneof().parameter_selectors();
    if (selectors.empty()) {
      faults_.Report(path,
                     "says nowhere where its value comes from, wants valueFromParameter or "
                     "valueFromOneof");
    }
    for (int i = 0; i < selectors.size(); ++i) {
      CheckSelector(selectors[i], name,
                    path + ".valueFromOneof.parameterSelectors[" + std::to_string(i) + "]");
    }
  }

  void CheckSelector(const DagOutputsSpec::ParameterSelectorSpec& selector, const std::string& name,
                     const std::string& path) {
    const TaskPlan* task = FindTask(selector.producer_subtask(), path);
    if (task == nullptr) return;
    const auto& outputs = plan_.components[task->component].spec->output_definitions().parameters();
    const auto source = outputs.find(selector.output_parameter_key());
    if (source == outputs.end()) {
      return ReportKey(*task, "parameter", selector.output_parameter_key(), outputs,
                       path + ".outputParameterKey");
    }
    const auto& declared = dag_.spec->output_definitions().parameters();
    if (!declared.contains(name)) return;
    const TypeEnum wanted = declared.at(name).parameter_type();
    // A loop's body declares what its outputs add up to, and so does what stands inside it.
    if (wanted == ml_pipelines::ParameterType::LIST) return;
    const TypeEnum given =
        task->loop ? ml_pipelines::ParameterType::LIST : source->second.parameter_type();
    if (CanConvert(given, wanted)) return;
    faults_.Report(path, "output '" + name + "' is declared " + TypeName(wanted) + ", but '" +
                             selector.output_parameter_key() + "' of " +
                             (task->loop ? "loop '" : "task '") + task->name + "' is " +
                             TypeName(given));
  }

  void CheckArtifact(const DagOutputsSpec::DagOutputArtifactSpec& output, const std::string& name) {
    const std::string path = path_ + ".artifacts." + name;
    if (output.artifact_selectors().empty()) {
      faults_.Report(path, "says nowhere where it comes from, wants artifactSelectors");
    }
    for (int i = 0; i < output.artifact_selectors_size(); ++i) {
      const auto& selector = output.artifact_selectors(i);
      const std::string here = path + ".artifactSelectors[" + std::to_string(i) + "]";
      const TaskPlan* task = FindTask(selector.producer_subtask(), here);
      if (task == nullptr) continue;
      const auto& outputs =
          plan_.components[task->component].spec->output_definitions().artifacts();
      if (outputs.contains(selector.output_artifact_key())) continue;
      ReportKey(*task, "artifact", selector.output_artifact_key(), outputs,
                here + ".outputArtifactKey");
    }
  }

  /// Null when there is a fault, here or in the task's reference to its component.
  const TaskPlan* FindTask(const std::string& name, const std::string& path) {
    const auto found = dag_.position.find(name);
    if (found == dag_.position.end()) {
      faults_.Report(path + ".producerSubtask", "there is no task '" + name + "' in this dag" +
                                                    faults_.DidYouMean(name, dag_.position));
      return nullptr;
    }
    const TaskPlan& task = dag_.tasks[found->second];
    return task.component == kUnknownComponent ? nullptr : &task;
  }

  template <typename Outputs>
  void ReportKey(const TaskPlan& task, const std::string& kind, const std::string& key,
                 const Outputs& known, const std::string& path) {
    faults_.Report(path, "task '" + task.name + "' has no output " + kind + " '" + key + "'" +
                             faults_.DidYouMean(key, known));
  }

  template <typename Declared, typename Given>
  void CheckNothingMissing(const Declared& declared, const Given& given, const std::string& path) {
    for (const std::string& name : SortedKeysOf(declared)) {
      if (given.contains(name)) continue;
      faults_.Report(path, "output '" + name + "' of component '" + dag_.name +
                               "' is declared, but nothing says which task gives it");
    }
  }

  const Plan& plan_;
  const Component& dag_;
  Faults& faults_;
  const std::string path_;
};

}  // namespace

std::string ComponentPath(const Component& component) {
  return component.name == "root" ? "root" : "components." + component.name;
}

std::string TaskPath(const Component& dag, const std::string& task) {
  return ComponentPath(dag) + ".dag.tasks." + task;
}

void CheckOutputs(const Plan& plan, const Component& dag, Faults* faults) {
  Checker(plan, dag, faults).CheckAll();
}

}  // namespace caudal::spec::internal
