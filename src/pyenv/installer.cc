#include "pyenv/internal/installer.h"

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>

#include "process/process.h"
#include "pyenv/internal/interpreter.h"
#include "pyenv/internal/settings.h"

namespace caudal::pyenv::internal {
namespace {

std::string RealPath(const std::string& path) {
  std::error_code error;
  const auto real = std::filesystem::canonical(path, error);
  return error ? "" : real.string();
}

std::string FindUv() {
  if (std::getenv("CAUDAL_UV") != nullptr) return RealPath(Variable("CAUDAL_UV"));
  const auto found = Candidates("uv");
  return found.empty() ? "" : RealPath(found.front());
}

/// "uv 0.4.1 (0123abcd 2024-08-29)" → "uv 0.4.1"; empty when the program does not run.
std::string VersionOf(const std::string& uv) {
  process::Command command;
  command.argv = {uv, "--version"};
  command.env = {"PATH=" + Variable("PATH"), "HOME=" + Variable("HOME"), "LC_ALL=C.UTF-8"};
  std::string output;
  const auto exit = process::RunBlocking(
      command, [&](std::string_view text) { output += text; }, std::chrono::seconds(30));
  if (!exit.ok() || !exit->ok() || !output.starts_with("uv ")) return "";
  return output.substr(0, output.find_first_of(" \n", 3));
}

/// A flag of the SDK's wrapper in uv's words; empty: uv has no such choice to make.
std::string UvFlag(const std::string& option) {
  if (option == "--pre") return "--prerelease=allow";
  if (option == "--no-cache-dir") return "--no-cache";
  if (option == "--trusted-host") return "--allow-insecure-host";
  return option == "--prefer-binary" ? "" : option;
}

}  // namespace

std::vector<std::string> Installer::Words(const PipCall& call, const std::string& venv) const {
  std::vector<std::string> words;
  if (uv.empty()) {
    words = {venv + "/bin/python",
             "-m",
             "pip",
             "install",
             "--no-input",
             "--disable-pip-version-check",
             "--no-warn-script-location",
             "--no-compile"};
    words.insert(words.end(), call.options.begin(), call.options.end());
  } else {
    // Like pip, which takes the best version of all indexes.
    words = {uv,
             "pip",
             "install",
             "--python",
             venv + "/bin/python",
             "--index-strategy",
             "unsafe-best-match"};
    std::string unknown;
    const auto told = ForUv(settings, &unknown);
    if (told) words.insert(words.end(), told->words.begin(), told->words.end());
    for (const std::string& option : call.options) {
      const std::string flag = UvFlag(option);
      if (!flag.empty()) words.push_back(flag);
    }
  }
  words.insert(words.end(), call.packages.begin(), call.packages.end());
  return words;
}

std::vector<std::string> Installer::Env(const std::string& scratch, bool own_home) const {
  std::vector<std::string> env;
  if (!uv.empty()) {
    // Copies: what a cache gives to others must not be a file of what is immutable.
    env = {"UV_LINK_MODE=copy", "UV_NO_PROGRESS=1", "NO_COLOR=1", "UV_PYTHON_DOWNLOADS=never"};
    // A cache that packages of several builds could write would let one change what others get.
    if (!own_home) env.push_back("UV_CACHE_DIR=" + scratch + "/uv-cache");
    const bool has_config = settings.count(kUvConfig) > 0;
    env.push_back(has_config ? "UV_CONFIG_FILE=" + scratch + "/uv.toml" : "UV_NO_CONFIG=1");
    std::string unknown;
    const auto told = ForUv(settings, &unknown);
    if (told) env.insert(env.end(), told->env.begin(), told->env.end());
  }
  for (const auto& [variable, value] : settings) {
    if (IsVariable(variable)) env.push_back(variable + "=" + value);
  }
  return env;
}

Installer ChooseInstaller(const Settings& settings) {
  Installer chosen;
  chosen.settings = settings;
  const std::string uv = FindUv();
  if (uv.empty()) {
    if (!Variable("CAUDAL_UV").empty()) {
      chosen.note = "CAUDAL_UV names '" + Variable("CAUDAL_UV") + "', which does not exist";
    }
    return chosen;
  }
  chosen.name = VersionOf(uv);
  if (chosen.name.empty()) {
    chosen.note = uv + " does not run";
    return chosen;
  }
  std::string unknown;
  if (!ForUv(settings, &unknown)) {
    chosen.name.clear();
    chosen.note = "uv has no counterpart of pip's setting '" + unknown + "'";
    return chosen;
  }
  chosen.uv = uv;
  return chosen;
}

}  // namespace caudal::pyenv::internal
