#include "engine/state.h"

namespace caudal::engine {

void Apply(State& state, const v1::Event& event, const v1::Delta& delta) {
  if (event.has_run_created()) state.info_ = event.run_created().info();
  if (delta.has_run()) state.run_.MergeFrom(delta.run());
  for (const v1::Task& change : delta.tasks()) {
    const auto index = static_cast<size_t>(change.index());
    if (index >= state.tasks_.size()) state.tasks_.resize(index + 1);
    v1::Task& task = state.tasks_[index];
    // It is of the last attempt: notes of several must not add up.
    if (change.has_provenance()) task.clear_provenance();
    if (change.has_traceback()) task.clear_traceback();
    task.MergeFrom(change);
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
  for (v1::Task& task : *snapshot.mutable_tasks()) state.tasks_.push_back(std::move(task));
  return state;
}

int ComponentOf(const State& state, int index) {
  if (index == 0) return 0;
  const v1::Task& task = state.task(index);
  const spec::Component& dag =
      state.plan().components[static_cast<size_t>(ComponentOf(state, task.parent()))];
  return dag.tasks[static_cast<size_t>(task.position())].component;
}

std::string PathOf(const State& state, int index) {
  if (index == 0) return "";
  const v1::Task& task = state.task(index);
  const std::string parent = PathOf(state, task.parent());
  return parent.empty() ? task.name() : parent + "/" + task.name();
}

}  // namespace caudal::engine
