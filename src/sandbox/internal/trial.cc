#include "sandbox/internal/trial.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "base/file.h"

namespace caudal::sandbox::internal {
namespace {

using base::FromErrno;
using base::Result;
using base::Status;
using base::UniqueFd;

struct Pipe {
  UniqueFd read, write;
};

Result<Pipe> MakePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return FromErrno(errno, "cannot make a pipe");
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

int WaitFor(pid_t pid) {
  int status = -1;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

/// One line to the caller: 'N'ote, 'E'rror or wait 'S'tatus.
void Tell(int report, char kind, std::string text) {
  for (char& letter : text) letter = letter == '\n' ? ' ' : letter;
  const std::string line = std::string(1, kind) + text + "\n";
  [[maybe_unused]] const ssize_t put = write(report, line.data(), line.size());
}

[[noreturn]] void RunCommand(const std::vector<std::string>& argv, int output, int report) {
  const Status dropped = DropPrivileges();
  if (!dropped.ok()) {
    Tell(report, 'E', dropped.message());
    _exit(1);
  }
  const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  dup2(null, 0);
  dup2(output, 1);
  dup2(output, 2);
  std::vector<char*> words;
  for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  char path[] = "PATH=/usr/bin:/bin";
  char* env[] = {path, nullptr};
  execve(words[0], words.data(), env);
  Tell(report, 'E', "cannot run " + argv[0] + ": " + strerror(errno));
  _exit(1);
}

/// Pid 1 of the sandbox.
[[noreturn]] void RunInit(const ViewSpec& spec, const std::vector<std::string>& argv, int go,
                          int output, int report) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  char ready;
  if (read(go, &ready, 1) != 1) _exit(1);
  std::vector<std::string> notes;
  const Status entered = EnterView(spec, &notes);
  for (const std::string& note : notes) Tell(report, 'N', note);
  if (!entered.ok()) {
    Tell(report, 'E', entered.message());
    _exit(1);
  }
  const pid_t pid = fork();
  if (pid < 0) Tell(report, 'E', "cannot fork in a sandbox");
  if (pid < 0) _exit(1);
  if (pid == 0) RunCommand(argv, output, report);
  Tell(report, 'S', std::to_string(WaitFor(pid)));
  _exit(0);
}

/// A child of our own first: it has one thread, whatever the caller has.
[[noreturn]] void RunParent(const ViewSpec& spec, const std::vector<std::string>& argv, int output,
                            int report) {
  int go[2];
  if (pipe2(go, O_CLOEXEC) != 0) _exit(1);
  const auto init = static_cast<pid_t>(
      syscall(SYS_clone, CloneFlags() | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
  if (init == 0) {
    close(go[1]);
    RunInit(spec, argv, go[0], output, report);
  }
  if (init < 0) {
    Tell(report, 'E', std::string("cannot make namespaces: ") + strerror(errno));
    _exit(1);
  }
  const Status mapped = WriteIdMaps(init);
  if (!mapped.ok()) Tell(report, 'E', mapped.message());
  if (mapped.ok()) [[maybe_unused]]
    const ssize_t put = write(go[1], "g", 1);
  close(go[1]);
  WaitFor(init);
  _exit(0);
}

std::string ReadAll(int fd) {
  std::string all;
  char part[4096];
  ssize_t got;
  while ((got = read(fd, part, sizeof part)) != 0) {
    if (got < 0 && errno != EINTR) break;
    if (got > 0) all.append(part, static_cast<size_t>(got));
  }
  return all;
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

Result<Trial> RunInSandbox(const ViewSpec& spec, const std::vector<std::string>& argv) {
  CAUDAL_ASSIGN(Pipe output, MakePipe());
  CAUDAL_ASSIGN(Pipe report, MakePipe());
  // /dev/stdout is opened by name: the pipe must be the step's.
  if (geteuid() == 0 && fchown(output.write.get(), StepUid(), StepGid()) != 0) {
    return FromErrno(errno, "cannot hand a pipe to the step's user");
  }
  const pid_t pid = fork();
  if (pid < 0) return FromErrno(errno, "cannot fork");
  if (pid == 0) RunParent(spec, argv, output.write.get(), report.write.get());
  output.write.Reset();
  report.write.Reset();
  const std::string text = ReadAll(output.read.get());
  const std::string told = ReadAll(report.read.get());
  WaitFor(pid);
  CAUDAL_ASSIGN(Trial trial, Parse(told));
  trial.output = text;
  return trial;
}

}  // namespace caudal::sandbox::internal
