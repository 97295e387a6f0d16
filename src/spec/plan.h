#pragma once

/// The plan: a validated pipeline with every reference resolved to an index, ready for the engine.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "expr/expr.h"
#include "pipeline_spec/pipeline_spec.pb.h"
#include "spec/package.h"

namespace kfp_kubernetes {
class KubernetesExecutorConfig;
}

namespace caudal::spec {

/// Volume components are those whose image stands for an operation on a volume claim.
enum class ComponentKind { kDag, kContainer, kImporter, kCreateVolume, kDeleteVolume };

/// What a loop goes over.
struct LoopPlan {
  enum class Over { kRawList, kParameter, kArtifacts };
  Over over = Over::kRawList;
  std::string items_input;          ///< input that holds the list; empty for a raw list
  std::string item_input;           ///< input of the body that gets the item
  google::protobuf::ListValue raw;  ///< of a raw list
  int parallelism = 0;              ///< iterations at the same time; 0: no limit
};

/// A task as its DAG declares it.
struct TaskPlan {
  std::string name;             ///< key in the DAG
  int component = 0;            ///< index into Plan::components
  std::vector<int> upstream;    ///< positions of the tasks it depends on, sorted, unique
  std::vector<int> dependents;  ///< positions of the tasks that depend on it
  const ml_pipelines::PipelineTaskSpec* spec = nullptr;
  bool runs_always = false;    ///< an exit task: once its upstream is final, whatever came of it
  expr::ProgramPtr condition;  ///< null: none
  std::map<std::string, expr::ProgramPtr> selectors;  ///< by input parameter
  std::shared_ptr<const LoopPlan> loop;               ///< null: no loop
};

/// A component: what its tasks share.
struct Component {
  std::string name;  ///< "root" or the component id
  ComponentKind kind = ComponentKind::kDag;
  const ml_pipelines::ComponentSpec* spec = nullptr;
  std::vector<TaskPlan> tasks;          ///< of a DAG, in key order
  std::map<std::string, int> position;  ///< of a DAG: task key → place in `tasks`
  ml_pipelines::PipelineDeploymentConfig::ExecutorSpec executor;  ///< of a leaf
  /// Of a leaf, when the platform document has settings for it; null otherwise.
  std::shared_ptr<const kfp_kubernetes::KubernetesExecutorConfig> kubernetes;
};

/// Immutable and shared by all who run or show the pipeline. Thread-safe.
struct Plan {
  Package package;                    ///< owns what the pointers above point at
  std::vector<Component> components;  ///< [0] is the root
  int64_t deadline_seconds = 0;       ///< of a whole run; 0: none
  bool has_workspace = false;         ///< its runs have a folder of their own, /kfp-workspace
  const Component& root() const { return components[0]; }
};

/// Checks the graph and resolves it. Errors: kInvalidArgument with every fault at once, each with
/// path and value: unknown component, executor, producer, dependency; cycles (the path of the
/// cycle); recursion; missing or undeclared inputs; types and constants that cannot fit;
/// expressions that cannot be compiled, with a caret under the place; loops without items;
/// executors that do not exist here; Kubernetes settings that cannot be read or contradict
/// themselves.
base::Result<std::shared_ptr<const Plan>> MakePlan(Package package);

/// What a pipeline wants that steps cannot have where they are processes (init containers), one
/// fault per place. Such a pipeline may be stored; a run of it is refused rather than run wrongly.
/// Empty: everything runs.
std::vector<base::Fault> FindUnsupported(const Plan& plan);

}  // namespace caudal::spec
