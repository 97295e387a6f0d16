#include "engine/internal/surroundings.h"

#include <algorithm>
#include <array>
#include <map>

#include "base/quantity.h"
#include "base/utf8.h"
#include "engine/internal/settings.h"
#include "model/task.h"
#include "wire/json.h"

namespace caudal::engine {
namespace {

using base::InvalidArgument;
using base::Result;
using base::Status;
using google::protobuf::Value;
using kfp_kubernetes::KubernetesExecutorConfig;

constexpr size_t kNoteBytes = 200;

std::string At(std::string_view list, int i) {
  return std::string(list) + "[" + std::to_string(i) + "]";
}

Status CheckVariable(const std::string& name, const std::string& field) {
  if (!name.empty() && name.find('=') == name.npos && name.find('\0') == name.npos) return {};
  return InvalidArgument(field + " is \"" + name +
                         "\", which no environment variable can be named");
}

std::string TextOf(const google::protobuf::Map<std::string, std::string>& map) {
  Value value;
  for (const auto& [key, text] : map) {
    (*value.mutable_struct_value()->mutable_fields())[key].set_string_value(text);
  }
  return wire::ValueToGoJson(value);
}

/// Reads the settings of one task, field by field.
class Reader {
 public:
  Reader(const Draft& draft, int task, bool everything)
      : draft_(draft),
        task_(task),
        component_(draft.component(task)),
        config_(*component_.kubernetes),
        everything_(everything) {}

  Result<v1::Surroundings> Read() {
    if (Wants(SettingGroup::KUBERNETES_VOLUMES)) CAUDAL_TRY(ReadSharedVolumes());
    CAUDAL_TRY(ReadOwnVolumes());
    if (Wants(SettingGroup::ENV)) CAUDAL_TRY(ReadEnv());
    CAUDAL_TRY(ReadTimeout());
    CAUDAL_TRY(ReadPlacement());
    CAUDAL_TRY(ReadImagePulling());
    CAUDAL_TRY(ReadSecurity());
    CAUDAL_TRY(NotePod());
    return std::move(result_);
  }

 private:
  bool Wants(SettingGroup::TaskConfigPassthroughTypeEnum group) const {
    return everything_ || IsApplied(component_, group);
  }

  void Note(const std::string& what) {
    result_.add_notes(base::Shortened(what, kNoteBytes) + ": means nothing on one machine");
  }

  // The name of a set or claim; empty: skip the entry.
  Result<std::string> Name(const SettingSource* source, const std::string& fixed,
                           const std::string& field) {
    return SettingName(draft_, task_, source, fixed, field);
  }

  Status TakePath(const std::string& path, const std::string& field) {
    CAUDAL_TRY(CheckMountPath(path, field));
    std::string plain = path;
    while (plain.back() == '/') plain.pop_back();
    const auto [taken, is_new] = paths_.try_emplace(plain, field);
    if (is_new) return {};
    return InvalidArgument(field + " is \"" + path + "\", as is " + taken->second +
                           "; mount them at different paths");
  }

  // --- volumes ---

  Result<std::string> ClaimOf(const kfp_kubernetes::PvcMount& mount, const std::string& field) {
    if (mount.has_pvc_name_parameter()) {
      return Name(&mount.pvc_name_parameter(), "", field + ".pvcNameParameter");
    }
    SettingSource source;
    switch (mount.pvc_reference_case()) {
      case kfp_kubernetes::PvcMount::kConstant:
        return Name(nullptr, mount.constant(), field + ".constant");
      case kfp_kubernetes::PvcMount::kComponentInputParameter:
        source.set_component_input_parameter(mount.component_input_parameter());
        return Name(&source, "", field + ".componentInputParameter");
      case kfp_kubernetes::PvcMount::kTaskOutputParameter: {
        auto& output = *source.mutable_task_output_parameter();
        output.set_producer_task(mount.task_output_parameter().producer_task());
        output.set_output_parameter_key(mount.task_output_parameter().output_parameter_key());
        return Name(&source, "", field + ".taskOutputParameter");
      }
      case kfp_kubernetes::PvcMount::PVC_REFERENCE_NOT_SET:
        break;
    }
    return InvalidArgument(field + " names no volume claim; set pvcNameParameter");
  }

