#pragma once

/// What every step on this machine gets around its own command: PATH, variables, mounts, limits.

#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "caudal/v1/attempt.pb.h"
#include "caudal/v1/supervisor.pb.h"
#include "executor/internal/step_python.h"
#include "executor/internal/work_files.h"
#include "launcher/launcher.h"

namespace caudal::executor::internal {

/// Immutable after Make.
struct Surroundings {
  std::string data_dir;
  std::string shims_dir;  ///< holds `python`; empty where the machine has one
  std::vector<std::string> hidden;
  std::vector<v1::Mount> mounts;
  std::map<std::string, std::string> passed_on;  ///< variables of the server that steps get
  int64_t kill_grace_millis = 0;
  int64_t log_limit_bytes = 0;

  /// The whole step. `view` is what staging made of `spec`.
  v1::StepSpec MakeStep(const v1::AttemptSpec& spec, const launcher::View& view,
                        const StepPython& python, const WorkFiles& files) const;

  /// Whether a file of this machine may be read for a pipeline: with `sandbox`, not those that
  /// steps must not see. Errors: kFailedPrecondition.
  base::Status CheckReadable(const std::string& path, bool sandbox) const;

  /// Whether all code that the run brings is there. Errors: kNotFound.
  base::Status CheckCode(const v1::AttemptSpec& spec) const;

 private:
  std::map<std::string, std::string> MakeEnv(const v1::AttemptSpec& spec,
                                             const launcher::View& view,
                                             const StepPython& python) const;
  std::vector<std::string> CodeDirs(const v1::AttemptSpec& spec) const;
  void AddMounts(const StepPython& python, v1::StepSpec* step) const;
  bool IsHidden(const std::string& path) const;
};

/// Reads "HOST[:PATH][:rw]". Errors: kInvalidArgument naming the text and what is wrong with it.
base::Result<v1::Mount> ParseMount(const std::string& text);

/// Those of our own variables that a step should have: time zone, proxies, certificates, pip's.
std::map<std::string, std::string> VariablesToPassOn(const char* const* environment);

/// Home directories, which no sandboxed step sees, and `data_dir`.
std::vector<std::string> HiddenDirs(const std::string& data_dir);

/// Makes `<data_dir>/envs/shims/python` where the machine has `python3` only; returns the
/// directory, or nothing where no shim is needed or possible.
std::string MakeShims(const std::string& data_dir);

}  // namespace caudal::executor::internal
