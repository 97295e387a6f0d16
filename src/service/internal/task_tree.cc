#include "service/internal/task_tree.h"

#include <algorithm>
#include <functional>
#include <map>
#include <queue>
#include <tuple>

#include "model/task.h"

namespace caudal::service {
namespace {

// Place of each position of a DAG's tasks in an order in which a task comes after those it depends
// on, else in key order.
std::vector<int> RanksOf(const spec::Component& dag) {
  std::vector<size_t> unmet;
  std::priority_queue<int, std::vector<int>, std::greater<>> ready;
  for (size_t i = 0; i < dag.tasks.size(); ++i) {
    unmet.push_back(dag.tasks[i].upstream.size());
    if (unmet[i] == 0) ready.push(static_cast<int>(i));
  }
  std::vector<int> ranks(dag.tasks.size(), 0);
  for (int rank = 0; !ready.empty(); ++rank) {
    const auto position = static_cast<size_t>(ready.top());
    ready.pop();
    ranks[position] = rank;
    for (const int next : dag.tasks[position].dependents) {
      if (--unmet[static_cast<size_t>(next)] == 0) ready.push(next);
    }
  }
  return ranks;
}

// Of a group that is not done, or not yet, nothing is shown but itself.
bool IsClosed(const v1::Task& task) {
  return task.state() == v1::SKIPPED || task.state() == v1::OMITTED || task.state() == v1::PENDING;
}

// An iteration of an earlier generation, when the loop had more of them.
bool IsOfThePast(const v1::Task& task, const v1::Task& parent) {
  return task.has_iteration_index() && parent.has_iteration_count() &&
         task.iteration_index() >= parent.iteration_count();
}

struct Child {
  size_t parent;
  int rank;
  size_t at;
};

}  // namespace

TaskTree::TaskTree(const std::vector<v1::Task>& tasks, const spec::Plan& plan)
    : tasks_(tasks),
      plan_(plan),
      parents_(tasks.size(), 0),
      components_(tasks.size(), 0),
      paths_(tasks.size()) {
  const auto by_index = [](const v1::Task& task, int index) { return task.index() < index; };
  // Indexes are in order of creation, so a parent comes before its children.
  for (size_t at = 1; at < tasks.size(); ++at) {
    const v1::Task& task = tasks[at];
    auto parent = static_cast<size_t>(task.parent());
    if (parent >= at || tasks[parent].index() != task.parent()) {
      const auto end = tasks.begin() + static_cast<ptrdiff_t>(at);
      const auto found = std::lower_bound(tasks.begin(), end, task.parent(), by_index);
      parent = found == end ? 0 : static_cast<size_t>(found - tasks.begin());
    }
    parents_[at] = parent;
    if (task.has_iteration_index()) {
      components_[at] = components_[parent];
      paths_[at] = paths_[parent] + "[" + std::to_string(task.iteration_index()) + "]";
    } else {
      components_[at] = planned(at)->component;
      paths_[at] = paths_[parent].empty() ? task.name() : paths_[parent] + "/" + task.name();
    }
  }
}

const spec::TaskPlan* TaskTree::planned(size_t at) const {
  if (at == 0) return nullptr;
  size_t place = at;
  if (tasks_[at].has_iteration_index()) place = parents_[at];  // as its loop is declared
  const auto position = static_cast<size_t>(tasks_[place].position());
  return &component(parents_[place]).tasks[position];
}

const char* TaskTree::kind(size_t at) const {
  const v1::Task& task = tasks_[at];
  const bool is_dag = component(at).kind == spec::ComponentKind::kDag;
  if (task.has_iteration_index() && is_dag) return "iteration";
  const bool is_head = at != 0 && !task.has_iteration_index();
  if (is_head && planned(at)->loop != nullptr) return "loop";
  switch (component(at).kind) {
    case spec::ComponentKind::kDag:
      return "dag";
    case spec::ComponentKind::kImporter:
      return "importer";
    case spec::ComponentKind::kCreateVolume:
    case spec::ComponentKind::kDeleteVolume:
      return "volume";
    case spec::ComponentKind::kContainer:
      break;
  }
  return "container";
}

std::vector<size_t> TaskTree::ReadingOrder() const {
  if (tasks_.empty()) return {};
  std::map<const spec::Component*, std::vector<int>> ranks;  // once for all tasks of a component
  std::vector<Child> children;
  children.reserve(tasks_.size());
  for (size_t at = 1; at < tasks_.size(); ++at) {
    const size_t parent = parents_[at];
    if (parent != 0 && IsClosed(tasks_[parent])) continue;
    if (IsOfThePast(tasks_[at], tasks_[parent])) continue;
    int rank = tasks_[at].iteration_index();
    if (!tasks_[at].has_iteration_index()) {
      const auto [entry, is_new] = ranks.try_emplace(&component(parent));
      if (is_new) entry->second = RanksOf(component(parent));
      rank = entry->second[static_cast<size_t>(tasks_[at].position())];
    }
    children.push_back({parent, rank, at});
  }
  std::sort(children.begin(), children.end(), [](const Child& a, const Child& b) {
    return std::tie(a.parent, a.rank) < std::tie(b.parent, b.rank);
  });
  std::vector<size_t> begins(tasks_.size() + 1, children.size());
  for (size_t i = children.size(); i-- > 0;) begins[children[i].parent] = i;
  std::vector<size_t> order;
  std::vector<size_t> open = {0};
  while (!open.empty()) {
    const size_t at = open.back();
    open.pop_back();
    order.push_back(at);
    size_t end = begins[at];
    while (end < children.size() && children[end].parent == at) ++end;
    for (size_t i = end; i > begins[at]; --i) open.push_back(children[i - 1].at);
  }
  return order;
}

}  // namespace caudal::service
