#pragma once

/// Starts a supervisor process that outlives the caller.

#include <string>

#include "base/status.h"

namespace caudal::supervisor::internal {

/// Runs `executable supervise --data-dir <data_dir>` in a session of its own, its standard error in
/// <data_dir>/supervisor.log, and returns once it has been executed. Both paths must be absolute.
/// Safe in a process with threads. Errors: kUnavailable.
base::Status SpawnSupervisor(const std::string& executable, const std::string& data_dir);

}  // namespace caudal::supervisor::internal
