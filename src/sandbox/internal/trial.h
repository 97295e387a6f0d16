#pragma once

/// One command in one sandbox, to its end: how a sandbox is tried out.

#include <string>
#include <vector>

#include "base/status.h"
#include "sandbox/sandbox.h"

namespace caudal::sandbox::internal {

struct Trial {
  int status = 0;      ///< wait status
  std::string output;  ///< standard output and error
  std::vector<std::string> notes;
};

/// Safe in a process with threads. Errors: whatever could not be set up.
base::Result<Trial> RunInSandbox(const ViewSpec& spec, const std::vector<std::string>& argv);

}  // namespace caudal::sandbox::internal
