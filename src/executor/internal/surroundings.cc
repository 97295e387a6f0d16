#include "executor/internal/surroundings.h"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <string_view>

#include "base/file.h"
#include "base/log.h"

namespace caudal::executor::internal {
namespace {

constexpr std::array kStandardPath = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
                                      "/usr/bin",        "/sbin",          "/bin"};

constexpr std::array<std::string_view, 14> kPassedOn = {
    "TZ",           "http_proxy",         "HTTP_PROXY",     "https_proxy",  "HTTPS_PROXY",
    "no_proxy",     "NO_PROXY",           "all_proxy",      "ALL_PROXY",    "SSL_CERT_FILE",
    "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE"};

std::string FindInStandardPath(const std::string& program) {
  for (const char* directory : kStandardPath) {
    const std::string path = std::string(directory) + "/" + program;
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  return "";
}

bool IsUnder(const std::string& path, const std::string& directory) {
  return path == directory || (path.size() > directory.size() && path[directory.size()] == '/' &&
                               path.compare(0, directory.size(), directory) == 0);
}

// Service accounts live in "/", "/usr/sbin", "/dev": hiding those would leave steps nothing.
bool LooksLikeHome(const std::string& path) {
  constexpr std::array kNeeded = {"/usr", "/bin", "/sbin", "/lib", "/etc", "/dev", "/proc"};
  return path.size() > 1 && path[0] == '/' &&
         std::none_of(kNeeded.begin(), kNeeded.end(),
                      [&](const char* needed) { return IsUnder(path, needed); });
}

v1::Mount MakeMount(v1::Mount::Kind kind, const std::string& path, bool writable) {
  v1::Mount mount;
  mount.set_kind(kind);
  mount.set_source(path);
  mount.set_target(path);
  mount.set_writable(writable);
  return mount;
}

}  // namespace

v1::StepSpec Surroundings::MakeStep(const v1::AttemptSpec& spec, const launcher::View& view,
                                    const StepPython& python, const WorkFiles& files) const {
  v1::StepSpec step;
  step.set_version(1);
  step.set_attempt_key(spec.attempt_key());
  step.mutable_argv()->Add(view.argv.begin(), view.argv.end());
  for (const auto& [name, value] : MakeEnv(spec, view, python)) {
    if (view.private_env.count(name) == 0) step.add_env(name + "=" + value);
  }
  if (!view.private_env.empty()) {
    step.set_version(2);
    step.set_env_path(files.PrivateEnvPath(spec.attempt_key()));
  }
  step.set_working_directory(view.working_directory);
  step.set_sandbox(view.sandbox);
  if (view.sandbox) {
    step.mutable_mounts()->Add(view.mounts.begin(), view.mounts.end());
    AddMounts(python, &step);
    for (const std::string& directory : CodeDirs(spec)) {
      *step.add_mounts() = MakeMount(v1::Mount::BIND, directory, false);
    }
    step.mutable_hidden()->Add(hidden.begin(), hidden.end());
  }
  step.set_log_path(data_dir + "/" + spec.log_path());
  step.set_exit_path(files.ExitPath(spec.attempt_key()));
  step.set_log_limit_bytes(log_limit_bytes);
  step.set_memory_limit_bytes(spec.resources().memory_limit_bytes());
  step.set_kill_grace_millis(kill_grace_millis);
  return step;
}

// Later entries win: the machine's, the run's, the protocol's, the component's own.
std::map<std::string, std::string> Surroundings::MakeEnv(const v1::AttemptSpec& spec,
                                                         const launcher::View& view,
                                                         const StepPython& python) const {
  std::map<std::string, std::string> env = passed_on;
  env["LANG"] = "C.UTF-8";
  env["PYTHONUNBUFFERED"] = "1";  // a log that is read live needs lines as they are printed
  std::string path;
  std::vector<std::string> modules = CodeDirs(spec);
  // Snapshots of code never change, and a step that runs as their owner must not add to them.
  if (!modules.empty()) env["PYTHONDONTWRITEBYTECODE"] = "1";
  if (python.environment) {
    path += python.environment->path + "/bin:";
    env["VIRTUAL_ENV"] = python.environment->path;
    // A venv made inside the step sees these packages, too.
    modules.push_back(python.environment->site_packages);
  } else if (python.interpreter && python.interpreter->prefix != "/usr") {
    path += python.interpreter->prefix + "/bin:";
  }
  if (!shims_dir.empty()) path += shims_dir + ":";
  for (const char* directory : kStandardPath) path += std::string(directory) + ":";
  path.pop_back();
  env["PATH"] = path;
  for (const std::string& directory : modules) {
    std::string& known = env["PYTHONPATH"];
    known += (known.empty() ? "" : ":") + directory;
  }
  for (const auto& [name, value] : spec.settings().env()) env[name] = value;
  for (const auto& [name, value] : view.env) env[name] = value;
  return env;
}

std::vector<std::string> Surroundings::CodeDirs(const v1::AttemptSpec& spec) const {
  std::vector<std::string> directories;
  for (const v1::CodeSnapshot& code : spec.settings().code()) {
    directories.push_back(data_dir + "/code/" + code.sha256());
  }
  return directories;
}

base::Status Surroundings::CheckReadable(const std::string& path, bool sandbox) const {
  std::error_code error;
  const std::string real = std::filesystem::canonical(path, error).string();
  if (error) return {};  // whoever reads it says so
  // The data directory is nobody's business in any isolation.
  const bool is_hidden = sandbox ? IsHidden(real) : IsUnder(real, data_dir);
  const bool is_shown = std::any_of(mounts.begin(), mounts.end(), [&](const v1::Mount& mount) {
    return IsUnder(real, mount.source());
  });
  if (!is_hidden || is_shown) return {};
  return base::FailedPrecondition("steps may not see '" + path +
                                  "', so it cannot be imported; start the server with --mount " +
                                  path + " to show it");
}

base::Status Surroundings::CheckCode(const v1::AttemptSpec& spec) const {
  for (const v1::CodeSnapshot& code : spec.settings().code()) {
    if (base::PathExists(data_dir + "/code/" + code.sha256())) continue;
    return base::NotFound("the code of '" + code.path() + "' (" + code.sha256() +
                          ") is not on this server any more; submit the run again");
  }
  return {};
}

void Surroundings::AddMounts(const StepPython& python, v1::StepSpec* step) const {
  if (python.interpreter && IsHidden(python.interpreter->prefix)) {
    *step->add_mounts() = MakeMount(v1::Mount::BIND, python.interpreter->prefix, false);
  }
  if (python.environment) {
    *step->add_mounts() = MakeMount(v1::Mount::OVERLAY, python.environment->path, true);
  }
  if (!shims_dir.empty()) *step->add_mounts() = MakeMount(v1::Mount::BIND, shims_dir, false);
  step->mutable_mounts()->Add(mounts.begin(), mounts.end());
}

bool Surroundings::IsHidden(const std::string& path) const {
  return std::any_of(hidden.begin(), hidden.end(),
                     [&](const std::string& directory) { return IsUnder(path, directory); });
}

base::Result<v1::Mount> ParseMount(const std::string& text) {
  v1::Mount mount;
  std::string rest = text;
  if (rest.size() > 3 && rest.compare(rest.size() - 3, 3, ":rw") == 0) {
    mount.set_writable(true);
    rest.resize(rest.size() - 3);
  }
  const size_t colon = rest.find(':');
  mount.set_source(rest.substr(0, colon));
  mount.set_target(colon == std::string::npos ? mount.source() : rest.substr(colon + 1));
  if (mount.source().empty() || mount.source()[0] != '/' || mount.target().empty() ||
      mount.target()[0] != '/') {
    return base::InvalidArgument("mount \"" + text +
                                 "\": paths must be absolute, as in /data:/data:rw");
  }
  if (!base::PathExists(mount.source())) {
    return base::InvalidArgument("mount \"" + text + "\": '" + mount.source() +
                                 "' does not exist on this machine");
  }
  return mount;
}

std::map<std::string, std::string> VariablesToPassOn(const char* const* environment) {
  std::map<std::string, std::string> variables;
  for (; environment != nullptr && *environment != nullptr; ++environment) {
    const std::string_view entry = *environment;
    const size_t equals = entry.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view name = entry.substr(0, equals);
    const bool wanted = name.substr(0, 4) == "PIP_" ||
                        std::find(kPassedOn.begin(), kPassedOn.end(), name) != kPassedOn.end();
    if (wanted) variables.emplace(name, entry.substr(equals + 1));
  }
  return variables;
}

std::vector<std::string> HiddenDirs(const std::string& data_dir) {
  std::set<std::string> directories = {data_dir, "/home", "/root"};
  const char* home = std::getenv("HOME");
  if (home != nullptr && LooksLikeHome(home)) directories.insert(home);
  const passwd* user = getpwuid(getuid());
  if (user != nullptr && LooksLikeHome(user->pw_dir)) directories.insert(user->pw_dir);
  std::vector<std::string> existing;
  for (const std::string& directory : directories) {
    if (base::PathExists(directory)) existing.push_back(directory);
  }
  return existing;
}

std::string MakeShims(const std::string& data_dir) {
  if (!FindInStandardPath("python").empty()) return "";
  const std::string python3 = FindInStandardPath("python3");
  if (python3.empty()) return "";
  const std::string directory = data_dir + "/envs/shims";
  const base::Status made = base::MakeDirs(directory, 0755);
  // The step's user is another one than ours, and our umask may keep others out.
  if (made.ok()) chmod(directory.c_str(), 0755);
  const std::string link = directory + "/python";
  const bool linked =
      made.ok() && (unlink(link.c_str()), symlink(python3.c_str(), link.c_str()) == 0);
  if (!linked) {
    base::LogWarning("no 'python' for steps: cannot make " + link);
    return "";
  }
  return directory;
}

}  // namespace caudal::executor::internal
