#pragma once

/// The supervisor's side of one live attempt: its keeper, its log, its end.

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/file.h"
#include "base/status.h"
#include "caudal/v1/supervisor.pb.h"
#include "process/process.h"
#include "supervisor/internal/event_loop.h"
#include "supervisor/internal/log_file.h"

namespace caudal::supervisor::internal {

using SteadyTime = std::chrono::steady_clock::time_point;

/// From the keeper's fork to its reaping. Single-threaded.
class Attempt {
 public:
  /// `mark` goes into the step's environment; `on_started` is called once the command runs.
  Attempt(EventLoop& loop, v1::StepSpec spec, std::string mark,
          std::function<void(const v1::SupervisorReport::Started&)> on_started);
  ~Attempt();

  /// Opens the log and forks the keeper. A fault leaves nothing behind.
  base::Status Start();
  /// Asks for the end of the tree: SIGTERM now and SIGKILL after the grace, or SIGKILL at once.
  void Kill(bool now);
  /// Ends the tree if it is over its memory limit.
  void CheckMemory(const process::Family& family);
  /// Carries out what is due; returns when the next is.
  std::optional<SteadyTime> CheckDeadlines(SteadyTime now);

  /// The keeper has been reaped: true when it could not say how the step ended, so that some of the
  /// tree may live on.
  bool KeeperDiedEarly();
  /// Last call, with the tree dead: takes the rest of the output and says how it all ended.
  v1::StepExit Finish();

  pid_t keeper() const { return keeper_; }
  const v1::StepSpec& spec() const { return spec_; }
  /// Null until the command runs.
  const v1::SupervisorReport::Started* started() const { return started_ ? &*started_ : nullptr; }

 private:
  base::Status Fork(base::UniqueFd keeper_channel, base::UniqueFd output);
  void ReadChannel();
  void ReadOutput(int64_t at_most);
  void EndBecause(std::string code, std::string message);
  void Order(char order);
  v1::StepExit WithoutKeeper() const;
  void StopWatching(uint64_t* source);

  EventLoop& loop_;
  v1::StepSpec spec_;
  std::function<void(const v1::SupervisorReport::Started&)> on_started_;
  std::optional<LogFile> log_;
  pid_t keeper_ = -1;
  base::UniqueFd channel_;
  base::UniqueFd output_;
  uint64_t channel_source_ = 0;
  uint64_t output_source_ = 0;

  std::optional<v1::SupervisorReport::Started> started_;
  std::optional<v1::StepExit> told_;  // what the keeper said
  bool kill_requested_ = false;
  std::string end_code_, end_message_;        // why we ended it ourselves
  std::optional<SteadyTime> kill_at_;         // SIGTERM's grace ends
  std::optional<SteadyTime> keeper_kill_at_;  // the keeper's time to obey ends
};

}  // namespace caudal::supervisor::internal
