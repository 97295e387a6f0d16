#pragma once

/// Building one environment on disk.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "pyenv/pyenv.h"

namespace caudal::pyenv::internal {

/// The variables of this process that pip is given.
Settings SettingsFromEnvironment();

/// `calls` with the pinned kfp replaced by `kfp_package`, when that is given.
std::vector<PipCall> WithKfpPackage(std::vector<PipCall> calls, const std::string& kfp_package);

/// `text` with user names and passwords in URLs taken out.
std::string MaskSecrets(std::string_view text);

/// Where the environment of `key` lies; `lock` is empty.
Environment Locate(const Options& options, const std::string& key, const Interpreter& interpreter);

/// The finished environment on disk. Errors: kNotFound when there is none, or an unfinished one.
base::Result<Environment> FindFinished(const Options& options, const std::string& key,
                                       const Interpreter& interpreter);

/// Builds it, or finds that another process has. Blocks while another one builds it. Whatever was
/// left of an unfinished build is removed; so is what a failed build made. Errors:
/// kFailedPrecondition with pip's last lines; by errno.
base::Result<Environment> Build(const Options& options, const std::string& key,
                                const Interpreter& interpreter, const std::vector<PipCall>& calls,
                                const Settings& settings,
                                const std::function<void(std::string_view)>& progress);

}  // namespace caudal::pyenv::internal
