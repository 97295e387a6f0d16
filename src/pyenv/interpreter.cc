#include "pyenv/internal/interpreter.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <sstream>

#include "base/file.h"
#include "process/process.h"
#include "pyenv/internal/settings.h"

namespace caudal::pyenv::internal {
namespace {

using base::FailedPrecondition;
using base::Result;

/// Four lines: real path, version, prefix, what is missing. Inside a virtual environment it speaks
/// of the Python that one stands on.
constexpr char kQuestions[] =
    "import os, sys\n"
    "missing = []\n"
    "for name in ('venv', 'ensurepip'):\n"
    "    try: __import__(name)\n"
    "    except ImportError: missing.append(name)\n"
    "print(os.path.realpath(getattr(sys, '_base_executable', None) or sys.executable))\n"
    "print('.'.join(map(str, sys.version_info[:3])))\n"
    "print(sys.base_prefix)\n"
    "print(' '.join(missing))\n";

}  // namespace

std::string PythonVersionOf(const std::string& image) {
  std::string name = image.substr(image.rfind('/') + 1);
  name = name.substr(0, name.find('@'));
  const size_t colon = name.find(':');
  if (colon == std::string::npos || name.substr(0, colon) != "python") return "";
  const std::string tag = name.substr(colon + 1);
  if (!tag.starts_with("3.")) return "";
  size_t end = 2;
  while (end < tag.size() && std::isdigit(static_cast<unsigned char>(tag[end])) != 0) ++end;
  const bool whole = end == tag.size() || tag[end] == '.' || tag[end] == '-';
  return end > 2 && whole ? tag.substr(0, end) : "";
}

std::vector<std::string> Candidates(const std::string& program) {
  std::vector<std::string> directories = {"/usr/bin", "/usr/local/bin"};
  std::istringstream path(Variable("PATH"));
  for (std::string directory; std::getline(path, directory, ':');) {
    if (directory.starts_with('/')) directories.push_back(directory);
  }
  std::vector<std::string> found;
  for (const std::string& directory : directories) {
    const std::string file = directory + "/" + program;
    const bool known = std::find(found.begin(), found.end(), file) != found.end();
    if (!known && access(file.c_str(), X_OK) == 0) found.push_back(file);
  }
  return found;
}

Result<Interpreter> Probe(const std::string& program) {
  process::Command command;
  command.argv = {program, "-I", "-S", "-c", kQuestions};
  command.env = {"PATH=" + Variable("PATH"), "HOME=" + Variable("HOME"), "LC_ALL=C.UTF-8"};
  for (const char* name : {"PYENV_ROOT", "PYENV_VERSION"}) {
    if (!Variable(name).empty()) command.env.push_back(std::string(name) + "=" + Variable(name));
  }
  std::string output;
  const auto exit = process::RunBlocking(
      command, [&](std::string_view text) { output += text; }, std::chrono::seconds(30));
  if (!exit.ok()) return exit.status();
  std::istringstream lines(output);
  Interpreter found;
  std::string missing;
  std::getline(lines, found.path);
  std::getline(lines, found.version);
  std::getline(lines, found.prefix);
  std::getline(lines, missing);
  if (!exit->ok() || !found.path.starts_with('/') || !found.version.starts_with("3.")) {
    return FailedPrecondition(program + " does not run");
  }
  if (missing.empty()) return found;
  return FailedPrecondition(found.path + " has no module " + missing + "; install python" +
                            found.version.substr(0, found.version.rfind('.')) + "-venv");
}

bool CanReach(int uid, const std::string& path) {
  const auto id = static_cast<uid_t>(uid);
  for (std::filesystem::path part = path; part.has_relative_path(); part = part.parent_path()) {
    struct stat info {};
    if (stat(part.c_str(), &info) != 0) return false;
    const bool may =
        (info.st_mode & S_IXOTH) != 0 || (info.st_uid == id && (info.st_mode & S_IXUSR) != 0);
    if (!may) return false;
  }
  return true;
}

}  // namespace caudal::pyenv::internal
