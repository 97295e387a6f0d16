#include <array>
#include <set>

#include "engine/attempt.h"
#include "engine/internal/settings.h"
#include "engine/internal/surroundings.h"
#include "engine/internal/values.h"
#include "model/workspace.h"

namespace caudal::engine {
namespace {

using base::Result;
using base::Status;
using google::protobuf::Value;
using ml_pipelines::ParameterType;

constexpr char kWorkspaceVolume[] = "kfp-workspace";

// What upstream's value always has, null where there is nothing.
constexpr std::array kKeys = {"affinity", "tolerations", "nodeSelector",
                              "env",      "volumes",     "volumeMounts"};

Value& Append(Value* list) { return *list->mutable_list_value()->add_values(); }

void SetText(Value* object, const std::string& name, const std::string& text) {
  Field(object, name).set_string_value(text);
}

bool Mentions(const Value& value, std::string_view text) {
  if (value.has_string_value()) return value.string_value().find(text) != std::string::npos;
  for (const Value& item : value.list_value().values()) {
    if (Mentions(item, text)) return true;
  }
  for (const auto& [key, item] : value.struct_value().fields()) {
    if (Mentions(item, text)) return true;
  }
  return false;
}

/// Makes the value of a TASK_CONFIG input: settings in the JSON forms of Kubernetes.
class Config {
 public:
  Config(const Draft& draft, int task)
      : draft_(draft), task_(task), component_(draft.component(task)) {}

  Result<Value> Make() {
    for (const char* key : kKeys) Field(&value_, key).set_null_value(google::protobuf::NULL_VALUE);
    CAUDAL_TRY(AddResources());
    CAUDAL_ASSIGN(settings_, AllSurroundings(draft_, task_));
    if (IsPassed(component_, SettingGroup::ENV)) AddEnv();
    if (IsPassed(component_, SettingGroup::KUBERNETES_VOLUMES)) AddVolumes();
    if (component_.kubernetes != nullptr) CAUDAL_TRY(AddPlacement());
    return std::move(value_);
  }

 private:
  Status AddResources() {
    Value* resources = &Field(&value_, "resources");
    resources->mutable_struct_value();
    if (!IsPassed(component_, SettingGroup::RESOURCES)) return {};
    CAUDAL_ASSIGN(const auto amounts, ResourceAmounts(component_, draft_.parameters(task_)));
    for (const ResourceAmount& amount : amounts) {
      SetText(&Field(resources, amount.group), amount.name, amount.text);
    }
    return {};
  }

  Value& AddVariable(const std::string& name) {
    Value& variable = Append(&Field(&value_, "env"));
    SetText(&variable, "name", name);
    return variable;
  }

  void AddEnv() {
    for (const auto& env : component_.executor.container().env()) {
      SetText(&AddVariable(env.name()), "value", env.value());
    }
    for (const auto& env : settings_.env_from_keys()) {
      const bool is_secret = env.source() == v1::Surroundings::SECRET;
      Value* from = &Field(&AddVariable(env.variable()), "valueFrom");
      Value* key = &Field(from, is_secret ? "secretKeyRef" : "configMapKeyRef");
      SetText(key, "name", env.name());
      SetText(key, "key", env.key());
      if (env.optional()) Field(key, "optional").set_bool_value(true);
    }
    if (component_.kubernetes == nullptr) return;
    for (const auto& env : component_.kubernetes->field_path_as_env()) {
      Value* from = &Field(&AddVariable(env.name()), "valueFrom");
      SetText(&Field(from, "fieldRef"), "fieldPath", env.field_path());
    }
  }

  // Adds the volume once, and the mount.
  Value* AddVolume(const std::string& name, const std::string& path, const std::string& sub_path) {
    Value& mount = Append(&Field(&value_, "volumeMounts"));
    SetText(&mount, "name", name);
    SetText(&mount, "mountPath", path);
    if (!sub_path.empty()) SetText(&mount, "subPath", sub_path);
    if (!volumes_.insert(name).second) return nullptr;
    Value& volume = Append(&Field(&value_, "volumes"));
    SetText(&volume, "name", name);
    return &volume;
  }

  void AddClaim(const std::string& name, const std::string& claim, const std::string& path,
                const std::string& sub_path) {
    Value* volume = AddVolume(name, path, sub_path);
    if (volume != nullptr) SetText(&Field(volume, "persistentVolumeClaim"), "claimName", claim);
  }

