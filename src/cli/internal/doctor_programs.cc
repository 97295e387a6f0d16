// Programs that runs can use: Pythons, uv, the SDK, Docker.

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <set>
#include <sstream>

#include "base/file.h"
#include "cli/internal/doctor.h"
#include "cli/internal/python_source.h"
#include "process/process.h"

extern char** environ;

namespace caudal::cli {
namespace {

using State = Check::State;
constexpr std::chrono::seconds kPatience{10};

std::vector<std::string> PathFolders() {
  std::vector<std::string> folders;
  const char* path = std::getenv("PATH");
  std::istringstream words(path == nullptr ? "/usr/bin:/bin" : path);
  std::string folder;
  while (std::getline(words, folder, ':')) {
    if (!folder.empty()) folders.push_back(folder);
  }
  return folders;
}

std::string FindProgram(const std::string& name) {
  for (const std::string& folder : PathFolders()) {
    const std::string path = folder + "/" + name;
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  return "";
}

// What a program prints, without the line feed at its end; empty when it fails or does not end.
std::string OutputOf(const std::vector<std::string>& argv) {
  process::Command command;
  command.argv = argv;
  for (char** entry = environ; *entry != nullptr; ++entry) command.env.emplace_back(*entry);
  std::string output;
  const auto exit = process::RunBlocking(
      command, [&output](std::string_view text) { output += text; }, kPatience);
  if (!exit.ok() || !exit->ok()) return "";
  output.erase(output.find_last_not_of("\r\n ") + 1);
  return output;
}

// "python3" and "python3.11", not "python3.11-config".
bool IsPythonName(const std::string& name) {
  if (name.rfind("python3", 0) != 0) return false;
  const std::string rest = name.substr(7);
  return rest.empty() ||
         (rest[0] == '.' && rest.size() > 1 &&
          std::all_of(rest.begin() + 1, rest.end(), [](char c) { return c >= '0' && c <= '9'; }));
}

// Real paths of the Pythons of PATH: links to the same one count once.
std::set<std::string> FindPythons() {
  std::set<std::string> found;
  for (const std::string& folder : PathFolders()) {
    const auto names = base::ListDir(folder);
    if (!names.ok()) continue;
    for (const std::string& name : *names) {
      const std::string path = folder + "/" + name;
      if (!IsPythonName(name) || access(path.c_str(), X_OK) != 0) continue;
      std::error_code error;
      const auto real = std::filesystem::canonical(path, error);
      if (!error) found.insert(real.string());
    }
  }
  return found;
}

// Whether somebody listens on a socket file.
bool Listens(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return false;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const base::UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
}

}  // namespace

Check CheckPythons() {
  // A program of that name may be a script that starts one of the others.
  constexpr char kAsk[] =
      "import os, sys, venv; print('%d.%d.%d' % sys.version_info[:3], "
      "'(%s)' % os.path.realpath(sys.executable))";
  std::set<std::string> found;
  for (const std::string& python : FindPythons()) found.insert(OutputOf({python, "-c", kAsk}));
  std::string versions;
  for (const std::string& version : found) {
    if (!version.empty()) versions += (versions.empty() ? "" : ", ") + version;
  }
  if (!versions.empty()) return {"python", State::kOk, versions, ""};
  return {"python", State::kFails, "no Python 3 with the module venv in PATH",
          "Python steps fail: apt-get install python3-venv"};
}

Check CheckUv() {
  const std::string path = FindProgram("uv");
  const std::string version = path.empty() ? "" : OutputOf({path, "--version"});
  if (!version.empty()) return {"uv", State::kOk, version + " (" + path + ")", ""};
  return {"uv", State::kLacks, "not there",
          "pip builds the environments, which takes several times as long: pip install uv"};
}

Check CheckSdk() {
  const auto python = FindPython("", "x.py");
  if (!python.ok()) {
    return {"kfp", State::kLacks, python.status().message(), "'caudal run FILE.py' does not work"};
  }
  const std::string version =
      OutputOf({*python, "-c", "import importlib.metadata as m; print(m.version('kfp'))"});
  if (!version.empty()) return {"kfp", State::kOk, version + " (" + *python + ")", ""};
  return {"kfp", State::kLacks, "not installed in " + *python,
          "'caudal run FILE.py' cannot compile; compiled pipelines run: " + *python +
              " -m pip install kfp"};
}

Check CheckDocker() {
  const char* host = std::getenv("DOCKER_HOST");
  std::string path = "/var/run/docker.sock";
  if (host != nullptr && std::strncmp(host, "unix://", 7) == 0) path = host + 7;
  if (Listens(path)) return {"docker", State::kOk, path + "; not used by this version", ""};
  return {"docker", State::kLacks, "nobody listens on " + path,
          "nothing today: steps are processes, and images are advice"};
}

std::vector<Check> CheckAll(const std::string& data_dir) {
  return {CheckNamespaces(),
          CheckSandbox(),
          CheckCgroups(),
          CheckPythons(),
          CheckUv(),
          CheckSdk(),
          CheckDocker(),
          CheckDataDir(data_dir),
          CheckDiskSpace(data_dir),
          CheckDiskSync(data_dir),
          CheckClock(),
          CheckPorts(data_dir)};
}

}  // namespace caudal::cli