  Status ReadClaim(const kfp_kubernetes::PvcMount& mount, const std::string& field) {
    CAUDAL_ASSIGN(const std::string claim, ClaimOf(mount, field));
    if (claim.empty()) {
      return InvalidArgument(field + ": the name of the volume claim is null; give it a value");
    }
    CAUDAL_TRY(TakePath(mount.mount_path(), field + ".mountPath"));
    const std::string& sub_path = mount.sub_path();
    const std::string framed = "/" + sub_path + "/";
    if (sub_path.starts_with('/') || framed.find("/../") != framed.npos ||
        sub_path.find('\0') != sub_path.npos) {
      return InvalidArgument(field + ".subPath is \"" + sub_path +
                             "\"; give it a path inside the volume, without \"..\"");
    }
    auto& volume = *result_.add_mounted_volumes();
    volume.set_claim(claim);
    volume.set_mount_path(mount.mount_path());
    volume.set_sub_path(sub_path);
    return {};
  }

  Status MountKeys(v1::Surroundings::Source source, const std::string& name, bool optional,
                   const std::string& path, const std::string& field) {
    if (name.empty()) return {};
    CAUDAL_TRY(TakePath(path, field + ".mountPath"));
    auto& keys = *result_.add_mounted_keys();
    keys.set_source(source);
    keys.set_name(name);
    keys.set_mount_path(path);
    keys.set_optional(optional);
    return {};
  }

  Status ReadSharedVolumes() {
    for (int i = 0; i < config_.pvc_mount_size(); ++i) {
      CAUDAL_TRY(ReadClaim(config_.pvc_mount(i), At("pvcMount", i)));
    }
    for (int i = 0; i < config_.secret_as_volume_size(); ++i) {
      const auto& given = config_.secret_as_volume(i);
      const std::string field = At("secretAsVolume", i);
      CAUDAL_ASSIGN(
          const std::string name,
          Name(given.has_secret_name_parameter() ? &given.secret_name_parameter() : nullptr,
               given.secret_name(), field + ".secretNameParameter"));
      CAUDAL_TRY(
          MountKeys(v1::Surroundings::SECRET, name, given.optional(), given.mount_path(), field));
    }
    for (int i = 0; i < config_.config_map_as_volume_size(); ++i) {
      const auto& given = config_.config_map_as_volume(i);
      const std::string field = At("configMapAsVolume", i);
      CAUDAL_ASSIGN(
          const std::string name,
          Name(given.has_config_map_name_parameter() ? &given.config_map_name_parameter() : nullptr,
               given.config_map_name(), field + ".configMapNameParameter"));
      CAUDAL_TRY(MountKeys(v1::Surroundings::CONFIG_MAP, name, given.optional(), given.mount_path(),
                           field));
    }
    return {};
  }

  Status ReadOwnVolumes() {
    for (int i = 0; i < config_.generic_ephemeral_volume_size(); ++i) {
      const auto& given = config_.generic_ephemeral_volume(i);
      const std::string field = At("genericEphemeralVolume", i);
      CAUDAL_TRY(TakePath(given.mount_path(), field + ".mountPath"));
      if (!base::ParseQuantity(given.size(), 1)) {
        return InvalidArgument(field + ".size \"" + given.size() +
                               "\" is no quantity; write for example \"2Gi\"");
      }
      result_.add_mounted_volumes()->set_mount_path(given.mount_path());
      const std::string storage = given.storage_class_name().empty()
                                      ? ""
                                      : " of storage class " + given.storage_class_name();
      Note("size " + given.size() + storage + " of the volume at " + given.mount_path());
    }
    for (int i = 0; i < config_.empty_dir_mounts_size(); ++i) {
      const auto& given = config_.empty_dir_mounts(i);
      const std::string field = At("emptyDirMounts", i);
      CAUDAL_TRY(TakePath(given.mount_path(), field + ".mountPath"));
      CAUDAL_TRY(CheckSize(given.size_limit(), field + ".sizeLimit"));
      result_.add_mounted_volumes()->set_mount_path(given.mount_path());
      if (!given.size_limit().empty()) {
        Note("size limit " + given.size_limit() + " of the empty folder at " + given.mount_path());
      }
      if (!given.medium().empty()) {
        Note("medium " + given.medium() + " of the empty folder at " + given.mount_path());
      }
    }
    return {};
  }

  // --- environment ---

  Status AddEnv(v1::Surroundings::Source source, const std::string& name, const std::string& key,
                const std::string& variable, bool optional, const std::string& field) {
    CAUDAL_TRY(CheckVariable(variable, field + ".envVar"));
    if (key.empty()) {
      return InvalidArgument(field + " names no key; say which key variable " + variable +
                             " comes from");
    }
    auto& env = *result_.add_env_from_keys();
    env.set_source(source);
    env.set_name(name);
    env.set_key(key);
    env.set_variable(variable);
    env.set_optional(optional);
    return {};
  }

