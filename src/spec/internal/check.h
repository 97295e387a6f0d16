#pragma once

/// Checks of how tasks are wired, once every component of the plan is known.

#include <map>
#include <set>
#include <string>
#include <vector>

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

/// For each component that is the body of a loop: the inputs that hold an item of it.
using LoopItems = std::map<const Component*, std::set<std::string>>;
LoopItems FindLoopItems(const Plan& plan);

/// A parameter that Kubernetes settings take from where the task stands.
struct ConfigSource {
  std::string path;  ///< inside the settings: "secretAsEnv[0].secretNameParameter"
  ParameterSource parameter;
};

/// Every such parameter of one executor's settings, the deprecated forms included. Faults: settings
/// that cannot be read, at `path`.
std::vector<ConfigSource> ReadKubernetesConfig(const google::protobuf::Struct& config,
                                               const std::string& path, Faults* faults);

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
