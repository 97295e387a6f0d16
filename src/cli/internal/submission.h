#pragma once

/// A run as the command line describes it: the file read or compiled and checked, the parameters
/// converted, and where all of it came from.

#include <string>
#include <vector>

#include "base/status.h"
#include "caudal/v1/run_service.pb.h"
#include "cli/internal/arguments.h"
#include "cli/internal/local_code.h"

namespace caudal::cli {

struct Submission {
  v1::SubmitRunRequest request;  ///< the run has no experiment yet
  std::vector<LocalCode> code;   ///< what the server must have before the run
};

/// Reads and checks everything that can be known without a server. Errors: kInvalidArgument with
/// every fault, a line each.
base::Result<Submission> MakeSubmission(const Arguments& arguments);

/// The package of a pipeline file: compiled when it is Python, taken out when it is in an archive.
struct PackageFile {
  std::string file;     ///< as the user named it, without a function
  std::string content;  ///< of the file, as it lies there
  std::string package;  ///< YAML or JSON
  std::vector<v1::FunctionPlace> functions;
};
base::Result<PackageFile> ReadPackage(const Arguments& arguments, const std::string& word);

/// The command that submits the same again, where the variables it names have their values still:
/// values may be secret and are left out.
std::string AgainCommand(const Arguments& arguments);

/// `text` as one word of a shell.
std::string ShellQuote(const std::string& text);

}  // namespace caudal::cli
