#pragma once

/// Which Python a step runs on: interpreter, environment, and its command without the pip step.

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "caudal/v1/attempt.pb.h"
#include "pyenv/pyenv.h"

namespace caudal::executor::internal {

/// Both absent for a step on a machine without Python. As long as it lives, its environment does.
struct StepPython {
  std::optional<pyenv::Interpreter> interpreter;
  std::optional<pyenv::Environment> environment;
};

struct PythonChoice {
  StepPython python;
  std::string note;                  ///< what stood in for the image; may be empty
  std::vector<std::string> command;  ///< of the step as it is to run
};

/// What is known already: nullopt when an interpreter has to be asked, files have to be read or an
/// environment has to be built first. Errors: kFailedPrecondition when the step needs a Python and
/// there is none.
std::optional<base::Result<PythonChoice>> ChooseFromMemory(const v1::AttemptSpec& spec,
                                                           pyenv::Environments& environments);

/// What the step's Python is, as far as it may change what comes out of it: "env <key>",
/// "python <version> <path>", or "host" for a machine without one. Builds nothing.
std::string PythonRealm(const std::string& data_dir, const v1::AttemptSpec& spec,
                        pyenv::Environments& environments);

/// The same, however long it takes. `on_build` is called before an environment is built or waited
/// for, `progress` gets what the installer says. Errors: as pyenv::Environments::Get, and
/// those of FindModule.
base::Result<PythonChoice> Choose(const std::string& data_dir, const v1::AttemptSpec& spec,
                                  pyenv::Environments& environments,
                                  const std::function<void()>& on_build,
                                  const std::function<void(std::string_view)>& progress);

}  // namespace caudal::executor::internal
