#pragma once

/// The tree of a run's tasks as a terminal shows it, and its changes as lines where there is none.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "caudal/v1/run_service.pb.h"
#include "cli/internal/report.h"
#include "cli/internal/text.h"

namespace caudal::cli {

/// What stands in the tree beside the report.
struct TreeExtras {
  std::string place;                              ///< which server: "local", "host:8888"
  std::map<std::string, std::string> last_lines;  ///< task id → last line of its log
  std::optional<int64_t> left_micros;             ///< until the run ends, as far as can be said
  std::string note;                               ///< a last line of its own; empty: none
};

/// "digits · local · sandbox · python 3.11".
std::string HeaderLine(const v1::RunReport& report, const std::string& place, const Style& style);

/// Header, one line per task, indented by depth, then how many steps are done. Never more lines
/// than the terminal has rows: finished groups are closed first, then what has ended and what still
/// waits is summed up. `now_micros` is for what still runs.
std::vector<std::string> TreeLines(const v1::RunReport& report, const TreeExtras& extras,
                                   int64_t now_micros, const Style& style);

/// Tasks of which the tree wants the last line of the log: those that have one and run now, at most
/// `most`, in the order of the tree.
std::vector<std::string> TasksWithLiveLog(const v1::RunReport& report, size_t most);

/// One line for a task that has changed, for output that is not a terminal.
std::string ChangeLine(const ReportTask& task, int64_t now_micros);

}  // namespace caudal::cli
