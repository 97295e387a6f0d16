#pragma once

/// Server processes that the command line starts.

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/status.h"

namespace caudal::cli {

enum class Lifetime {
  kBackground,  ///< a session of its own; ends itself when idle
  kOurs,        ///< ends with us
};

struct StartOptions {
  std::string data_dir;
  Lifetime lifetime = Lifetime::kBackground;
  std::vector<std::string> flags;  ///< further words for `caudal server`
};

struct StartedServer {
  pid_t pid = 0;
  std::string http;  ///< host:port
};

/// Starts `caudal server` on ports of the kernel's choice and waits until it accepts. Its output
/// goes to `<data_dir>/server.log`. Says so on standard error when it takes over a second. Errors:
/// kUnavailable with the last lines of that file; kAborted when another server took the directory
/// meanwhile.
base::Result<StartedServer> StartServer(const StartOptions& options);

/// SIGTERM, then waits until the process is gone. Errors: kDeadlineExceeded after `timeout_millis`,
/// kPermissionDenied.
base::Status StopProcess(pid_t pid, int64_t timeout_millis);

}  // namespace caudal::cli
