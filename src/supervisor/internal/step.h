#pragma once

/// From keeper to step: fork, become the step's user, exec.

#include <sys/types.h>

#include <optional>
#include <string>

#include "caudal/v1/supervisor.pb.h"

namespace caudal::supervisor::internal {

/// Why a step could not be started: a StepExit error code, and words for the user.
struct StepFault {
  std::string code;
  std::string message;
};

/// Forks and executes the command with standard output and error into `output`; returns once it
/// runs, with its pid, or with the reason why not, nothing being left of it. For a single-threaded
/// caller with all signals blocked.
std::optional<StepFault> StartStep(const v1::StepSpec& spec, int output, pid_t* pid);

}  // namespace caudal::supervisor::internal
