#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <optional>

#include "base/file.h"
#include "process/internal/guard.h"
#include "process/process.h"

namespace caudal::process {
namespace {

using base::FromErrno;
using base::Result;
using base::Status;
using base::UniqueFd;
using SteadyTime = std::chrono::steady_clock::time_point;

/// What the child could not do; travels through a close-on-exec pipe, so that EOF means "running".
struct ChildFault {
  enum class Step { kDirectory, kUser, kExec };
  Step step;
  int error;
};

struct Pipe {
  UniqueFd read, write;
};

Result<Pipe> MakePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return FromErrno(errno, "cannot make a pipe");
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

std::vector<char*> Pointers(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

[[noreturn]] void Fail(int pipe, ChildFault::Step step) {
  const ChildFault fault{step, errno};
  [[maybe_unused]] const ssize_t put = write(pipe, &fault, sizeof fault);
  _exit(127);
}

/// Between fork and exec of a process that may have threads: async-signal-safe calls only, and the
/// raw system calls for ids, because the library's would look for threads that do not exist here.
[[noreturn]] void RunChild(const Command& command, char** argv, char** env, int output, int fault,
                           pid_t caller) {
  setsid();
  sigset_t none;
  sigemptyset(&none);
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null < 0 || dup2(null, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0) {
    Fail(fault, ChildFault::Step::kExec);
  }
  if (command.uid >= 0 && (syscall(SYS_setgroups, 0, nullptr) != 0 ||
                           syscall(SYS_setresgid, command.uid, command.uid, command.uid) != 0 ||
                           syscall(SYS_setresuid, command.uid, command.uid, command.uid) != 0)) {
    Fail(fault, ChildFault::Step::kUser);
  }
  // Not earlier: changing the user forgets it. A caller that is killed must not leave a program
  // behind that goes on writing where the next one begins again.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != caller) _exit(127);
  if (!command.working_directory.empty() && chdir(command.working_directory.c_str()) != 0) {
    Fail(fault, ChildFault::Step::kDirectory);
  }
  environ = env;  // execvpe searches the PATH of `environ`
  execvpe(argv[0], argv, env);
  Fail(fault, ChildFault::Step::kExec);
}

Status ToStatus(const ChildFault& fault, const Command& command) {
  const std::string& program = command.argv[0];
  switch (fault.step) {
    case ChildFault::Step::kDirectory:
      return FromErrno(fault.error, "cannot run '" + program + "' in directory '" +
                                        command.working_directory + "'");
    case ChildFault::Step::kUser:
      return FromErrno(fault.error,
                       "cannot run '" + program + "' as uid " + std::to_string(command.uid));
    case ChildFault::Step::kExec:
      break;
  }
  if (fault.error == ENOENT) return base::NotFound("program '" + program + "' does not exist");
  return FromErrno(fault.error, "cannot run '" + program + "'");
}

/// A started child; ends with its whole process group when destroyed.
class Child {
 public:
  explicit Child(pid_t pid)
      : pid_(pid), pidfd_(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))), guard_(pid) {}
  Child(Child&& other) = delete;
  ~Child() { End(); }

  int pidfd() const { return pidfd_.get(); }

  /// Kills what is left of the group and returns the child's own wait status.
  int End() {
    if (pid_ <= 0) return status_;
    // An exited child keeps its pid, and so the group's name, until it is waited for below.
    kill(-pid_, SIGKILL);
    kill(pid_, SIGKILL);
    guard_.reset();
    while (waitpid(pid_, &status_, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return status_;
  }

 private:
  pid_t pid_;
  UniqueFd pidfd_;
  std::optional<internal::Guard> guard_;
  int status_ = 0;
};

int MillisLeft(const std::optional<SteadyTime>& deadline) {
  if (!deadline) return -1;
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(*deadline - std::chrono::steady_clock::now());
  return static_cast<int>(std::clamp<int64_t>(left.count(), 0, INT_MAX));
}

/// Hands on what the pipe holds now; false at its end.
bool Drain(int fd, const std::function<void(std::string_view)>& on_output) {
  std::array<char, 65536> buffer;
  while (true) {
    const ssize_t got = read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno == EAGAIN;
    if (got == 0) return false;
    if (on_output) on_output(std::string_view(buffer.data(), static_cast<size_t>(got)));
  }
}

/// Until the child itself ends: what it leaves behind may hold the pipe open for ever.
Status Follow(const Child& child, int output, const Command& command,
              const std::function<void(std::string_view)>& on_output,
              const std::optional<SteadyTime>& deadline) {
  bool open = true;
  while (true) {
    pollfd waits[2] = {{child.pidfd(), POLLIN, 0}, {open ? output : -1, POLLIN, 0}};
    const int ready = poll(waits, 2, MillisLeft(deadline));
    if (ready < 0 && errno != EINTR) return FromErrno(errno, "cannot wait for a program");
    if (ready == 0) {
      return Status(base::Code::kDeadlineExceeded,
                    "program '" + command.argv[0] + "' did not end within its time limit");
    }
    if (ready < 0) continue;
    if (waits[1].revents != 0) open = Drain(output, on_output);
    if (waits[0].revents != 0) return {};
  }
}

}  // namespace

Result<Exit> RunBlocking(const Command& command,
                         const std::function<void(std::string_view)>& on_output,
                         std::chrono::milliseconds timeout) {
  if (command.argv.empty()) return base::InvalidArgument("a command without words cannot be run");
  std::optional<SteadyTime> deadline;
  if (timeout.count() > 0 && timeout < std::chrono::hours(24 * 365)) {
    deadline = std::chrono::steady_clock::now() + timeout;
  }
  CAUDAL_ASSIGN(Pipe output, MakePipe());
  CAUDAL_ASSIGN(Pipe fault, MakePipe());
  const std::vector<char*> argv = Pointers(command.argv);
  const std::vector<char*> env = Pointers(command.env);

  const pid_t caller = getpid();
  const pid_t pid = fork();
  if (pid < 0) return FromErrno(errno, "cannot start '" + command.argv[0] + "'");
  if (pid == 0) {
    RunChild(command, const_cast<char**>(argv.data()), const_cast<char**>(env.data()),
             output.write.get(), fault.write.get(), caller);
  }
  Child child(pid);
  if (child.pidfd() < 0) return FromErrno(errno, "cannot watch '" + command.argv[0] + "'");
  output.write.Reset();
  fault.write.Reset();

  ChildFault told{};
  ssize_t got;
  while ((got = read(fault.read.get(), &told, sizeof told)) < 0 && errno == EINTR) {
  }
  if (got == sizeof told) return ToStatus(told, command);

  fcntl(output.read.get(), F_SETFL, O_NONBLOCK);
  CAUDAL_TRY(Follow(child, output.read.get(), command, on_output, deadline));
  const int status = child.End();
  Drain(output.read.get(), on_output);
  Exit exit;
  if (WIFSIGNALED(status)) exit.signal = WTERMSIG(status);
  if (WIFEXITED(status)) exit.code = WEXITSTATUS(status);
  return exit;
}

}  // namespace caudal::process
