#pragma once

/// A run's report as text: one line per task while it runs, the outcome at the end, and as JSON.

#include <cstdint>
#include <string>
#include <vector>

#include "caudal/v1/run_service.pb.h"

namespace caudal::cli {

/// How text is dressed.
struct Style {
  bool color = false;
  int columns = 0;  ///< longer lines of the live tree are cut; 0: never
};

/// The object of `--json`, one line without line feed.
std::string ReportToJson(const v1::RunReport& report);

/// The live tree: one line per task, indented by depth, then a line with the count. `now_micros` is
/// for what still runs.
std::vector<std::string> TreeLines(const v1::RunReport& report, int64_t now_micros,
                                   const Style& style);

/// One line for a task that has changed, for output that is not a terminal.
std::string ChangeLine(const v1::RunReport::ReportTask& task, int64_t now_micros);

/// Outputs and artifacts of the run, or of the tasks that nobody consumes; ends with a line feed,
/// or is empty.
std::string ResultText(const v1::RunReport& report);

/// What a user can do next, and where the full log of each failed task is.
struct FailureHints {
  std::string again;  ///< a command
  /// Last lines of a task's log and its address, in the order of the report's failed tasks.
  struct Log {
    std::string task_id;
    std::string tail;
    std::string url;
  };
  std::vector<Log> logs;
};

/// Who failed, why, what it said last, what was not run, what to do next.
std::string FailureText(const v1::RunReport& report, const FailureHints& hints, const Style& style);

/// "✓ NAME succeeded in 1.2 s".
std::string HeadLine(const v1::RunReport& report, const Style& style);

/// Tasks that failed themselves: leaves, not the groups around them.
std::vector<const v1::RunReport::ReportTask*> FailedLeaves(const v1::RunReport& report);

/// "12 ms", "3.4 s", "2 min 5 s", "1 h 3 min".
std::string DurationText(int64_t micros);

}  // namespace caudal::cli
