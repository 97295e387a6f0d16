#pragma once

/// Follows a run on the screen to its end.

#include <functional>
#include <memory>
#include <string>

#include "base/status.h"
#include "cli/internal/api.h"

namespace caudal::cli {

/// What Ctrl-C means while a run is followed.
enum class OnInterrupt {
  kCancel,  ///< the run is ours: first cancel it, then end its steps at once, then leave
  kLeave,   ///< somebody else's: stop watching
};

struct WatchOptions {
  std::string place = "local";  ///< how the first line names the server (Target::name)
  std::string target_words;     ///< " --data-dir D": for commands that are printed (TargetWords)
  std::string again;            ///< the command that runs the same again; empty: not printed
  bool json = false;            ///< prints the object of `--json` at the end instead of results
  OnInterrupt on_interrupt = OnInterrupt::kLeave;
  /// Where the server is now, after it stopped answering. Unset: at the same address.
  std::function<base::Result<std::string>()> find_again;
};

/// Takes the signals over while it lives; make it before other threads. Until a run is followed,
/// Ctrl-C ends the process.
class RunWatch {
 public:
  RunWatch(std::string url, WatchOptions options);
  ~RunWatch();
  RunWatch(const RunWatch&) = delete;
  RunWatch& operator=(const RunWatch&) = delete;

  /// Shows the run's progress on standard error, the outcome on standard output (a failure on
  /// standard error), and returns the exit code: 0 succeeded, 1 failed, 130 interrupted, 2 and 3
  /// for errors. Once only.
  int Follow(const std::string& run_id);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// The same for a run that exists. Of `api` only the address is used.
int WatchRun(const Api& api, const std::string& run_id, const WatchOptions& options);

}  // namespace caudal::cli
