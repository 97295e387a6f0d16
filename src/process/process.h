#pragma once

/// Child processes: run one to its end and capture what it says; find and end whole process trees.

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/status.h"

namespace caudal::process {

struct Command {
  std::vector<std::string> argv{};  ///< argv[0] looked up in PATH of `env`
  std::vector<std::string> env{};   ///< complete environment, "NAME=value"
  std::string working_directory{};  ///< empty: ours
  int uid = -1;                     ///< -1: ours; else uid and gid to become (as root only)
};

struct Exit {
  int code = 0;    ///< of a normal exit
  int signal = 0;  ///< 0 for a normal exit
  bool ok() const { return code == 0 && signal == 0; }
};

/// Runs to the end with standard input from /dev/null; standard output and error together go to
/// `on_output` as they come. Kills the process group at `timeout` (zero or less: no limit), and
/// what is left of the group at the program's end; when this process is killed, so are the program
/// and its group. Errors: kNotFound when the program does not exist, kDeadlineExceeded, by errno.
base::Result<Exit> RunBlocking(const Command& command,
                               const std::function<void(std::string_view)>& on_output,
                               std::chrono::milliseconds timeout);

/// Pids of the children of `pid`, dead ones not yet waited for included, from /proc.
std::vector<pid_t> Children(pid_t pid);

/// Pids of all descendants of `pid`, from /proc.
std::vector<pid_t> Descendants(pid_t pid);

/// Who is whose child, at one moment: for asking about many trees with one look at /proc.
using Family = std::unordered_multimap<pid_t, pid_t>;
Family ReadFamily();
std::vector<pid_t> Descendants(pid_t pid, const Family& family);

/// SIGKILLs all descendants of `pid`, again and again until none is left. For a subreaper that
/// waits for its own children meanwhile, `reap` is called between rounds.
void KillDescendants(pid_t pid, const std::function<void()>& reap);

/// Pids whose environment has `name`=`value`, our own excluded.
std::vector<pid_t> FindByEnvironment(std::string_view name, std::string_view value);

/// A process and what one variable of its environment holds.
struct Marked {
  pid_t pid = 0;
  std::string value;
};

/// All processes whose environment has `name` with a value that starts with `prefix`, our own
/// excluded. Only processes that we may look into are found.
std::vector<Marked> FindMarked(std::string_view name, std::string_view prefix);

}  // namespace caudal::process
