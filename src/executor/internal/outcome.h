#pragma once

/// Outcomes of attempts that never came to be collected, and the words for what went wrong.

#include <string>

#include "base/status.h"
#include "caudal/v1/attempt.pb.h"
#include "caudal/v1/supervisor.pb.h"

namespace caudal::executor::internal {

/// An outcome of an attempt that has no exit: FAILED, KILLED or LOST, exit code -1.
v1::AttemptOutcome MakeOutcome(const v1::AttemptSpec& spec, v1::AttemptOutcome::Result result,
                               const std::string& error_code, const std::string& error,
                               int64_t now_micros);

/// The error code for a Status of launcher::Stage: "INPUT", "DISK" or "START".
std::string StagingErrorCode(base::Code code);

/// A failure to start said so that the user sees why: the program, and that images are not used.
std::string StartError(const v1::AttemptSpec& spec, const v1::StepExit& exit,
                       const std::string& program, const std::string& isolation);

}  // namespace caudal::executor::internal
