#pragma once

/// Containerized Python components (execution.md 3.14): `python3 -m kfp.dsl.executor_main` without
/// a module, which the image of the component holds and which is not used here.

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "caudal/v1/attempt.pb.h"
#include "pyenv/pyenv.h"

namespace caudal::executor::internal {

/// The function to execute when the container is such a component's.
std::optional<std::string> ContainerizedFunction(const v1::AttemptSpec& spec);

/// Where its module is in the code that came with the run, and what it needs installed.
struct LocalModule {
  std::string path;                   ///< absolute, of the file
  std::vector<pyenv::PipCall> calls;  ///< kfp, and `runtime-requirements.txt` beside kfp_config.ini
};

/// Looks for `kfp_config.ini`, as the image would have it, then for the one file that defines the
/// function. Reads files. Errors: kNotFound when there is none, kFailedPrecondition when there are
/// several; both name the remedy.
base::Result<LocalModule> FindModule(const std::string& data_dir, const v1::AttemptSpec& spec,
                                     const std::string& function);

/// The words that run it.
std::vector<std::string> ModuleCommand(const std::string& path);

}  // namespace caudal::executor::internal
