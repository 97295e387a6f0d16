#pragma once

/// What pip and uv are told by the server's surroundings, and how uv is told what pip would read.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pyenv/pyenv.h"

namespace caudal::pyenv::internal {

/// The settings of this process: relative paths in them are made absolute.
Settings SettingsFromEnvironment();

/// Whether a setting is a variable for the installer, and not the text of a file.
bool IsVariable(const std::string& name);

/// Whether a setting can change what is installed.
bool ChangesWhatIsInstalled(const std::string& name);

/// Absolute paths that settings name.
std::vector<std::string> PathsIn(const Settings& settings);

/// pip's own options from `settings`, by their long names without dashes, as pip merges them:
/// system file, user's file, variables; [install] before [global].
std::map<std::string, std::string> PipOptions(const Settings& settings);

/// How to tell uv what pip would take from the settings.
struct UvSettings {
  std::vector<std::string> words;  ///< for `uv pip install`
  std::vector<std::string> env;    ///< "NAME=value"
};

/// nullopt when there is an option that uv does not have, named in `unknown`.
std::optional<UvSettings> ForUv(const Settings& settings, std::string* unknown);

/// An environment variable of this process; empty when it is not set.
std::string Variable(const char* name);

}  // namespace caudal::pyenv::internal
