#pragma once

/// The Pythons of this machine.

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "pyenv/pyenv.h"

namespace caudal::pyenv::internal {

/// "3.9" of "docker.io/library/python:3.9-slim"; empty for any other image or tag.
std::string PythonVersionOf(const std::string& image);

/// Where a program of this name may lie: PATH, then the usual places.
std::vector<std::string> Candidates(const std::string& program);

/// What the program says of itself. Errors: kFailedPrecondition when it does not run, or cannot
/// make environments.
base::Result<Interpreter> Probe(const std::string& program);

/// A file or directory below directories that `uid` may enter.
bool CanReach(int uid, const std::string& path);

}  // namespace caudal::pyenv::internal
