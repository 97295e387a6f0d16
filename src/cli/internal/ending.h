#pragma once

/// What is printed when a run has ended: what came out, or who failed, why, and what to do next.

#include <string>
#include <utility>
#include <vector>

#include "caudal/v1/run_service.pb.h"
#include "cli/internal/report.h"
#include "cli/internal/text.h"

namespace caudal::cli {

/// "✓ NAME succeeded in 1.2 s".
std::string HeadLine(const v1::RunReport& report, const Style& style);

/// Outputs, metrics and artifacts of the run, or of its steps where the pipeline returns nothing;
/// ends with a line feed, or is empty.
std::string ResultText(const v1::RunReport& report, const Style& style);

/// Of more failed tasks than this only their number is told.
inline constexpr size_t kMostFailuresShown = 5;

/// What only the client can find out about a failed task.
struct FailureDetail {
  std::string task_id;
  std::string log_end;      ///< last lines of the log, for a task without a traceback
  std::string source_line;  ///< of the user's file at the task's place; empty where not readable
};

/// Who failed, where and why, with which inputs, and what was not run because of it.
std::string FailureText(const v1::RunReport& report, const std::vector<FailureDetail>& details,
                        const Style& style);

/// Commands to go on with, each with what it is for.
using NextCommands = std::vector<std::pair<std::string, std::string>>;
/// `target_flags` (" --data-dir D") make them reach the same server; `again` runs the same again.
NextCommands CommandsAfter(const v1::RunReport& report, const std::string& again,
                           const std::string& target_flags);
std::string NextText(const NextCommands& commands, const Style& style);

}  // namespace caudal::cli
