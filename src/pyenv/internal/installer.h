#pragma once

/// The programs that install: uv where there is one, else the environment's own pip.

#include <optional>
#include <string>
#include <vector>

#include "pyenv/pyenv.h"

namespace caudal::pyenv::internal {

/// Immutable.
struct Installer {
  std::string uv{};    ///< real path; empty: pip
  std::string name{};  ///< "uv 0.4.1"; of pip, empty: it is known only in the environment
  std::string note{};  ///< why it is pip although there is a uv; empty otherwise
  Settings settings{};

  /// The words that install `call` into the environment at `venv`.
  std::vector<std::string> Words(const PipCall& call, const std::string& venv) const;
  /// Variables for those words, beside PATH and HOME. `scratch` is the build's own; `own_home`: the
  /// build may use the caches of the server's user.
  std::vector<std::string> Env(const std::string& scratch, bool own_home) const;
};

/// CAUDAL_UV, else `uv` on PATH; an empty CAUDAL_UV means none. Blocks while uv says its version.
Installer ChooseInstaller(const Settings& settings);

}  // namespace caudal::pyenv::internal
