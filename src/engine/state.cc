#include "engine/state.h"

namespace caudal::engine {
namespace {

// What a record that starts anew keeps of itself.
v1::Task Kept(const v1::Task& task) {
  v1::Task kept;
  kept.set_index(task.index());
  if (task.has_parent()) kept.set_parent(task.parent());
  if (task.has_name()) kept.set_name(task.name());
  if (task.has_position()) kept.set_position(task.position());
  if (task.has_first_child()) kept.set_first_child(task.first_child());
  if (task.has_child_count()) kept.set_child_count(task.child_count());
  if (task.has_iteration_index()) kept.set_iteration_index(task.iteration_index());
  if (task.has_created_at()) kept.set_created_at(task.created_at());
  if (task.has_attempts()) kept.set_attempts(task.attempts());
  if (task.has_last_attempt()) kept.set_last_attempt(task.last_attempt());
  if (task.has_execution_key()) kept.set_execution_key(task.execution_key());
  if (task.has_task_root()) kept.set_task_root(task.task_root());
  return kept;
}

}  // namespace

const std::vector<int>& State::iterations(int loop) const {
  static const std::vector<int> kNone;
  const auto found = iterations_.find(loop);
  return found == iterations_.end() ? kNone : found->second;
}

void Apply(State& state, const v1::Event& event, const v1::Delta& delta) {
  if (event.has_run_created()) state.info_ = event.run_created().info();
  if (delta.has_run()) state.run_.MergeFrom(delta.run());
  for (const v1::Task& change : delta.tasks()) {
    const int index = change.index();
    const bool is_new = index >= state.tasks_.size();
    while (state.tasks_.size() <= index) state.tasks_.Add();
    if (is_new && change.has_iteration_index()) {
      state.iterations_[change.parent()].push_back(change.index());
    }
    v1::Task& task = state.tasks_[index];
    if (change.fresh()) task = Kept(task);
    // These are of the last attempt or the last lookup: several must not add up.
    if (change.has_provenance()) task.clear_provenance();
    if (change.has_traceback()) task.clear_traceback();
    if (change.has_cache()) task.clear_cache();
    if (change.has_surroundings()) task.clear_surroundings();
    task.MergeFrom(change);
    task.clear_fresh();
  }
}

v1::Snapshot ToSnapshot(const State& state) {
  v1::Snapshot snapshot;
  *snapshot.mutable_info() = state.info();
  *snapshot.mutable_run() = state.run();
  for (const v1::Task& task : state.tasks()) *snapshot.add_tasks() = task;
  return snapshot;
}

State FromSnapshot(std::shared_ptr<const spec::Plan> plan, v1::Snapshot snapshot) {
  State state(std::move(plan));
  state.info_ = std::move(*snapshot.mutable_info());
  state.run_ = std::move(*snapshot.mutable_run());
  state.tasks_ = std::move(*snapshot.mutable_tasks());
  for (const v1::Task& task : state.tasks_) {
    if (task.has_iteration_index()) state.iterations_[task.parent()].push_back(task.index());
  }
  return state;
}

int ComponentOf(const State& state, int index) {
  return index == 0 ? 0 : PlanOf(state, index).component;
}

const spec::TaskPlan& PlanOf(const State& state, int index) {
  const v1::Task& task = state.task(index);
  if (task.has_iteration_index()) return PlanOf(state, task.parent());
  const int dag = ComponentOf(state, task.parent());
  return state.plan()
      .components[static_cast<size_t>(dag)]
      .tasks[static_cast<size_t>(task.position())];
}

const ml_pipelines::PipelineTaskSpec::RetryPolicy* RetryPolicyOf(const State& state, int index) {
  for (int i = index; i > 0; i = state.task(i).parent()) {
    const ml_pipelines::PipelineTaskSpec& spec = *PlanOf(state, i).spec;
    if (spec.has_retry_policy()) return &spec.retry_policy();
  }
  return nullptr;
}

std::string PathOf(const State& state, int index) {
  if (index == 0) return "";
  const v1::Task& task = state.task(index);
  const std::string parent = PathOf(state, task.parent());
  if (task.has_iteration_index()) {
    return parent + "[" + std::to_string(task.iteration_index()) + "]";
  }
  return parent.empty() ? task.name() : parent + "/" + task.name();
}

}  // namespace caudal::engine
