#pragma once

/// Shows a run on standard error while it goes on.

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "caudal/v1/run_service.pb.h"
#include "cli/internal/estimate.h"
#include "cli/internal/live_report.h"
#include "cli/internal/text.h"
#include "cli/internal/tree.h"

namespace caudal::cli {

/// How standard error (or another descriptor) wants to be written to.
bool IsTerminal(int fd);
Style StyleFor(int fd);

/// A tree redrawn in place on a terminal, each frame in one write, the cursor hidden meanwhile;
/// else one line per change, or nothing at all. Thread-safe.
class Progress {
 public:
  enum class Form { kTree, kLines, kNone };

  /// `place` is the server in the first line.
  Progress(Form form, std::string place);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  Form form() const { return form_; }

  /// All tasks, or those that changed (see LiveReport).
  void Show(v1::RunReport changes);
  /// What is shown, whole. For the thread that calls Show.
  const v1::RunReport& report() const { return live_.report(); }
  /// What the tree shows beside it; the next frame has it.
  void SetLastLine(const std::string& task_id, const std::string& line);
  void SetTimeline(Timeline before);
  /// Something to know now: below the tree, or a line of its own.
  void Say(const std::string& text);

  /// The tree stays as it is and the cursor comes back; nothing is drawn any more. Also on the way
  /// out of the process by a signal.
  void Close();
  /// The terminal has been used by others: the tree starts anew below.
  void Reopen();

 private:
  void Tick();
  // All with mutex_ held.
  void Draw();
  void ShowChanges(const std::vector<std::string>& paths);
  void DropBuildLines();
  bool IsWorthALine(const ReportTask& task) const;

  const Form form_;
  std::mutex mutex_;  // guards all that follows
  LiveReport live_;
  bool has_report_ = false;
  TreeExtras extras_;
  std::map<std::string, std::string> build_lines_;  // task id → its last while it was PENDING
  std::optional<Timeline> before_;
  std::map<std::string, std::string> shown_;  // task path → state and attempts
  std::vector<std::string> on_screen_;
  int columns_on_screen_ = 0;
  bool is_cursor_hidden_ = false;
  bool is_closed_ = false;
  bool is_stopping_ = false;
  std::condition_variable stopping_;
  std::thread ticker_;
};

}  // namespace caudal::cli
