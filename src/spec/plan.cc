#include "spec/plan.h"

#include <algorithm>
#include <boost/json.hpp>
#include <set>

#include "spec/internal/check.h"
#include "wire/json.h"

namespace caudal::spec {
namespace {

using internal::ComponentPath;
using internal::ConfigSource;
using internal::Faults;
using internal::kUnknownComponent;
using internal::SortedKeysOf;
using internal::TaskPath;
using ml_pipelines::ComponentSpec;
using ml_pipelines::PipelineTaskSpec;

constexpr int kMaxNesting = 100;                 // of components, as in the upstream engine
constexpr size_t kMaxExpandedTasks = 1'000'000;  // loops aside: a pipeline must not be a bomb

/// Resolves a package component by component, depth first from the root, each once.
class Planner {
 public:
  explicit Planner(Package package) : plan_(std::make_shared<Plan>()) {
    plan_->package = std::move(package);
  }

  base::Result<std::shared_ptr<const Plan>> Run() {
    ReadDeployment();
    ReadPlatform();
    const auto& root = plan_->package.pipeline.root();
    AddComponent("root", root);
    if (root.has_dag()) {
      const internal::LoopItems items = internal::FindLoopItems(*plan_);
      for (const Component& component : plan_->components) Check(component, items);
      CheckSize();
    } else if (faults_.list().empty()) {
      faults_.Report("root", "has no dag: a pipeline's root holds tasks");
    }
    CAUDAL_TRY(base::FaultsToStatus(faults_.list()));
    return std::shared_ptr<const Plan>(plan_);
  }

 private:
  void ReadDeployment() {
    google::protobuf::Value value;
    *value.mutable_struct_value() = plan_->package.pipeline.deployment_spec();
    faults_.Append(wire::FromJson(wire::FromValue(value), &deployment_,
                                  wire::UnknownFields::kIgnore, "deploymentSpec"));
  }

  void ReadPlatform() {
    if (!plan_->package.platform) return;
    const auto& platforms = plan_->package.platform->platforms();
    const auto kubernetes = platforms.find("kubernetes");
    if (kubernetes == platforms.end()) return;
    internal::ReadPipelineConfig(kubernetes->second.pipelineconfig(),
                                 "platforms.kubernetes.pipelineConfig", plan_.get(), &faults_);
    const auto& executors = kubernetes->second.deployment_spec().executors();
    for (const std::string& label : SortedKeysOf(executors)) {
      configs_[label] =
          internal::ReadKubernetesConfig(executors.at(label), ConfigPath(label), &faults_);
      config_sources_[label] = internal::SourcesOf(*configs_[label]);
    }
  }

  static std::string ConfigPath(const std::string& label) {
    return "platforms.kubernetes.deploymentSpec.executors." + label;
  }

  /// Adds a component and all it refers to. Grows `components`: hold indexes, not references.
  int AddComponent(const std::string& name, const ComponentSpec& spec) {
    const int index = static_cast<int>(plan_->components.size());
    index_[name] = index;
    Component component;
    component.name = name;
    component.spec = &spec;
    const std::string path = ComponentPath(component);
    plan_->components.push_back(std::move(component));
    heights_.push_back(1);
    sizes_.push_back(0);
    open_.push_back(name);
    if (spec.has_dag()) {
      AddTasks(index, path);
    } else if (spec.implementation_case() == ComponentSpec::kExecutorLabel) {
      SetExecutor(index, path);
    } else {
      faults_.Report(path, "has neither a dag nor an executorLabel");
    }
    open_.pop_back();
    return index;
  }

