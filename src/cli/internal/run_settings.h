#pragma once

/// Variables that the command line gives to the steps of a run.

#include <map>
#include <string>

#include "base/status.h"
#include "cli/internal/arguments.h"

namespace caudal::cli {

/// From `--env K=V`, `--env K` (our own value) and `--env-file F`, of which the former wins.
/// Errors: kInvalidArgument with every fault; values are never in a message.
base::Result<std::map<std::string, std::string>> ReadStepVariables(const Arguments& arguments);

/// The lines of an env file: NAME=value, NAME, comments with '#', an `export` in front, one pair of
/// quotes around a value.
base::Result<std::map<std::string, std::string>> ParseEnvFile(const std::string& name,
                                                              const std::string& text);

}  // namespace caudal::cli
