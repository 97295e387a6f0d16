#pragma once

/// One command in one sandbox, to its end.

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "process/process.h"
#include "sandbox/sandbox.h"

namespace caudal::sandbox::internal {

struct Trial {
  int status = 0;      ///< wait status
  std::string output;  ///< standard output and error
  std::vector<std::string> notes;
};

/// Safe in a process with threads; a caller that dies takes the sandbox along. Errors: whatever
/// could not be set up; kDeadlineExceeded.
base::Result<Trial> RunInSandbox(const ViewSpec& spec, const process::Command& command,
                                 const std::function<void(std::string_view)>& on_output,
                                 std::chrono::milliseconds timeout);
/// The same with all output in the trial, and no limit of time: how a sandbox is tried out.
base::Result<Trial> RunInSandbox(const ViewSpec& spec, const std::vector<std::string>& argv);

}  // namespace caudal::sandbox::internal
