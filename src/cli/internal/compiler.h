#pragma once

/// Compiles pipelines in Python through the SDK of the user's own Python.
///
/// The SDK takes a second to import, so a process per interpreter keeps it imported and forks for
/// each file: `caudal_compiler.py`, listening in `<data_dir>/compile/`. It ends by itself when
/// idle, when its socket is gone, and begins anew when packages of its interpreter change. Where it
/// cannot run, a process of its own compiles the file.

#include <string>
#include <vector>

#include "base/status.h"
#include "caudal/v1/origin.pb.h"
#include "cli/internal/python_source.h"

namespace caudal::cli {

struct Compiled {
  std::string package;  ///< YAML, as the SDK writes it
  std::vector<v1::FunctionPlace> functions;
  std::string sdk_version;  ///< "2.14.0"
};

/// Blocks for as long as the user's module takes; what it prints goes to our standard error.
/// `python` is absolute. Errors: kInvalidArgument with what is wrong in the user's file, or with
/// the Python; kFailedPrecondition when the compiler ended without an answer.
base::Result<Compiled> CompilePython(const PythonSource& source, const std::string& python,
                                     const std::string& data_dir);

/// Starts the compiler of `python` if none runs, and does not wait for it. Never fails: the next
/// compilation finds out.
void StartCompilerAhead(const std::string& python, const std::string& data_dir);

/// Ends all compilers of a data directory.
void StopCompilers(const std::string& data_dir);

}  // namespace caudal::cli
