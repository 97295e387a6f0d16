#pragma once

/// The supervisor process: parent of all steps of one data directory. It outlives the server,
/// records every exit on disk before reporting it, and is re-adopted through its socket.

#include <string>

#include "base/status.h"

namespace caudal::supervisor {

struct Options {
  std::string data_dir;
  int unclaimed_seconds = 900;  ///< without a server for this long it kills its steps and exits
  int idle_seconds = 5;         ///< without a server and steps for this long it exits
};

/// Runs until told to shut down, unclaimed for too long, or idle without server and steps. Called
/// in a process of its own, single-threaded, before any thread exists. Returns the exit code: 0, 3
/// when the data directory has a supervisor already, 1 for other faults.
int Run(const Options& options);

}  // namespace caudal::supervisor
