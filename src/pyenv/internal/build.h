#pragma once

/// Building one environment on disk.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "pyenv/internal/installer.h"
#include "pyenv/internal/records.h"
#include "pyenv/pyenv.h"

namespace caudal::pyenv::internal {

/// What the installer says, as it comes.
using Progress = std::function<void(std::string_view)>;

/// `calls` with the pinned kfp replaced by `kfp_package`, when that is given.
std::vector<PipCall> WithKfpPackage(std::vector<PipCall> calls, const std::string& kfp_package);

/// A kfp package is one requirement, path or URL. Errors: kInvalidArgument.
base::Status CheckKfpPackage(const std::string& kfp_package);

/// The directory of modules below a `venv`.
std::string SitePackages(const std::string& venv, const Interpreter& interpreter);

/// Everything a build needs to know. The references outlive it.
struct BuildJob {
  const Options& options;
  const Disk& disk;
  const Installer& installer;
  Record record;                      ///< key, build, interpreter, calls, use_venv, kfp_package
  std::vector<std::string> others{};  ///< `venv` of builds to share files with, best first
  const Progress& progress;
};

/// Builds it, under the key's lock; the finished record is on disk when this returns. What a failed
/// build made is removed. Errors: kFailedPrecondition with the installer's last lines; by errno.
base::Result<Record> Build(BuildJob job);

}  // namespace caudal::pyenv::internal
