#include "supervisor/internal/step.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "sandbox/sandbox.h"

namespace caudal::supervisor::internal {
namespace {

/// Where execvpe would find the program, or "".
std::string FindInPath(const v1::StepSpec& spec, const std::string& program) {
  if (program.find('/') != std::string::npos) return base::PathExists(program) ? program : "";
  for (const std::string& entry : spec.env()) {
    if (entry.compare(0, 5, "PATH=") != 0) continue;
    std::string_view rest = std::string_view(entry).substr(5);
    while (!rest.empty()) {
      const size_t colon = rest.find(':');
      const std::string path = std::string(rest.substr(0, colon)) + "/" + program;
      if (base::PathExists(path)) return path;
      rest.remove_prefix(colon == std::string_view::npos ? rest.size() : colon + 1);
    }
  }
  return "";
}

std::string ExplainExec(const v1::StepSpec& spec, int error) {
  const std::string& program = spec.argv(0);
  if (error == ENOENT || error == ENOTDIR) {
    const std::string found = FindInPath(spec, program);
    if (found.empty()) return "command '" + program + "' was not found on this machine";
    return "command '" + program + "' cannot be started: the interpreter that " + found +
           " names was not found on this machine";
  }
  if (error == EACCES) return "command '" + program + "' is not an executable file";
  if (error == E2BIG) {
    return "command '" + program +
           "' cannot be started: its arguments and environment are too long";
  }
  return "command '" + program + "' cannot be started: " + std::strerror(error);
}

[[noreturn]] void Refuse(int pipe, const StepFault& fault) {
  const std::string text = fault.code + "\n" + fault.message;
  [[maybe_unused]] const ssize_t put =
      write(pipe, text.data(), std::min<size_t>(text.size(), 4000));
  _exit(127);
}

void ResetSignals() {
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

/// When memory runs out, the kernel should choose steps, not the server.
void OfferToOutOfMemoryKiller() {
  const base::UniqueFd file(open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  if (file.valid()) [[maybe_unused]]
    const ssize_t put = write(file.get(), "500", 3);
}

/// A step that forks without end must leave the machine room to run, and to end it. Its user
/// namespace has a count of its own, so that this is per step and not for all of its user.
void LimitProcesses() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NPROC, &limit) != 0 || limit.rlim_max == RLIM_INFINITY) return;
  limit.rlim_max = std::max<rlim_t>(1024, limit.rlim_max / 4);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NPROC, &limit);
}

std::vector<char*> Pointers(const google::protobuf::RepeatedPtrField<std::string>& words) {
  std::vector<char*> pointers;
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

bool TakeStandardStreams(int output) {
  const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null < 0) return false;
  return dup2(null, 0) == 0 && dup2(output, 1) == 1 && dup2(output, 2) == 2;
}

[[noreturn]] void BecomeStep(const v1::StepSpec& spec, int output, int fault, pid_t keeper) {
  setsid();
  OfferToOutOfMemoryKiller();
  if (!TakeStandardStreams(output)) {
    Refuse(fault, {"START", std::string("standard streams: ") + std::strerror(errno)});
  }
  if (spec.sandbox()) {
    LimitProcesses();
    const base::Status dropped = sandbox::DropPrivileges();
    if (!dropped.ok()) Refuse(fault, {"VIEW", dropped.message()});
  } else {
    // After this, the keeper's death is ours, too; it may have died just before.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != keeper) _exit(127);
  }
  umask(022);
  if (!spec.working_directory().empty() && chdir(spec.working_directory().c_str()) != 0) {
    Refuse(fault, {"START", "cannot change to the working directory '" + spec.working_directory() +
                                "': " + std::strerror(errno)});
  }
  close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  const std::vector<char*> argv = Pointers(spec.argv());
  std::vector<char*> env = Pointers(spec.env());
  environ = env.data();  // execvpe searches the PATH of `environ`
  ResetSignals();
  execvpe(argv[0], argv.data(), env.data());
  Refuse(fault, {"START", ExplainExec(spec, errno)});
}

}  // namespace

std::optional<StepFault> StartStep(const v1::StepSpec& spec, int output, pid_t* pid) {
  if (spec.argv_size() == 0 || spec.argv(0).empty()) {
    return StepFault{"START", "the step has no command"};
  }
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    return StepFault{"START", std::string("cannot make a pipe: ") + std::strerror(errno)};
  }
  const base::UniqueFd read_end(ends[0]);
  base::UniqueFd write_end(ends[1]);
  const pid_t keeper = getpid();
  const pid_t child = fork();
  if (child < 0) return StepFault{"START", std::string("cannot fork: ") + std::strerror(errno)};
  if (child == 0) BecomeStep(spec, output, write_end.get(), keeper);
  write_end.Reset();

  char text[4096];
  ssize_t got;
  while ((got = read(read_end.get(), text, sizeof text)) < 0 && errno == EINTR) {
  }
  *pid = child;
  if (got <= 0) return std::nullopt;
  while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  const std::string_view told(text, static_cast<size_t>(got));
  const size_t line = told.find('\n');
  return StepFault{std::string(told.substr(0, line)), std::string(told.substr(line + 1))};
}

}  // namespace caudal::supervisor::internal
