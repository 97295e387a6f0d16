#include "cli/internal/git_state.h"

#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <string_view>

#include "process/process.h"

namespace caudal::cli {
namespace {

constexpr std::chrono::milliseconds kPatience{2000};
constexpr std::string_view kCommitLine = "# branch.oid ";

process::Command MakeCommand(const std::string& file) {
  process::Command command;
  // A repository's own settings must not start programs of its choice.
  command.argv = {"git",
                  "-c",
                  "core.fsmonitor=false",
                  "-c",
                  "core.hooksPath=/dev/null",
                  "status",
                  "--porcelain=v2",
                  "--branch",
                  "--no-renames",
                  "--untracked-files=normal"};
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    command.env.emplace_back(*entry);
  }
  // Looking must not take the repository's lock from a command the user runs meanwhile.
  command.env.emplace_back("GIT_OPTIONAL_LOCKS=0");
  std::error_code error;
  const auto path = std::filesystem::absolute(file, error).lexically_normal();
  command.working_directory = path.parent_path().string();
  return command;
}

bool IsHex(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

GitState ReadGitState(const std::string& file) {
  std::string output;
  const auto exit = process::RunBlocking(
      MakeCommand(file), [&output](std::string_view text) { output += text; }, kPatience);
  if (!exit.ok() || !exit->ok()) return {};
  GitState state;
  std::string_view rest = output;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (line.starts_with(kCommitLine)) {
      const std::string_view commit = line.substr(kCommitLine.size());
      if (IsHex(commit)) state.commit = commit;
    } else if (line.size() > 2 && line[1] == ' ' && line[0] != '#') {
      state.is_dirty = true;
    }
  }
  return state.commit.empty() ? GitState{} : state;
}

}  // namespace caudal::cli
