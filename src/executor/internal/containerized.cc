#include "executor/internal/containerized.h"

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <string_view>

#include "base/file.h"

namespace caudal::executor::internal {
namespace {

namespace fs = std::filesystem;
using base::Result;

constexpr int kMaxDepth = 4;
constexpr size_t kMaxFiles = 5'000;
constexpr int64_t kMaxBytes = 4 << 20;

std::string Trim(const std::string& text) {
  const size_t start = text.find_first_not_of(" \t\r\n");
  if (start == std::string::npos) return "";
  return text.substr(start, text.find_last_not_of(" \t\r\n") - start + 1);
}

std::string ReadText(const fs::path& path) {
  const auto text = base::ReadFile(path.string(), kMaxBytes);
  return text.ok() ? *text : "";
}

/// Files of the given name or, for ".py", ending below the folder, sorted.
std::vector<fs::path> FilesIn(const std::string& folder, const std::string& name) {
  std::vector<fs::path> found;
  std::error_code error;
  fs::recursive_directory_iterator it(folder, error);
  for (size_t seen = 0; !error && it != fs::recursive_directory_iterator() && seen < kMaxFiles;
       it.increment(error), ++seen) {
    if (it.depth() >= kMaxDepth) it.disable_recursion_pending();
    const fs::path& path = it->path();
    const bool fits = name == ".py" ? path.extension() == name : path.filename() == name;
    if (fits && it->is_regular_file(error)) found.push_back(path);
  }
  std::sort(found.begin(), found.end());
  return found;
}

/// What `[Components]` of the file says of the function.
std::optional<fs::path> FromConfig(const fs::path& config, const std::string& function) {
  std::istringstream lines(ReadText(config));
  bool in_section = false;
  for (std::string line; std::getline(lines, line);) {
    line = Trim(line);
    if (line.starts_with('[')) in_section = line == "[Components]";
    const size_t equals = line.find_first_of("=:");
    if (!in_section || equals == std::string::npos) continue;
    if (Trim(line.substr(0, equals)) != function) continue;
    const fs::path path = (config.parent_path() / Trim(line.substr(equals + 1))).lexically_normal();
    if (fs::exists(path)) return path;
  }
  return std::nullopt;
}

bool Defines(const std::string& source, const std::string& function) {
  for (const std::string& head : {"\ndef " + function, "\nasync def " + function}) {
    const size_t at = ("\n" + source).find(head + "(");
    if (at != std::string::npos) return true;
  }
  return false;
}

std::vector<pyenv::PipCall> CallsFor(const fs::path& config) {
  std::vector<pyenv::PipCall> calls = {{{}, {"kfp"}}};
  if (config.empty()) return calls;
  std::istringstream lines(ReadText(config.parent_path() / "runtime-requirements.txt"));
  pyenv::PipCall own;
  for (std::string line; std::getline(lines, line);) {
    line = Trim(line.substr(0, line.find(" #")));
    if (!line.empty() && line[0] != '#' && line[0] != '-') own.packages.push_back(line);
  }
  if (!own.packages.empty()) calls.push_back(std::move(own));
  return calls;
}

}  // namespace

std::optional<std::string> ContainerizedFunction(const v1::AttemptSpec& spec) {
  const auto& command = spec.container().command();
  const bool is_runtime =
      command.size() == 3 && command[0].starts_with("python") && command[1] == "-m" &&
      (command[2] == "kfp.dsl.executor_main" || command[2] == "kfp.components.executor_main");
  if (!is_runtime) return std::nullopt;
  std::optional<std::string> function;
  const auto& args = spec.container().args();
  for (int i = 0; i < args.size(); ++i) {
    if (args[i].starts_with("--component_module_path")) return std::nullopt;
    if (args[i] == "--function_to_execute" && i + 1 < args.size()) function = args[i + 1];
  }
  return function;
}

Result<LocalModule> FindModule(const std::string& data_dir, const v1::AttemptSpec& spec,
                               const std::string& function) {
  std::vector<std::string> folders;
  for (const auto& code : spec.settings().code()) {
    folders.push_back(data_dir + "/code/" + code.sha256());
  }
  for (const std::string& folder : folders) {
    for (const fs::path& config : FilesIn(folder, "kfp_config.ini")) {
      const auto path = FromConfig(config, function);
      if (path) return LocalModule{path->string(), CallsFor(config)};
    }
  }
  std::vector<std::string> found;
  for (const std::string& folder : folders) {
    for (const fs::path& path : FilesIn(folder, ".py")) {
      if (Defines(ReadText(path), function)) found.push_back(path.string());
    }
  }
  if (found.size() == 1) return LocalModule{found[0], CallsFor({})};
  if (found.empty()) {
    return base::NotFound("component '" + function + "' is part of image '" +
                          spec.container().image() +
                          "', which is not used without containers, and the code given with the "
                          "run does not define it; give its folder with --with");
  }
  return base::FailedPrecondition("component '" + function + "' is defined in " + found[0] +
                                  " and in " + found[1] +
                                  "; name its file in [Components] of a kfp_config.ini");
}

// Unlike a lightweight component's source, the module has its decorators: the SDK must be whole, so
// without _KFP_RUNTIME and with all that kfp depends on.
std::vector<std::string> ModuleCommand(const std::string& path) {
  return {"python3", "-m", "kfp.dsl.executor_main", "--component_module_path", path};
}

}  // namespace caudal::executor::internal
