#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <boost/json.hpp>

#include "kubernetes_platform/kubernetes_executor_config.pb.h"
#include "spec/internal/check.h"
#include "wire/json.h"

namespace caudal::spec {
namespace {

using internal::ComponentPath;
using internal::Faults;
using internal::KeysOf;
using internal::TaskPath;
using ml_pipelines::DagOutputsSpec;
using ml_pipelines::PipelineTaskSpec;

void FindInTask(const Component& dag, const TaskPlan& task, Faults* faults) {
  const std::string path = TaskPath(dag, task.name);
  const PipelineTaskSpec& spec = *task.spec;
  if (!spec.trigger_policy().condition().empty()) {
    faults->Report(path + ".triggerPolicy.condition", "conditions are not supported yet");
  }
  if (spec.trigger_policy().strategy() ==
      PipelineTaskSpec::TriggerPolicy::ALL_UPSTREAM_TASKS_COMPLETED) {
    faults->Report(path + ".triggerPolicy.strategy",
                   "tasks that run after failed ones (exit tasks) are not supported yet");
  }
  if (spec.has_parameter_iterator()) {
    faults->Report(path + ".parameterIterator", "loops are not supported yet");
  }
  if (spec.has_artifact_iterator()) {
    faults->Report(path + ".artifactIterator", "loops are not supported yet");
  }
  if (spec.retry_policy().max_retry_count() > 0) {
    faults->Report(path + ".retryPolicy", "retries are not supported yet");
  }
  for (const auto& [name, input] : std::map<std::string, internal::ParameterSource>(
           spec.inputs().parameters().begin(), spec.inputs().parameters().end())) {
    const std::string here = path + ".inputs.parameters." + name;
    if (input.has_task_final_status()) {
      faults->Report(here + ".taskFinalStatus", "final status inputs are not supported yet");
    }
    if (!input.parameter_expression_selector().empty()) {
      faults->Report(here + ".parameterExpressionSelector", "expressions are not supported yet");
    }
  }
}

void FindInOutputs(const Component& dag, Faults* faults) {
  const std::string path = ComponentPath(dag) + ".dag.outputs";
  const DagOutputsSpec& outputs = dag.spec->dag().outputs();
  std::vector<std::string> names = KeysOf(outputs.parameters());
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    if (!outputs.parameters().at(name).has_value_from_oneof()) continue;
    faults->Report(path + ".parameters." + name + ".valueFromOneof",
                   "outputs of one of several branches are not supported yet");
  }
  names = KeysOf(outputs.artifacts());
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    if (outputs.artifacts().at(name).artifact_selectors_size() < 2) continue;
    faults->Report(path + ".artifacts." + name + ".artifactSelectors",
                   "outputs of one of several branches are not supported yet");
  }
}

// Settings of the platform document that change what a step sees or how long it may take. The
// others (node selection, image pulling, labels) have no meaning on one machine and are left aside.
void FindInKubernetesConfig(const Component& leaf, Faults* faults) {
  static const std::map<std::string, std::string> kMissing = {
      {"secret_as_volume", "secrets"},         {"secret_as_env", "secrets"},
      {"config_map_as_volume", "config maps"}, {"config_map_as_env", "config maps"},
      {"pvc_mount", "volume claims"},          {"generic_ephemeral_volume", "volumes"},
      {"empty_dir_mounts", "volumes"},         {"field_path_as_env", "field paths"},
      {"init_containers", "init containers"},  {"active_deadline_seconds", "time-outs"},
  };
  kfp_kubernetes::KubernetesExecutorConfig config;
  google::protobuf::Value value;
  *value.mutable_struct_value() = leaf.kubernetes_config;
  // MakePlan has reported what cannot be read.
  wire::FromJson(wire::FromValue(value), &config, wire::UnknownFields::kIgnore);
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  config.GetReflection()->ListFields(config, &fields);
  for (const auto* field : fields) {
    const auto missing = kMissing.find(field->name());
    if (missing == kMissing.end()) continue;
    faults->Report("platforms.kubernetes.deploymentSpec.executors." + leaf.spec->executor_label() +
                       "." + field->json_name(),
                   missing->second + " are not supported yet");
  }
}

void FindInPlatform(const Plan& plan, Faults* faults) {
  if (!plan.package.platform) return;
  const auto& platforms = plan.package.platform->platforms();
  const auto kubernetes = platforms.find("kubernetes");
  if (kubernetes != platforms.end() && kubernetes->second.pipelineconfig().has_workspace()) {
    faults->Report("platforms.kubernetes.pipelineConfig.workspace",
                   "workspaces are not supported yet");
  }
  if (kubernetes != platforms.end() &&
      kubernetes->second.pipelineconfig().active_deadline_seconds() > 0) {
    faults->Report("platforms.kubernetes.pipelineConfig.activeDeadlineSeconds",
                   "time-outs are not supported yet");
  }
}

}  // namespace

std::vector<base::Fault> FindUnsupported(const Plan& plan) {
  Faults faults;
  for (const Component& component : plan.components) {
    for (const TaskPlan& task : component.tasks) FindInTask(component, task, &faults);
    if (component.kind == ComponentKind::kDag) FindInOutputs(component, &faults);
    if (component.kind == ComponentKind::kContainer) FindInKubernetesConfig(component, &faults);
    if (component.kind != ComponentKind::kImporter) continue;
    const std::string path =
        "deploymentSpec.executors." + component.spec->executor_label() + ".importer";
    faults.Report(path, "importers are not supported yet");
    if (component.executor.importer().download_to_workspace()) {
      faults.Report(path + ".downloadToWorkspace", "workspaces are not supported yet");
    }
  }
  FindInPlatform(plan, &faults);
  return faults.list();
}

}  // namespace caudal::spec
