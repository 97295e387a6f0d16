#pragma once

/// Where the tasks of a run stand in its graph.

#include <cstdint>
#include <string>
#include <vector>

#include "caudal/v1/engine.pb.h"
#include "spec/plan.h"

namespace caudal::service {

/// Made of all tasks of a run, or of some together with all that enclose them, in order of their
/// indexes. What is called `at` here is a place in that list, not a task's index. Tasks and plan
/// must outlive it.
class TaskTree {
 public:
  TaskTree(const std::vector<v1::Task>& tasks, const spec::Plan& plan);

  /// "outer/loop[3]/train": keys from the root down, "" for the root.
  const std::string& path(size_t at) const { return paths_[at]; }
  /// Of the component that the task runs; an iteration runs that of its loop.
  const spec::Component& component(size_t at) const {
    return plan_.components[static_cast<size_t>(components_[at])];
  }
  /// Of the enclosing task; the root's is its own.
  size_t parent(size_t at) const { return parents_[at]; }
  /// As the enclosing DAG declares it; null for the root.
  const spec::TaskPlan* planned(size_t at) const;
  /// "dag", "loop", "iteration", "container", "importer" or "volume".
  const char* kind(size_t at) const;

  /// All in the order in which people read them: a task after what it depends on, the tasks of a
  /// group right after the group, iterations by number. What a task held in an earlier generation
  /// and does not in this one is left out.
  std::vector<size_t> ReadingOrder() const;

 private:
  const std::vector<v1::Task>& tasks_;
  const spec::Plan& plan_;
  std::vector<size_t> parents_;
  std::vector<int> components_;
  std::vector<std::string> paths_;
};

}  // namespace caudal::service
