#pragma once

/// The plan: a validated pipeline with every reference resolved to an index, ready for the engine.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "pipeline_spec/pipeline_spec.pb.h"
#include "spec/package.h"

namespace caudal::spec {

enum class ComponentKind { kDag, kContainer, kImporter };

/// A task as its DAG declares it.
struct TaskPlan {
  std::string name;             ///< key in the DAG
  int component = 0;            ///< index into Plan::components
  std::vector<int> upstream;    ///< positions of the tasks it depends on, sorted, unique
  std::vector<int> dependents;  ///< positions of the tasks that depend on it
  const ml_pipelines::PipelineTaskSpec* spec = nullptr;
};

/// A component: what its tasks share.
struct Component {
  std::string name;  ///< "root" or the component id
  ComponentKind kind = ComponentKind::kDag;
  const ml_pipelines::ComponentSpec* spec = nullptr;
  std::vector<TaskPlan> tasks;          ///< of a DAG, in key order
  std::map<std::string, int> position;  ///< of a DAG: task key → place in `tasks`
  ml_pipelines::PipelineDeploymentConfig::ExecutorSpec executor;  ///< of a leaf
  google::protobuf::Struct kubernetes_config;  ///< of a leaf, when the platform document has one
};

/// Immutable and shared by all who run or show the pipeline. Thread-safe.
struct Plan {
  Package package;                    ///< owns what the pointers above point at
  std::vector<Component> components;  ///< [0] is the root
  const Component& root() const { return components[0]; }
};

/// Checks the graph and resolves it. Errors: kInvalidArgument with every fault at once, each with
/// path and value: unknown component, executor, producer, dependency; cycles (the path of the
/// cycle); recursion; missing or undeclared inputs; types that cannot fit; executors that do not
/// exist here.
base::Result<std::shared_ptr<const Plan>> MakePlan(Package package);

/// What this build cannot run yet, one fault per place (loops, conditions, exit tasks, …). A run of
/// such a pipeline is refused rather than run wrongly. Empty: everything runs.
std::vector<base::Fault> FindUnsupported(const Plan& plan);

}  // namespace caudal::spec
