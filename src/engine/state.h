#pragma once

/// What the engine knows of one run, and how a delta changes it.

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "caudal/v1/engine.pb.h"
#include "spec/plan.h"

namespace caudal::engine {

/// The state of one run. Changed by `Apply` only; a value otherwise. Not thread-safe.
class State {
 public:
  explicit State(std::shared_ptr<const spec::Plan> plan) : plan_(std::move(plan)) {}

  const spec::Plan& plan() const { return *plan_; }
  const v1::RunInfo& info() const { return info_; }
  const v1::Run& run() const { return run_; }
  int task_count() const { return tasks_.size(); }
  const v1::Task& task(int index) const { return tasks_[index]; }
  const google::protobuf::RepeatedPtrField<v1::Task>& tasks() const { return tasks_; }
  /// Indexes of a loop's iterations in order; empty for anything else.
  const std::vector<int>& iterations(int loop) const;

 private:
  friend void Apply(State& state, const v1::Event& event, const v1::Delta& delta);
  friend State FromSnapshot(std::shared_ptr<const spec::Plan> plan, v1::Snapshot snapshot);

  std::shared_ptr<const spec::Plan> plan_;  // shared with every reader of the pipeline; immutable
  v1::RunInfo info_;
  v1::Run run_;
  google::protobuf::RepeatedPtrField<v1::Task> tasks_;    // by index; grows without copying them
  std::unordered_map<int, std::vector<int>> iterations_;  // by index of their loop
};

/// Merges `delta` into `state`. The event is needed only for the facts that RunCreated brings.
void Apply(State& state, const v1::Event& event, const v1::Delta& delta);

v1::Snapshot ToSnapshot(const State& state);
State FromSnapshot(std::shared_ptr<const spec::Plan> plan, v1::Snapshot snapshot);

/// Index into Plan::components of the component that task `index` runs.
int ComponentOf(const State& state, int index);

/// What the enclosing DAG says of a task; of an iteration, of its loop. Not for the root.
const spec::TaskPlan& PlanOf(const State& state, int index);

/// The retry policy of a task: its own, else the nearest enclosing task's; null when there is none.
const ml_pipelines::PipelineTaskSpec::RetryPolicy* RetryPolicyOf(const State& state, int index);

/// "outer/for-loop-2[0]/train": keys from the root down, "" for the root.
std::string PathOf(const State& state, int index);

}  // namespace caudal::engine
