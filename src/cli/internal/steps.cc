#include "cli/internal/steps.h"

#include <algorithm>

#include "cli/internal/arguments.h"
#include "cli/internal/wording.h"

namespace caudal::cli {
namespace {

constexpr size_t kMostNames = 20;

std::string JoinPaths(const std::vector<const ReportTask*>& steps) {
  std::string text;
  const size_t shown = std::min(steps.size(), kMostNames);
  for (size_t i = 0; i < shown; ++i) text += (i == 0 ? "" : ", ") + steps[i]->path();
  if (steps.size() > shown) text += " and " + std::to_string(steps.size() - shown) + " more";
  return text;
}

}  // namespace

std::vector<const ReportTask*> StepsOf(const v1::RunReport& report) {
  std::vector<const ReportTask*> steps;
  for (const ReportTask& task : report.tasks()) {
    if (!task.path().empty() && !IsGroup(task)) steps.push_back(&task);
  }
  return steps;
}

base::Result<const ReportTask*> FindStep(const v1::RunReport& report, const std::string& given) {
  const std::vector<const ReportTask*> steps = StepsOf(report);
  std::vector<const ReportTask*> ending;
  std::vector<const ReportTask*> starting;
  std::vector<std::string> names;
  for (const ReportTask* step : steps) {
    if (step->path() == given) return step;
    const std::string& path = step->path();
    names.push_back(path);
    if (path.ends_with("/" + given)) ending.push_back(step);
    if (path.starts_with(given) || path.find("/" + given) != std::string::npos) {
      starting.push_back(step);
    }
  }
  const std::vector<const ReportTask*>& fitting = ending.empty() ? starting : ending;
  if (fitting.size() == 1) return fitting[0];
  if (!fitting.empty()) {
    return base::InvalidArgument("several steps fit '" + given + "': " + JoinPaths(fitting));
  }
  const std::string hint = DidYouMean(given, names);
  return base::NotFound("run " + ShortId(report.run_id()) + " has no step '" + given + "'" +
                        (hint.empty() ? ", its steps are " + JoinPaths(steps) : hint));
}

base::Result<const ReportTask*> StepToRead(const v1::RunReport& report) {
  for (const ReportTask* task : FailedLeaves(report)) {
    if (task->attempts() > 0) return task;
  }
  const ReportTask* last = nullptr;
  for (const ReportTask* step : StepsOf(report)) {
    if (step->attempts() == 0) continue;
    if (!IsFinal(step->state())) return step;
    if (last == nullptr || step->ended_at() >= last->ended_at()) last = step;
  }
  if (last != nullptr) return last;
  return base::NotFound("no step of run " + ShortId(report.run_id()) + " has started");
}

std::string StateWord(const std::string& state) {
  return state == "OMITTED" ? "not run" : Lowercase(state);
}

}  // namespace caudal::cli
