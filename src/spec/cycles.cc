#include <algorithm>

#include "spec/internal/check.h"

namespace caudal::spec::internal {
namespace {

constexpr int kMaxCycles = 10;

/// Tasks that never become ready when `ignored` ones count as done: those on cycles and after them.
/// Iterative, since a chain may be a hundred thousand tasks long.
std::vector<bool> FindStuck(const Component& dag, const std::vector<bool>& ignored) {
  std::vector<size_t> missing(dag.tasks.size());
  std::vector<int> ready;
  const auto done = [&](int task) {
    for (const int next : dag.tasks[task].dependents) {
      if (--missing[next] == 0 && !ignored[next]) ready.push_back(next);
    }
  };
  for (size_t i = 0; i < dag.tasks.size(); ++i) missing[i] = dag.tasks[i].upstream.size();
  for (size_t i = 0; i < dag.tasks.size(); ++i) {
    if (missing[i] == 0 || ignored[i]) ready.push_back(static_cast<int>(i));
  }
  std::vector<bool> stuck(dag.tasks.size(), true);
  while (!ready.empty()) {
    const int task = ready.back();
    ready.pop_back();
    if (!stuck[task]) continue;
    stuck[task] = false;
    done(task);
  }
  return stuck;
}

/// Walks up from a stuck task until one comes again; the tasks between, in the order of the data.
std::vector<int> FindCycle(const Component& dag, const std::vector<bool>& stuck) {
  std::vector<int> place(dag.tasks.size(), -1);
  std::vector<int> walk;
  int task = static_cast<int>(std::find(stuck.begin(), stuck.end(), true) - stuck.begin());
  while (place[task] < 0) {
    place[task] = static_cast<int>(walk.size());
    walk.push_back(task);
    for (const int up : dag.tasks[task].upstream) {
      if (stuck[up]) {
        task = up;
        break;
      }
    }
  }
  std::vector<int> cycle(walk.begin() + place[task], walk.end());
  std::reverse(cycle.begin(), cycle.end());
  std::rotate(cycle.begin(), std::min_element(cycle.begin(), cycle.end()), cycle.end());
  return cycle;
}

std::string Describe(const Component& dag, const std::vector<int>& cycle) {
  std::string text;
  size_t shown = 0;
  for (const int task : cycle) {
    if (++shown > 20) {
      text += "… -> ";
      break;
    }
    text += dag.tasks[task].name + " -> ";
  }
  return text + dag.tasks[cycle[0]].name;
}

}  // namespace

void CheckCycles(const Component& dag, Faults* faults) {
  std::vector<bool> reported(dag.tasks.size());
  for (int i = 0; i < kMaxCycles; ++i) {
    const std::vector<bool> stuck = FindStuck(dag, reported);
    if (std::find(stuck.begin(), stuck.end(), true) == stuck.end()) return;
    const std::vector<int> cycle = FindCycle(dag, stuck);
    for (const int task : cycle) reported[task] = true;
    faults->Report(ComponentPath(dag) + ".dag.tasks",
                   "these tasks wait for each other: " + Describe(dag, cycle));
  }
}

}  // namespace caudal::spec::internal