  void AddTasks(int index, const std::string& path) {
    const auto& specs = plan_->components[index].spec->dag().tasks();
    if (specs.empty()) faults_.Report(path + ".dag", "has no tasks");
    std::vector<TaskPlan> tasks;
    tasks.reserve(specs.size());
    for (const std::string& name : SortedKeysOf(specs)) {
      TaskPlan task;
      task.name = name;
      task.spec = &specs.at(name);
      ReadControl(&task, path + ".dag.tasks." + name);
      task.component = Resolve(index, task);
      plan_->components[index].position[name] = static_cast<int>(tasks.size());
      tasks.push_back(std::move(task));
    }
    Component& component = plan_->components[index];
    component.kind = ComponentKind::kDag;
    component.tasks = std::move(tasks);
    for (size_t i = 0; i < component.tasks.size(); ++i) Link(&component, static_cast<int>(i));
  }

  /// When and how often a task runs, and what it picks out of its inputs.
  void ReadControl(TaskPlan* task, const std::string& path) {
    const auto& trigger = task->spec->trigger_policy();
    task->runs_always =
        trigger.strategy() == PipelineTaskSpec::TriggerPolicy::ALL_UPSTREAM_TASKS_COMPLETED;
    if (!trigger.condition().empty()) {
      task->condition = expressions_.Compile(trigger.condition(), expr::Scope::kCondition,
                                             path + ".triggerPolicy.condition", &faults_);
    }
    std::map<std::string, const std::string*> selectors;
    for (const auto& [name, input] : task->spec->inputs().parameters()) {
      const std::string& selector = input.parameter_expression_selector();
      if (!selector.empty()) selectors[name] = &selector;
    }
    for (const auto& [name, selector] : selectors) {
      const std::string here = path + ".inputs.parameters." + name + ".parameterExpressionSelector";
      task->selectors[name] =
          expressions_.Compile(*selector, expr::Scope::kSelector, here, &faults_);
    }
    task->loop = internal::ReadLoop(*task->spec, path, &faults_);
  }

  /// The component of a task, added when it is new. Counts what it nests and expands to.
  int Resolve(int dag, const TaskPlan& task) {
    const std::string& name = task.spec->component_ref().name();
    const std::string path = TaskPath(plan_->components[dag], task.name) + ".componentRef.name";
    const auto& specs = plan_->package.pipeline.components();
    const auto spec = specs.find(name);
    if (name.empty() || name == "root" || spec == specs.end()) {
      faults_.Report(path, name.empty()     ? "is missing: a task needs a component"
                           : name == "root" ? "is the pipeline itself, which cannot be a task"
                                            : "there is no component '" + name + "'" +
                                                  faults_.DidYouMean(name, specs));
      return kUnknownComponent;
    }
    if (!MayEnter(name, path)) return kUnknownComponent;
    const auto known = index_.find(name);
    const int index = known != index_.end() ? known->second : AddComponent(name, spec->second);
    heights_[dag] = std::max(heights_[dag], heights_[index] + 1);
    sizes_[dag] = std::min(sizes_[dag] + 1 + sizes_[index], kMaxExpandedTasks + 1);
    return index;
  }

  bool MayEnter(const std::string& name, const std::string& path) {
    const auto open = std::find(open_.begin(), open_.end(), name);
    if (open != open_.end()) {
      std::string text;
      for (auto it = open; it != open_.end(); ++it) text += *it + " -> ";
      faults_.Report(path, "a component cannot contain itself: " + text + name);
      return false;
    }
    if (open_.size() < kMaxNesting) return true;
    if (!too_deep_) {
      faults_.Report(path, "components are nested deeper than " + std::to_string(kMaxNesting));
    }
    too_deep_ = true;
    return false;
  }

  void SetExecutor(int index, const std::string& path) {
    Component& component = plan_->components[index];
    component.kind = ComponentKind::kContainer;
    const std::string& label = component.spec->executor_label();
    const auto executor = deployment_.executors().find(label);
    if (executor == deployment_.executors().end()) {
      return faults_.Report(path + ".executorLabel",
                            "there is no executor '" + label + "' in deploymentSpec" +
                                faults_.DidYouMean(label, deployment_.executors()));
    }
    component.executor = executor->second;
    component.kind = KindOf(component.executor);
    CheckExecutor(component, "deploymentSpec.executors." + label);
    const auto config = configs_.find(label);
    if (config != configs_.end() && config->second->ByteSizeLong() > 0) {
      component.kubernetes = config->second;
    }
  }

