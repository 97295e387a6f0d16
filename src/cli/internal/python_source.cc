#include "cli/internal/python_source.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <vector>

namespace caudal::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kEnding = ".py";

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool IsProgram(const std::string& path) {
  std::error_code error;
  return fs::is_regular_file(path, error) && access(path.c_str(), X_OK) == 0;
}

// What cannot be looked at is none.
bool IsFolder(const std::string& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

std::string Absolute(const std::string& path) {
  std::error_code error;
  return fs::absolute(path, error).lexically_normal().string();
}

// The first program of that name in PATH; empty when there is none.
std::string FindInPath(const std::string& name) {
  std::istringstream path(Variable("PATH"));
  for (std::string directory; std::getline(path, directory, ':');) {
    const std::string candidate = (directory.empty() ? "." : directory) + "/" + name;
    if (IsProgram(candidate)) return Absolute(candidate);
  }
  return "";
}

// A path or, without a slash, a name in PATH. A directory is an environment.
base::Result<std::string> Named(const std::string& given, const std::string& by) {
  const bool is_path = given.find('/') != std::string::npos || IsFolder(given);
  std::string found = is_path ? Absolute(given) : FindInPath(given);
  if (!found.empty() && IsFolder(found)) found += "/bin/python";
  if (!found.empty() && IsProgram(found)) return found;
  return base::InvalidArgument(by + " names '" + given +
                               "', which is no Python: give a program or the folder of a virtual "
                               "environment");
}

}  // namespace

std::optional<PythonSource> ParsePythonSource(const std::string& word) {
  if (word.ends_with(kEnding)) return PythonSource{word, ""};
  const size_t colon = word.rfind(':');
  if (colon == std::string::npos) return std::nullopt;
  const std::string file = word.substr(0, colon);
  if (!file.ends_with(kEnding)) return std::nullopt;
  return PythonSource{file, word.substr(colon + 1)};
}

std::string FindPreparedPython() {
  const std::string active = Variable("VIRTUAL_ENV");
  const std::string environment = Absolute(active.empty() ? ".venv" : active);
  const std::string python = environment + "/bin/python";
  std::error_code error;
  if (!Variable("CAUDAL_PYTHON").empty() || !IsProgram(python)) return "";
  for (fs::directory_iterator it(environment + "/lib", error), end; !error && it != end;
       it.increment(error)) {
    if (fs::is_directory(it->path() / "site-packages" / "kfp", error)) return python;
  }
  return "";
}

base::Result<std::string> FindPython(const std::string& given, const std::string& file) {
  if (!given.empty()) return Named(given, "--python");
  const std::string variable = Variable("CAUDAL_PYTHON");
  if (!variable.empty()) return Named(variable, "CAUDAL_PYTHON");
  std::vector<std::string> environments;
  if (!Variable("VIRTUAL_ENV").empty()) environments.push_back(Variable("VIRTUAL_ENV"));
  environments.push_back((fs::path(file).parent_path() / ".venv").string());
  environments.emplace_back(".venv");
  for (const std::string& environment : environments) {
    const std::string python = Absolute(environment + "/bin/python");
    if (IsProgram(python)) return python;
  }
  for (const char* name : {"python3", "python"}) {
    const std::string found = FindInPath(name);
    if (!found.empty()) return found;
  }
  return base::InvalidArgument("'" + file +
                               "' is Python, and there is no python3 here to compile it with: "
                               "install one, or name one with --python PATH");
}

}  // namespace caudal::cli