  Status ReadEnv() {
    for (int i = 0; i < config_.secret_as_env_size(); ++i) {
      const auto& given = config_.secret_as_env(i);
      const std::string field = At("secretAsEnv", i);
      CAUDAL_ASSIGN(
          const std::string name,
          Name(given.has_secret_name_parameter() ? &given.secret_name_parameter() : nullptr,
               given.secret_name(), field + ".secretNameParameter"));
      for (int j = 0; !name.empty() && j < given.key_to_env_size(); ++j) {
        const auto& pair = given.key_to_env(j);
        CAUDAL_TRY(AddEnv(v1::Surroundings::SECRET, name, pair.secret_key(), pair.env_var(),
                          given.optional(), field + "." + At("keyToEnv", j)));
      }
    }
    for (int i = 0; i < config_.config_map_as_env_size(); ++i) {
      const auto& given = config_.config_map_as_env(i);
      const std::string field = At("configMapAsEnv", i);
      CAUDAL_ASSIGN(
          const std::string name,
          Name(given.has_config_map_name_parameter() ? &given.config_map_name_parameter() : nullptr,
               given.config_map_name(), field + ".configMapNameParameter"));
      for (int j = 0; !name.empty() && j < given.key_to_env_size(); ++j) {
        const auto& pair = given.key_to_env(j);
        CAUDAL_TRY(AddEnv(v1::Surroundings::CONFIG_MAP, name, pair.config_map_key(), pair.env_var(),
                          given.optional(), field + "." + At("keyToEnv", j)));
      }
    }
    for (int i = 0; i < config_.field_path_as_env_size(); ++i) {
      const auto& given = config_.field_path_as_env(i);
      const std::string field = At("fieldPathAsEnv", i);
      CAUDAL_TRY(CheckVariable(given.name(), field + ".name"));
      CAUDAL_ASSIGN((*result_.mutable_env())[given.name()],
                    PodField(given.field_path(), field + ".fieldPath"));
    }
    return {};
  }

  // What a step would read of its pod, were there one.
  Result<std::string> PodField(const std::string& path, const std::string& field) const {
    const v1::RunInfo& info = draft_.info();
    const std::string number = std::to_string(task_);
    const std::map<std::string_view, std::string> known{
        {"metadata.name", info.resource_name() + "-" + draft_.name(task_) + "-" + number},
        {"metadata.namespace", info.namespace_().empty() ? "default" : info.namespace_()},
        {"metadata.uid", model::TaskId(info.run_id(), "pod/" + number)},
        {"spec.nodeName", "localhost"},
        {"spec.serviceAccountName", "default"},
        {"status.hostIP", "127.0.0.1"},
        {"status.hostIPs", "127.0.0.1"},
        {"status.podIP", "127.0.0.1"},
        {"status.podIPs", "127.0.0.1"}};
    if (const auto found = known.find(path); found != known.end()) return found->second;
    const auto& pod = config_.pod_metadata();
    if (const auto key = KeyIn(path, "metadata.labels")) {
      if (*key == "pipeline/runid") return info.run_id();
      if (*key == kComponentMark) return std::string("true");
      const auto found = pod.labels().find(*key);
      return found == pod.labels().end() ? std::string() : found->second;
    }
    if (const auto key = KeyIn(path, "metadata.annotations")) {
      if (*key == kComponentMark) return std::string("true");
      const auto found = pod.annotations().find(*key);
      return found == pod.annotations().end() ? std::string() : found->second;
    }
    std::string names;
    for (const auto& [name, value] : known) names += std::string(name) + ", ";
    return InvalidArgument(field + " is \"" + path + "\", which no step has; known are " + names +
                           "metadata.labels['key'] and metadata.annotations['key']");
  }

  static constexpr char kComponentMark[] = "pipelines.kubeflow.org/v2_component";

  // "metadata.labels['x']" → "x".
  static std::optional<std::string> KeyIn(std::string_view path, std::string_view map) {
    if (!path.starts_with(map)) return std::nullopt;
    path.remove_prefix(map.size());
    if (path.size() < 5 || !path.starts_with("['") || !path.ends_with("']")) return std::nullopt;
    return std::string(path.substr(2, path.size() - 4));
  }