  static ComponentKind KindOf(
      const ml_pipelines::PipelineDeploymentConfig::ExecutorSpec& executor) {
    if (executor.has_importer()) return ComponentKind::kImporter;
    const std::string& image = executor.container().image();
    if (image == "argostub/createpvc") return ComponentKind::kCreateVolume;
    if (image == "argostub/deletepvc") return ComponentKind::kDeleteVolume;
    return ComponentKind::kContainer;
  }

  void CheckExecutor(const Component& component, const std::string& path) {
    using Executor = ml_pipelines::PipelineDeploymentConfig::ExecutorSpec;
    switch (component.executor.spec_case()) {
      case Executor::kContainer:
        return;
      case Executor::kImporter:
        return CheckImporter(component, path + ".importer");
      case Executor::kResolver:
        return faults_.Report(path + ".resolver",
                              "resolvers do not exist here, use an importer or a container");
      case Executor::kCustomJob:
        return faults_.Report(path + ".customJob",
                              "custom jobs run on Google's cloud only, use a container");
      case Executor::SPEC_NOT_SET:
        return faults_.Report(path, "has neither a container nor an importer");
    }
  }

  void CheckImporter(const Component& component, const std::string& path) {
    const auto& importer = component.executor.importer();
    CheckImporterUri(component, path + ".artifactUri");
    const int outputs = static_cast<int>(component.spec->output_definitions().artifacts_size());
    if (outputs != 1) {
      faults_.Report(ComponentPath(component) + ".outputDefinitions.artifacts",
                     "an importer gives one artifact, got " + std::to_string(outputs));
    }
    if (importer.download_to_workspace() && !plan_->has_workspace) {
      faults_.Report(path + ".downloadToWorkspace",
                     "the pipeline has no workspace, give it one in its PipelineConfig");
    }
  }

  void CheckImporterUri(const Component& component, const std::string& path) {
    using Uri = ml_pipelines::ValueOrRuntimeParameter;
    const Uri& uri = component.executor.importer().artifact_uri();
    const auto& parameters = component.spec->input_definitions().parameters();
    switch (uri.value_case()) {
      case Uri::kConstant:
        if (!uri.constant().string_value().empty()) return;
        return faults_.Report(path + ".constant", "wants the URI of an artifact");
      case Uri::kRuntimeParameter:
        if (parameters.contains(uri.runtime_parameter())) return;
        return faults_.Report(path + ".runtimeParameter",
                              "component '" + component.name + "' has no input parameter '" +
                                  uri.runtime_parameter() + "'" +
                                  faults_.DidYouMean(uri.runtime_parameter(), parameters));
      case Uri::kConstantValue:
        return faults_.Report(path, "constantValue is no longer read, give the URI as constant");
      case Uri::VALUE_NOT_SET:
        return faults_.Report(path, "is missing: say where the artifact is");
    }
  }

  /// Settles which siblings a task waits for.
  void Link(Component* dag, int position) {
    const TaskPlan& task = dag->tasks[position];
    std::set<int> upstream;
    const auto add = [&](const std::string& name) {
      const auto found = dag->position.find(name);
      if (found != dag->position.end()) upstream.insert(found->second);
    };
    const auto add_source = [&](const internal::ParameterSource& source) {
      if (source.has_task_output_parameter()) add(source.task_output_parameter().producer_task());
      if (source.has_task_final_status()) add(source.task_final_status().producer_task());
    };
    for (const std::string& name : task.spec->dependent_tasks()) add(name);
    for (const auto& [name, input] : task.spec->inputs().parameters()) add_source(input);
    for (const auto& [name, input] : task.spec->inputs().artifacts()) {
      if (input.has_task_output_artifact()) add(input.task_output_artifact().producer_task());
    }
    for (const ConfigSource& source : SourcesOf(task)) add_source(source.parameter);
    dag->tasks[position].upstream.assign(upstream.begin(), upstream.end());
    for (const int up : upstream) dag->tasks[up].dependents.push_back(position);
  }

