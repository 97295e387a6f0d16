#pragma once

/// Asking before something is lost.

#include <string>

#include "base/status.h"
#include "cli/internal/arguments.h"

namespace caudal::cli {

/// OK to go on: `--yes` is given, or the user says y to "`question` [y/N]" on a terminal. Errors:
/// kFailedPrecondition without a terminal, naming --yes; kAborted for any other answer.
base::Status Confirm(const Arguments& arguments, const std::string& question);

}  // namespace caudal::cli