  // --- the rest ---

  Status ReadTimeout() {
    constexpr int64_t kLongest = INT64_C(1'000'000'000'000);  // seconds; fits in microseconds
    const int64_t seconds = config_.active_deadline_seconds();
    if (seconds < 0) {
      return InvalidArgument("activeDeadlineSeconds is " + std::to_string(seconds) +
                             "; leave it out for no limit");
    }
    result_.set_timeout_micros(std::min(seconds, kLongest) * 1'000'000);
    return {};
  }

  Status ReadPlacement() {
    CAUDAL_ASSIGN(const Placement placement, ResolvePlacement(draft_, task_, config_));
    const auto note = [&](const Value& value, const std::string& what,
                          SettingGroup::TaskConfigPassthroughTypeEnum group) {
      if (value.kind_case() == Value::KIND_NOT_SET || !Wants(group)) return;
      Note(what + " " + wire::ValueToGoJson(value));
    };
    note(placement.node_selector, "node selector", SettingGroup::KUBERNETES_NODE_SELECTOR);
    note(placement.tolerations, "tolerations", SettingGroup::KUBERNETES_TOLERATIONS);
    note(placement.affinity, "affinity", SettingGroup::KUBERNETES_AFFINITY);
    return {};
  }

  Status ReadImagePulling() {
    const std::string& policy = config_.image_pull_policy();
    static constexpr std::array kPolicies = {"", "Always", "IfNotPresent", "Never"};
    if (std::find(kPolicies.begin(), kPolicies.end(), policy) == kPolicies.end()) {
      return InvalidArgument("imagePullPolicy is \"" + policy +
                             "\"; it may be Always, IfNotPresent or Never");
    }
    if (!policy.empty()) Note("image pull policy " + policy);
    std::string names;
    for (int i = 0; i < config_.image_pull_secret_size(); ++i) {
      const auto& given = config_.image_pull_secret(i);
      CAUDAL_ASSIGN(
          const std::string name,
          Name(given.has_secret_name_parameter() ? &given.secret_name_parameter() : nullptr,
               given.secret_name(), At("imagePullSecret", i) + ".secretNameParameter"));
      if (!name.empty()) names += (names.empty() ? "" : ", ") + name;
    }
    if (!names.empty()) Note("image pull secrets " + names);
    return {};
  }

  Status ReadSecurity() {
    if (!config_.has_security_context()) return {};
    const auto& given = config_.security_context();
    std::string text;
    const auto add = [&](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
    for (const auto& [is_given, id, name] :
         {std::tuple(given.has_run_as_user(), given.run_as_user(), "runAsUser"),
          std::tuple(given.has_run_as_group(), given.run_as_group(), "runAsGroup")}) {
      if (!is_given) continue;
      if (id < 0) {
        return InvalidArgument("securityContext." + std::string(name) + " is " +
                               std::to_string(id) + "; an id is 0 or more");
      }
      add(std::string(name) + " " + std::to_string(id));
    }
    if (given.run_as_non_root()) add("runAsNonRoot");
    if (!text.empty()) Note("security context " + text);
    return {};
  }

  Status NotePod() {
    const auto& pod = config_.pod_metadata();
    if (!pod.labels().empty()) Note("pod labels " + TextOf(pod.labels()));
    if (!pod.annotations().empty()) Note("pod annotations " + TextOf(pod.annotations()));
    if (config_.has_enabled_shared_memory()) {
      const std::string& size = config_.enabled_shared_memory().size();
      CAUDAL_TRY(CheckSize(size, "enabledSharedMemory.size"));
      Note("shared memory" + (size.empty() ? "" : " of " + size));
    }
    return {};
  }

  const Draft& draft_;
  const int task_;
  const spec::Component& component_;
  const KubernetesExecutorConfig& config_;
  const bool everything_;
  v1::Surroundings result_;
  std::map<std::string, std::string> paths_;  // mounted so far, with the field that did
};

}  // namespace

Result<v1::Surroundings> ResolveSurroundings(const Draft& draft, int task) {
  if (draft.component(task).kubernetes == nullptr) return v1::Surroundings();
  return Reader(draft, task, /*everything=*/false).Read();
}

Result<v1::Surroundings> AllSurroundings(const Draft& draft, int task) {
  if (draft.component(task).kubernetes == nullptr) return v1::Surroundings();
  return Reader(draft, task, /*everything=*/true).Read();
}

}  // namespace caudal::engine
