#pragma once

/// A delta in the making: reads see the state with the changes so far laid over it.

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/state.h"

namespace caudal::engine {

/// Lives for one Step. Reads cost one hash lookup; the state underneath is never touched.
class Draft {
  // First, because their return type is deduced.
  const v1::Task* Find(int i) const;  // the partial record, or null
  const v1::Task& Stored(int i) const;
  // Fields that a fresh start keeps.
  template <auto Has, auto Read>
  auto Kept(int i) const {
    const v1::Task* changed = Find(i);
    return changed != nullptr && (changed->*Has)() ? (changed->*Read)() : (Stored(i).*Read)();
  }
  template <auto Has, auto Read>
  auto Get(int i) const {
    const v1::Task* changed = Find(i);
    if (changed != nullptr && ((changed->*Has)() || changed->fresh())) return (changed->*Read)();
    return (Stored(i).*Read)();
  }

 public:
  Draft(const State& state, const v1::Event& event) : state_(state), event_(event) {}

  const State& state() const { return state_; }
  const v1::Event& event() const { return event_; }
  const v1::RunInfo& info() const;
  v1::RunPhase phase() const;
  int generation() const;
  bool terminate_now() const;
  bool deadline_passed() const;
  const std::string& terminated_by() const;

  // A field of a task as of now: the changed value if there is one.
  v1::TaskState task_state(int i) const { return Get<&v1::Task::has_state, &v1::Task::state>(i); }
  int parent(int i) const { return Kept<&v1::Task::has_parent, &v1::Task::parent>(i); }
  int position(int i) const { return Kept<&v1::Task::has_position, &v1::Task::position>(i); }
  int first_child(int i) const {
    return Kept<&v1::Task::has_first_child, &v1::Task::first_child>(i);
  }
  int child_count(int i) const {
    return Kept<&v1::Task::has_child_count, &v1::Task::child_count>(i);
  }
  int attempts(int i) const { return Kept<&v1::Task::has_attempts, &v1::Task::attempts>(i); }
  int64_t execution_key(int i) const {
    return Kept<&v1::Task::has_execution_key, &v1::Task::execution_key>(i);
  }
  bool is_iteration(int i) const {
    const v1::Task* changed = Find(i);
    return (changed != nullptr && changed->has_iteration_index()) ||
           Stored(i).has_iteration_index();
  }
  int iteration_index(int i) const {
    return Kept<&v1::Task::has_iteration_index, &v1::Task::iteration_index>(i);
  }
  bool has_task_root(int i) const {
    return Kept<&v1::Task::has_task_root, &v1::Task::has_task_root>(i);
  }
  int unmet(int i) const { return Get<&v1::Task::has_unmet, &v1::Task::unmet>(i); }
  int open_children(int i) const {
    return Get<&v1::Task::has_open_children, &v1::Task::open_children>(i);
  }
  int iteration_count(int i) const {
    return Get<&v1::Task::has_iteration_count, &v1::Task::iteration_count>(i);
  }
  int iterations_opened(int i) const {
    return Get<&v1::Task::has_iterations_opened, &v1::Task::iterations_opened>(i);
  }
  int opened_in(int i) const { return Get<&v1::Task::has_opened_in, &v1::Task::opened_in>(i); }
  int retry_index(int i) const {
    return Get<&v1::Task::has_retry_index, &v1::Task::retry_index>(i);
  }
  int lost_attempts(int i) const {
    return Get<&v1::Task::has_lost_attempts, &v1::Task::lost_attempts>(i);
  }
  int64_t live_attempt(int i) const {
    return Get<&v1::Task::has_live_attempt, &v1::Task::live_attempt>(i);
  }
  int64_t started_at(int i) const {
    return Get<&v1::Task::has_started_at, &v1::Task::started_at>(i);
  }
  int64_t first_started_at(int i) const {
    return Get<&v1::Task::has_first_started_at, &v1::Task::first_started_at>(i);
  }
  int64_t wake_at(int i) const { return Get<&v1::Task::has_wake_at, &v1::Task::wake_at>(i); }
  bool timed_out(int i) const { return Get<&v1::Task::has_timed_out, &v1::Task::timed_out>(i); }
  const std::string& name(int i) const;
  const std::string& error(int i) const;
  const v1::CacheRecord& cache(int i) const;
  const v1::Surroundings& surroundings(int i) const;
  const google::protobuf::ListValue& items(int i) const;
  // Inputs and outputs are set once, as a whole: either changed here or still as in the state.
  const google::protobuf::Map<std::string, google::protobuf::Value>& parameters(int i) const;
  const google::protobuf::Map<std::string, v1::ArtifactList>& artifacts(int i) const;
  const google::protobuf::Map<std::string, google::protobuf::Value>& output_parameters(int i) const;
  const google::protobuf::Map<std::string, v1::ArtifactList>& output_artifacts(int i) const;
  /// Index of a loop's i-th iteration, or -1 when there is no record of it yet.
  int iteration(int loop, int i) const;

  int task_count() const { return state_.task_count() + added_; }
  const spec::Component& component(int i) const;
  const spec::TaskPlan& plan(int i) const;  ///< not of the root; an iteration's is its loop's
  bool is_loop(int i) const { return i > 0 && !is_iteration(i) && plan(i).loop != nullptr; }
  bool is_dag(int i) const { return component(i).kind == spec::ComponentKind::kDag; }

  /// The partial record of a changed task, to be filled.
  v1::Task& Change(int i);
  v1::Run& ChangeRun() { return *delta_.mutable_run(); }
  /// How many tasks have changed so far.
  int change_count() const { return delta_.tasks_size(); }
  /// A new task; its index follows the last one.
  int Add();
  /// The next iteration of a loop: a new record, or the one an earlier generation left, started
  /// anew.
  int AddIteration(int loop, int i);
  /// Starts the record anew: what a new generation must not see of the old reads as never set.
  v1::Task& Refresh(int i);
  v1::Command& AddCommand() { return *delta_.add_commands(); }
  v1::Query& AddQuery() { return *delta_.add_queries(); }
  /// The next unused key of those the event brought.
  int64_t TakeKey();
  /// 128 bits in hex that depend on the event's salt and on `purpose`.
  std::string Derive(std::string_view purpose) const;

  v1::Delta Finish() { return std::move(delta_); }

 private:
  const State& state_;
  const v1::Event& event_;
  v1::Delta delta_;
  std::unordered_map<int, int> changed_;                  // task index → place in delta_.tasks
  std::unordered_map<int, std::vector<int>> iterations_;  // added here, by loop
  int added_ = 0;
};

}  // namespace caudal::engine