  const std::vector<ConfigSource>& SourcesOf(const TaskPlan& task) const {
    static const std::vector<ConfigSource> kNone;
    if (task.component == kUnknownComponent) return kNone;
    const auto found =
        config_sources_.find(plan_->components[task.component].spec->executor_label());
    return found == config_sources_.end() ? kNone : found->second;
  }

  void Check(const Component& component, const internal::LoopItems& items) {
    if (!component.spec->has_dag()) return;
    for (const TaskPlan& task : component.tasks) {
      CheckDependencies(component, task);
      if (task.component == kUnknownComponent) continue;
      const std::string& label = plan_->components[task.component].spec->executor_label();
      internal::CheckConfigSources(*plan_, component, SourcesOf(task), ConfigPath(label), &faults_);
    }
    CheckNotAllExit(component);
    internal::CheckCycles(component, &faults_);
    internal::CheckInputs(*plan_, items, component, &faults_);
    internal::CheckOutputs(*plan_, component, &faults_);
  }

  void CheckDependencies(const Component& dag, const TaskPlan& task) {
    const std::string path = TaskPath(dag, task.name);
    for (int i = 0; i < task.spec->dependent_tasks_size(); ++i) {
      const std::string& name = task.spec->dependent_tasks(i);
      if (dag.position.contains(name)) continue;
      faults_.Report(
          path + ".dependentTasks[" + std::to_string(i) + "]",
          "there is no task '" + name + "' in this dag" + faults_.DidYouMean(name, dag.position));
    }
    if (task.spec->retry_policy().max_retry_count() < 0) {
      faults_.Report(
          path + ".retryPolicy.maxRetryCount",
          "wants 0 or more, got " + std::to_string(task.spec->retry_policy().max_retry_count()));
    }
  }

  void CheckNotAllExit(const Component& dag) {
    const auto runs_always = [](const TaskPlan& task) { return task.runs_always; };
    if (dag.tasks.empty()) return;
    if (!std::all_of(dag.tasks.begin(), dag.tasks.end(), runs_always)) return;
    faults_.Report(ComponentPath(dag) + ".dag.tasks",
                   "all of them are exit tasks (ALL_UPSTREAM_TASKS_COMPLETED), so there is nothing "
                   "they could come after; make one an ordinary task");
  }

  void CheckSize() {
    if (heights_[0] > kMaxNesting && !too_deep_) {
      faults_.Report("root", "components are nested deeper than " + std::to_string(kMaxNesting));
    }
    if (sizes_[0] > kMaxExpandedTasks) {
      faults_.Report("root", "is more than " + std::to_string(kMaxExpandedTasks) +
                                 " tasks when every component is expanded");
    }
  }

  // Shared only to be returned: nobody else knows it while it is being built.
  std::shared_ptr<Plan> plan_;
  ml_pipelines::PipelineDeploymentConfig deployment_;
  internal::Expressions expressions_;
  std::map<std::string, std::shared_ptr<const kfp_kubernetes::KubernetesExecutorConfig>> configs_;
  std::map<std::string, std::vector<ConfigSource>> config_sources_;  // by executor label
  std::map<std::string, int> index_;
  std::vector<std::string> open_;  // components from the root to the one being added
  std::vector<int> heights_;       // by component: levels of components below and including it
  std::vector<size_t> sizes_;      // by component: tasks it expands to
  bool too_deep_ = false;
  Faults faults_;
};

}  // namespace

base::Result<std::shared_ptr<const Plan>> MakePlan(Package package) {
  return Planner(std::move(package)).Run();
}

}  // namespace caudal::spec
