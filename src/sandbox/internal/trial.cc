#include "sandbox/internal/trial.h"

#include <fcntl.h>
#include <linux/close_range.h>
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
#include <string_view>

#include "base/file.h"

namespace caudal::sandbox::internal {
namespace {

using base::FromErrno;
using base::Result;
using base::Status;
using base::UniqueFd;
using process::Command;
using SteadyTime = std::chrono::steady_clock::time_point;

struct Pipe {
  UniqueFd read, write;
};

Result<Pipe> MakePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return FromErrno(errno, "cannot make a pipe");
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

/// The ends of pipes that the processes of a sandbox speak through.
struct Ends {
  int output;  // the command's standard output and error
  int report;  // what became of it
  int stop;    // readable, or at its end: the sandbox must go
};

int WaitFor(pid_t pid) {
  int status = -1;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

int OpenPidfd(pid_t pid) { return static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); }

/// One line to the caller: 'N'ote, 'E'rror or wait 'S'tatus.
void Tell(int report, char kind, std::string text) {
  for (char& letter : text) letter = letter == '\n' ? ' ' : letter;
  const std::string line = std::string(1, kind) + text + "\n";
  [[maybe_unused]] const ssize_t put = write(report, line.data(), line.size());
}

[[noreturn]] void Fail(int report, const std::string& why) {
  Tell(report, 'E', why);
  _exit(1);
}

std::vector<char*> Pointers(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

/// The caller may be a server with hundreds of descriptors: none of them is this command's.
void CloseAllBut(Ends ends) {
  std::array<int, 3> kept = {ends.output, ends.report, ends.stop};
  std::sort(kept.begin(), kept.end());
  unsigned first = 3;
  for (const int fd : kept) {
    const auto number = static_cast<unsigned>(fd);
    if (number > first) close_range(first, number - 1, 0);
    first = std::max(first, number + 1);
  }
  close_range(first, ~0U, 0);
}

[[noreturn]] void RunCommand(const Command& command, Ends ends) {
  setsid();
  const Status dropped = DropPrivileges();
  if (!dropped.ok()) Fail(ends.report, dropped.message());
  const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null < 0 || dup2(null, 0) < 0 || dup2(ends.output, 1) < 0 || dup2(ends.output, 2) < 0) {
    Fail(ends.report, std::string("standard streams: ") + strerror(errno));
  }
  const std::string& directory = command.working_directory;
  if (!directory.empty() && chdir(directory.c_str()) != 0) {
    Fail(ends.report, "cannot run in directory " + directory + ": " + strerror(errno));
  }
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const std::vector<char*> words = Pointers(command.argv);
  std::vector<char*> env = Pointers(command.env);
  environ = env.data();  // execvpe searches the PATH of `environ`
  execvpe(words[0], words.data(), env.data());
  Fail(ends.report, "cannot run " + command.argv[0] + ": " + strerror(errno));
}

/// Pid 1 of the sandbox.
[[noreturn]] void RunInit(const ViewSpec& spec, const Command& command, int go, Ends ends) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  char ready;
  if (read(go, &ready, 1) != 1) _exit(1);
  std::vector<std::string> notes;
  const Status entered = EnterView(spec, &notes);
  for (const std::string& note : notes) Tell(ends.report, 'N', note);
  if (!entered.ok()) Fail(ends.report, entered.message());
  const pid_t pid = fork();
  if (pid < 0) Fail(ends.report, "cannot fork in a sandbox");
  if (pid == 0) RunCommand(command, ends);
  close(ends.output);
  int status = 0;
  pid_t ended;
  while ((ended = wait(&status)) != pid) {  // orphans of the namespace come by, too
    if (ended < 0 && errno != EINTR) break;
  }
  Tell(ends.report, 'S', std::to_string(status));
  _exit(0);  // and with us, whatever the command left behind
}

/// A child of our own first: it has one thread, whatever the caller has. When it has ended of its
/// own accord, nothing of the sandbox is left.
[[noreturn]] void RunParent(const ViewSpec& spec, const Command& command, pid_t caller, Ends ends) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != caller) _exit(1);
  setsid();
  CloseAllBut(ends);
  int go[2];
  if (pipe2(go, O_CLOEXEC) != 0) _exit(1);
  const auto init = static_cast<pid_t>(
      syscall(SYS_clone, CloneFlags() | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
  if (init == 0) {
    close(go[1]);
    RunInit(spec, command, go[0], ends);
  }
  if (init < 0) Fail(ends.report, std::string("cannot make namespaces: ") + strerror(errno));
  close(ends.output);
  const int pidfd = OpenPidfd(init);
  const Status mapped = WriteIdMaps(init);
  if (!mapped.ok()) Tell(ends.report, 'E', mapped.message());
  if (mapped.ok()) [[maybe_unused]]
    const ssize_t put = write(go[1], "g", 1);
  close(go[1]);
  pollfd waits[2] = {{pidfd, POLLIN, 0}, {ends.stop, POLLIN, 0}};
  while (poll(waits, 2, -1) < 0 && errno == EINTR) {
  }
  if (waits[1].revents != 0) kill(init, SIGKILL);
  WaitFor(init);
  _exit(0);
}

/// What a pipe holds now; false at its end.
bool Drain(int fd, const std::function<void(std::string_view)>& take) {
  char part[65536];
  while (true) {
    const ssize_t got = read(fd, part, sizeof part);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno == EAGAIN;
    if (got == 0) return false;
    take(std::string_view(part, static_cast<size_t>(got)));
  }
}

int MillisLeft(const std::optional<SteadyTime>& deadline) {
  if (!deadline) return -1;
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(*deadline - std::chrono::steady_clock::now());
  return static_cast<int>(std::clamp<int64_t>(left.count(), 0, INT_MAX));
}

/// Until the sandbox is gone; false when that was our doing, at the deadline.
bool Follow(int pidfd, int output, UniqueFd stop,
            const std::function<void(std::string_view)>& on_output,
            std::optional<SteadyTime> deadline) {
  bool open = true;
  bool in_time = true;
  while (true) {
    pollfd waits[2] = {{pidfd, POLLIN, 0}, {open ? output : -1, POLLIN, 0}};
    const int ready = poll(waits, 2, MillisLeft(deadline));
    if (ready < 0) continue;
    if (ready == 0) {
      in_time = false;
      deadline.reset();
      stop.Reset();
      continue;
    }
    if (waits[1].revents != 0) open = Drain(output, on_output);
    if (waits[0].revents != 0) return in_time;
  }
}

Result<Trial> Parse(std::string_view report) {
  Trial trial;
  std::string error;
  bool ended = false;
  while (!report.empty()) {
    const size_t end = report.find('\n');
    const std::string text(report.substr(1, end - 1));
    if (report[0] == 'N') trial.notes.push_back(text);
    if (report[0] == 'E') error = text;
    if (report[0] == 'S') {
      ended = true;
      trial.status = std::stoi(text);
    }
    report.remove_prefix(end + 1);
  }
  if (!error.empty()) return base::FailedPrecondition(error);
  if (!ended) return base::FailedPrecondition("a sandbox ended before its command");
  return trial;
}

}  // namespace

