#include "cli/internal/estimate.h"

#include <algorithm>

#include "cli/internal/report.h"

namespace caudal::cli {
namespace {

constexpr int64_t kWorthSaying = 1'000'000;

int64_t FirstStart(const v1::RunReport& report) {
  int64_t first = 0;
  for (const ReportTask& task : report.tasks()) {
    if (IsGroup(task) || task.started_at() == 0) continue;
    if (first == 0 || task.started_at() < first) first = task.started_at();
  }
  return first;
}

bool IsOpen(const ReportTask& task) { return !IsGroup(task) && !IsFinal(task.state()); }

// When a step that runs will end, at the earliest now.
int64_t EndOf(const ReportTask& task, const Timeline::Span& before, int64_t now) {
  return std::max(now, task.started_at() + before.end - before.begin);
}

}  // namespace

Timeline TimelineOf(const v1::RunReport& report) {
  Timeline timeline;
  const int64_t begin = FirstStart(report);
  for (const ReportTask& task : report.tasks()) {
    if (IsGroup(task) || task.started_at() == 0 || task.ended_at() < task.started_at()) continue;
    timeline.spans[task.path()] = {task.started_at() - begin, task.ended_at() - begin};
  }
  return timeline;
}

std::optional<int64_t> LeftMicros(const v1::RunReport& report, const Timeline& before,
                                  int64_t now_micros) {
  const int64_t begin = FirstStart(report);
  if (begin == 0) return std::nullopt;
  // How much later than before things happen now, by what runs; else by what ended last.
  int64_t late_by_running = INT64_MIN;
  int64_t late_by_ended = 0;
  int64_t last_end = 0;
  for (const ReportTask& task : report.tasks()) {
    const auto span = before.spans.find(task.path());
    if (span == before.spans.end()) {
      if (IsOpen(task)) return std::nullopt;
      continue;
    }
    if (IsOpen(task) && task.started_at() > 0) {
      const int64_t late = EndOf(task, span->second, now_micros) - begin - span->second.end;
      late_by_running = std::max(late_by_running, late);
    } else if (task.ended_at() > last_end) {
      last_end = task.ended_at();
      late_by_ended = task.ended_at() - begin - span->second.end;
    }
  }
  const int64_t late = late_by_running == INT64_MIN ? late_by_ended : late_by_running;
  int64_t end = 0;
  for (const ReportTask& task : report.tasks()) {
    if (!IsOpen(task)) continue;
    const Timeline::Span& span = before.spans.at(task.path());
    const int64_t then = begin + span.end + late;
    end = std::max(end, task.started_at() > 0 ? EndOf(task, span, now_micros) : then);
  }
  const int64_t left = end - now_micros;
  if (left < kWorthSaying) return std::nullopt;
  return left;
}

}  // namespace caudal::cli
