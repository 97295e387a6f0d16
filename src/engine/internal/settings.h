#pragma once

/// Reading Kubernetes settings: the parameters they name, their checks, their JSON forms.

#include <google/protobuf/struct.pb.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "engine/internal/draft.h"
#include "kubernetes_platform/kubernetes_executor_config.pb.h"

namespace caudal::engine {

using SettingSource = ml_pipelines::TaskInputsSpec::InputParameterSpec;

/// What the parameter of a setting stands for where `task` is; nullopt: null, so the setting is not
/// asked for. `field` is its place for messages: "secretAsEnv[0].secretNameParameter". Errors:
/// kInvalidArgument for an output that is missing.
base::Result<std::optional<google::protobuf::Value>> SettingValue(const Draft& draft, int task,
                                                                  const SettingSource& source,
                                                                  const std::string& field);

/// The name of a Kubernetes object: from `source` when it is set, else `fixed`, the form that came
/// before. Empty: null, so the setting is not asked for. Errors: kInvalidArgument for what is no
/// text or no such name.
base::Result<std::string> SettingName(const Draft& draft, int task, const SettingSource* source,
                                      const std::string& fixed, const std::string& field);

/// An absolute path without ".." that is not "/". Errors: kInvalidArgument.
base::Status CheckMountPath(const std::string& path, const std::string& field);

/// A quantity such as "1Gi"; empty is none. Errors: kInvalidArgument.
base::Status CheckSize(const std::string& size, const std::string& field);

/// Where a pod may stand, in the JSON forms of Kubernetes. A value that is not set: not asked for.
struct Placement {
  google::protobuf::Value node_selector;  ///< object
  google::protobuf::Value tolerations;    ///< list
  google::protobuf::Value affinity;       ///< object
};

/// Errors: kInvalidArgument for a JSON parameter of the wrong kind.
base::Result<Placement> ResolvePlacement(const Draft& draft, int task,
                                         const kfp_kubernetes::KubernetesExecutorConfig& config);

}  // namespace caudal::engine
