#pragma once

/// A delta in the making: reads see the state with the changes so far laid over it.

#include <string>
#include <string_view>
#include <unordered_map>

#include "engine/state.h"

namespace caudal::engine {

/// Lives for one Step. Reads cost one hash lookup; the state underneath is never touched.
class Draft {
  // First, because its return type is deduced.
  const v1::Task* Find(int i) const;  // the partial record, or null
  template <auto Has, auto Read>
  auto Get(int i) const {
    const v1::Task* changed = Find(i);
    if (changed != nullptr && (changed->*Has)()) return (changed->*Read)();
    static const v1::Task kNone;
    return ((i < state_.task_count() ? state_.task(i) : kNone).*Read)();
  }

 public:
  Draft(const State& state, const v1::Event& event) : state_(state), event_(event) {}

  const State& state() const { return state_; }
  const v1::Event& event() const { return event_; }
  const v1::RunInfo& info() const;
  v1::RunPhase phase() const;

  // A field of a task as of now: the changed value if there is one.
  v1::TaskState task_state(int i) const { return Get<&v1::Task::has_state, &v1::Task::state>(i); }
  int parent(int i) const { return Get<&v1::Task::has_parent, &v1::Task::parent>(i); }
  int position(int i) const { return Get<&v1::Task::has_position, &v1::Task::position>(i); }
  int unmet(int i) const { return Get<&v1::Task::has_unmet, &v1::Task::unmet>(i); }
  int first_child(int i) const {
    return Get<&v1::Task::has_first_child, &v1::Task::first_child>(i);
  }
  int open_children(int i) const {
    return Get<&v1::Task::has_open_children, &v1::Task::open_children>(i);
  }
  int child_count(int i) const {
    return Get<&v1::Task::has_child_count, &v1::Task::child_count>(i);
  }
  int attempts(int i) const { return Get<&v1::Task::has_attempts, &v1::Task::attempts>(i); }
  int lost_attempts(int i) const {
    return Get<&v1::Task::has_lost_attempts, &v1::Task::lost_attempts>(i);
  }
  int64_t live_attempt(int i) const {
    return Get<&v1::Task::has_live_attempt, &v1::Task::live_attempt>(i);
  }
  int64_t execution_key(int i) const {
    return Get<&v1::Task::has_execution_key, &v1::Task::execution_key>(i);
  }
  const std::string& name(int i) const;
  const std::string& error(int i) const;
  // Inputs and outputs are set once, as a whole: either changed here or still as in the state.
  const google::protobuf::Map<std::string, google::protobuf::Value>& parameters(int i) const;
  const google::protobuf::Map<std::string, v1::ArtifactList>& artifacts(int i) const;
  const google::protobuf::Map<std::string, google::protobuf::Value>& output_parameters(int i) const;
  const google::protobuf::Map<std::string, v1::ArtifactList>& output_artifacts(int i) const;

  int task_count() const { return state_.task_count() + added_; }
  const spec::Component& component(int i) const;
  const spec::TaskPlan& plan(int i) const;  ///< not of the root

  /// The partial record of a changed task, to be filled.
  v1::Task& Change(int i);
  v1::Run& ChangeRun() { return *delta_.mutable_run(); }
  /// A new task; its index follows the last one.
  int Add();
  v1::Command& AddCommand() { return *delta_.add_commands(); }
  /// The next unused key of those the event brought.
  int64_t TakeKey();
  /// 128 bits in hex that depend on the event's salt and on `purpose`.
  std::string Derive(std::string_view purpose) const;

  v1::Delta Finish() { return std::move(delta_); }

 private:
  const State& state_;
  const v1::Event& event_;
  v1::Delta delta_;
  std::unordered_map<int, int> changed_;  // task index → place in delta_.tasks
  int added_ = 0;
};

}  // namespace caudal::engine