Result<Trial> RunInSandbox(const ViewSpec& spec, const Command& command,
                           const std::function<void(std::string_view)>& on_output,
                           std::chrono::milliseconds timeout) {
  CAUDAL_ASSIGN(Pipe output, MakePipe());
  CAUDAL_ASSIGN(Pipe report, MakePipe());
  CAUDAL_ASSIGN(Pipe stop, MakePipe());
  // /dev/stdout is opened by name: the pipe must be the step's.
  if (geteuid() == 0 && fchown(output.write.get(), StepUid(), StepGid()) != 0) {
    return FromErrno(errno, "cannot hand a pipe to the step's user");
  }
  std::optional<SteadyTime> deadline;
  if (timeout.count() > 0) deadline = std::chrono::steady_clock::now() + timeout;
  const pid_t caller = getpid();
  const pid_t pid = fork();
  if (pid < 0) return FromErrno(errno, "cannot fork");
  if (pid == 0) {
    RunParent(spec, command, caller, {output.write.get(), report.write.get(), stop.read.get()});
  }
  const UniqueFd pidfd(OpenPidfd(pid));
  output.write.Reset();
  report.write.Reset();
  fcntl(output.read.get(), F_SETFL, O_NONBLOCK);
  fcntl(report.read.get(), F_SETFL, O_NONBLOCK);
  const bool in_time =
      Follow(pidfd.get(), output.read.get(), std::move(stop.write), on_output, deadline);
  WaitFor(pid);
  Drain(output.read.get(), on_output);
  std::string told;
  Drain(report.read.get(), [&](std::string_view part) { told += part; });
  if (!in_time) {
    return Status(base::Code::kDeadlineExceeded,
                  "program '" + command.argv[0] + "' did not end within its time limit");
  }
  return Parse(told);
}

Result<Trial> RunInSandbox(const ViewSpec& spec, const std::vector<std::string>& argv) {
  Command command;
  command.argv = argv;
  command.env = {"PATH=/usr/bin:/bin"};
  std::string output;
  CAUDAL_ASSIGN(Trial trial, RunInSandbox(
                                 spec, command, [&](std::string_view text) { output += text; },
                                 std::chrono::milliseconds(0)));
  trial.output = output;
  return trial;
}

}  // namespace caudal::sandbox::internal
