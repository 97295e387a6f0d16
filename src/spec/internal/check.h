#pragma once

/// Checks of how tasks are wired, once every component of the plan is known.

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kubernetes_platform/kubernetes_executor_config.pb.h"
#include "spec/plan.h"
#include "wire/names.h"

namespace caudal::spec::internal {

using ParameterSource = ml_pipelines::TaskInputsSpec::InputParameterSpec;
using TypeEnum = ml_pipelines::ParameterType::ParameterTypeEnum;

constexpr int kUnknownComponent = -1;  // of a task whose reference is at fault already

/// Keys of a map.
template <typename Map>
std::vector<std::string> KeysOf(const Map& map) {
  std::vector<std::string> keys;
  for (const auto& entry : map) keys.push_back(entry.first);
  return keys;
}

/// Faults found so far; beyond a hundred more help nobody.
class Faults {
 public:
  void Report(std::string path, std::string message) {
    if (!full()) list_.push_back({std::move(path), std::move(message)});
  }
  void Append(std::vector<base::Fault> faults) {
    for (base::Fault& fault : faults) Report(std::move(fault.path), std::move(fault.message));
  }
  /// ", did you mean 'x'", x being a key of `map`; empty when nobody will read it, since looking
  /// through all keys for each of very many faults would take for ever.
  template <typename Map>
  std::string DidYouMean(const std::string& wrong, const Map& map) const {
    return full() ? "" : wire::DidYouMean(wrong, KeysOf(map));
  }
  bool full() const { return list_.size() >= 100; }
  const std::vector<base::Fault>& list() const { return list_; }

 private:
  std::vector<base::Fault> list_;
};

/// "root" or "components.comp-train".
std::string ComponentPath(const Component& component);
/// "root.dag.tasks.train".
std::string TaskPath(const Component& dag, const std::string& task);

/// Keys of a map, sorted.
template <typename Map>
std::vector<std::string> SortedKeysOf(const Map& map) {
  std::vector<std::string> keys = KeysOf(map);
  std::sort(keys.begin(), keys.end());
  return keys;
}

/// Compiles each distinct expression once: very many tasks may share one.
class Expressions {
 public:
  /// Null and a fault at `path` when `text` is no expression of its kind.
  expr::ProgramPtr Compile(const std::string& text, expr::Scope scope, const std::string& path,
                           Faults* faults);

 private:
  std::map<std::pair<expr::Scope, std::string>, base::Result<expr::ProgramPtr>> known_;
};

/// The loop of a task; null when it is none. Faults: items missing or no list, a limit below 0.
std::shared_ptr<const LoopPlan> ReadLoop(const ml_pipelines::PipelineTaskSpec& task,
                                         const std::string& path, Faults* faults);

/// The loop of `task` fits its body: the body has an input for the item, which takes what a list in
/// the pipeline holds, and the list has somewhere to come from.
void CheckLoop(const TaskPlan& task, const Component& body, const std::string& path,
               Faults* faults);

/// A value given where `declared` stands: null only where it is optional, one of the literals, of a
/// type that fits. `converts` is false where a selector takes what is needed out of it.
void CheckConstant(const google::protobuf::Value& constant,
                   const ml_pipelines::ComponentInputsSpec::ParameterSpec& declared, bool converts,
                   const std::string& path, Faults* faults);

/// For each component that is the body of a loop: the inputs that hold an item of it.
using LoopItems = std::map<const Component*, std::set<std::string>>;
LoopItems FindLoopItems(const Plan& plan);

/// A parameter that Kubernetes settings take from where the task stands.
struct ConfigSource {
  std::string path;  ///< inside the settings: "secretAsEnv[0].secretNameParameter"
  ParameterSource parameter;
};

/// Settings of one executor. Faults: what cannot be read or contradicts itself, at `path`.
std::shared_ptr<const kfp_kubernetes::KubernetesExecutorConfig> ReadKubernetesConfig(
    const google::protobuf::Struct& config, const std::string& path, Faults* faults);

/// Every parameter that the settings of one executor name, the deprecated forms included.
std::vector<ConfigSource> SourcesOf(const kfp_kubernetes::KubernetesExecutorConfig& config);

/// Settings of the pipeline as a whole: time limit and workspace.
void ReadPipelineConfig(const ml_pipelines::PipelineConfig& config, const std::string& path,
                        Plan* plan, Faults* faults);

/// Inputs of every task of `dag`: sources that exist, types that can fit, nothing required missing.
void CheckInputs(const Plan& plan, const LoopItems& items, const Component& dag, Faults* faults);

/// Parameters that the Kubernetes settings of `task` name: they exist where the task stands.
void CheckConfigSources(const Plan& plan, const Component& dag,
                        const std::vector<ConfigSource>& sources, const std::string& path,
                        Faults* faults);

/// Outputs of `dag`: each has selectors, and these name existing subtasks and outputs.
void CheckOutputs(const Plan& plan, const Component& dag, Faults* faults);

/// One fault per cycle among the tasks of `dag`.
void CheckCycles(const Component& dag, Faults* faults);

/// Whether a value declared as `from` can ever be given where `to` is declared at run time.
/// Undeclared types can.
bool CanConvert(TypeEnum from, TypeEnum to);

}  // namespace caudal::spec::internal