  void AddVolumes() {
    const std::string workspace = WorkspaceClaim(draft_, task_);
    if (!workspace.empty()) AddClaim(kWorkspaceVolume, workspace, model::kWorkspacePath, "");
    for (const auto& mounted : settings_.mounted_volumes()) {
      if (mounted.claim().empty()) continue;  // made for one pod, so it stays with the step
      AddClaim(mounted.claim(), mounted.claim(), mounted.mount_path(), mounted.sub_path());
    }
    for (const auto& keys : settings_.mounted_keys()) {
      const bool is_secret = keys.source() == v1::Surroundings::SECRET;
      Value* volume = AddVolume(keys.name(), keys.mount_path(), "");
      if (volume == nullptr) continue;
      Value* source = &Field(volume, is_secret ? "secret" : "configMap");
      SetText(source, is_secret ? "secretName" : "name", keys.name());
      Field(source, "optional").set_bool_value(keys.optional());
    }
  }

  Status AddPlacement() {
    CAUDAL_ASSIGN(Placement placement, ResolvePlacement(draft_, task_, *component_.kubernetes));
    const auto add = [&](SettingGroup::TaskConfigPassthroughTypeEnum group, const char* key,
                         Value* value) {
      const bool is_there = value->kind_case() != Value::KIND_NOT_SET;
      if (is_there && IsPassed(component_, group)) Field(&value_, key) = std::move(*value);
    };
    add(SettingGroup::KUBERNETES_AFFINITY, "affinity", &placement.affinity);
    add(SettingGroup::KUBERNETES_TOLERATIONS, "tolerations", &placement.tolerations);
    add(SettingGroup::KUBERNETES_NODE_SELECTOR, "nodeSelector", &placement.node_selector);
    return {};
  }

  const Draft& draft_;
  const int task_;
  const spec::Component& component_;
  Value value_;
  v1::Surroundings settings_;
  std::set<std::string> volumes_;
};

const ml_pipelines::TaskConfigPassthrough* Find(const spec::Component& component,
                                                SettingGroup::TaskConfigPassthroughTypeEnum group) {
  for (const auto& passthrough : component.spec->task_config_passthroughs()) {
    if (passthrough.field() == group) return &passthrough;
  }
  return nullptr;
}

}  // namespace

bool IsApplied(const spec::Component& component,
               SettingGroup::TaskConfigPassthroughTypeEnum group) {
  const auto* passthrough = Find(component, group);
  return passthrough == nullptr || passthrough->apply_to_task();
}

bool IsPassed(const spec::Component& component, SettingGroup::TaskConfigPassthroughTypeEnum group) {
  return Find(component, group) != nullptr;
}

bool TakesTaskConfig(const Draft& draft, int task) {
  for (const auto& [name, input] : draft.component(task).spec->input_definitions().parameters()) {
    if (input.parameter_type() == ParameterType::TASK_CONFIG) return true;
  }
  return false;
}

Status PassTaskConfig(Draft& draft, int task, v1::Surroundings* surroundings) {
  CAUDAL_ASSIGN(const Value config, Config(draft, task).Make());
  const spec::Component& component = draft.component(task);
  auto parameters = draft.parameters(task);
  for (const auto& [name, input] : component.spec->input_definitions().parameters()) {
    if (input.parameter_type() == ParameterType::TASK_CONFIG) parameters[name] = config;
  }
  *draft.Change(task).mutable_parameters() = std::move(parameters);
  std::string passed;
  for (const auto& passthrough : component.spec->task_config_passthroughs()) {
    if (IsApplied(component, passthrough.field())) continue;
    passed += (passed.empty() ? "" : ", ") +
              SettingGroup::TaskConfigPassthroughTypeEnum_Name(passthrough.field());
  }
  if (!passed.empty()) {
    surroundings->add_notes("given to the step as its task config, not applied to it: " + passed);
  }
  return {};
}

std::string WorkspaceClaim(const Draft& draft, int task) {
  if (!draft.state().plan().has_workspace) return "";
  bool is_used = false;
  for (const auto& [name, value] : draft.parameters(task)) {
    is_used = is_used || Mentions(value, model::kWorkspacePath);
  }
  for (const auto& [name, list] : draft.artifacts(task)) {
    for (const v1::Artifact& artifact : list.artifacts()) {
      is_used = is_used || artifact.metadata().fields().contains(model::kWorkspaceMark);
    }
  }
  return is_used ? draft.info().resource_name() + "-kfp-workspace" : "";
}

}  // namespace caudal::engine
