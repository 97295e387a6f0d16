#pragma once

/// A run as the command line describes it: the file read and checked, the parameters converted.

#include <string>

#include "backend/api/v2beta1/run.pb.h"
#include "base/status.h"
#include "cli/internal/arguments.h"

namespace caudal::cli {

/// Reads and checks everything that can be known without a server. The run has no experiment yet.
/// Errors: kInvalidArgument with every fault, a line each.
base::Result<kubeflow::pipelines::backend::api::v2beta1::Run> MakeSubmission(
    const Arguments& arguments);

/// The command that submits the same again.
std::string AgainCommand(const Arguments& arguments);

/// `text` as one word of a shell.
std::string ShellQuote(const std::string& text);

}  // namespace caudal::cli
