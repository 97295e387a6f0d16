#pragma once

/// One connection from a server to a supervisor process.

#include <sys/types.h>

#include <chrono>
#include <string>

#include "base/file.h"
#include "base/status.h"
#include "caudal/v1/supervisor.pb.h"

namespace caudal::supervisor::internal {

struct Connection {
  base::UniqueFd socket;
  base::UniqueFd process;  // pidfd of the supervisor
};

/// Connects to the data directory's supervisor and hears what it knows, all pages in one. Errors:
/// kUnavailable and kNotFound when there is none.
base::Result<Connection> Open(const std::string& data_dir, v1::SupervisorReport::Hello* hello);

/// The same; starts a supervisor when there is none. Errors: kUnavailable with what was tried.
base::Result<Connection> OpenOrSpawn(const std::string& executable, const std::string& data_dir,
                                     v1::SupervisorReport::Hello* hello);

/// True once the supervisor process has ended; waits for that at most `patience`.
bool HasEnded(const Connection& connection, std::chrono::milliseconds patience);

}  // namespace caudal::supervisor::internal
