#include "supervisor/internal/keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "process/process.h"
#include "sandbox/sandbox.h"
#include "supervisor/internal/channel.h"
#include "supervisor/internal/step.h"

namespace caudal::supervisor::internal {
namespace {

constexpr int kChannel = 3;
constexpr int kOutput = 4;

int64_t NowMicros() { return base::ToMicros(base::SystemClock().Now()); }

sandbox::ViewSpec ToView(const v1::StepSpec& spec) {
  sandbox::ViewSpec view;
  for (const v1::Mount& mount : spec.mounts()) {
    const auto kind = mount.kind() == v1::Mount::OVERLAY ? sandbox::Bind::Kind::kOverlay
                                                         : sandbox::Bind::Kind::kBind;
    view.binds.push_back({kind, mount.source(), mount.target(), mount.writable(), mount.anchor()});
  }
  view.hidden.assign(spec.hidden().begin(), spec.hidden().end());
  return view;
}

class Keeper {
 public:
  explicit Keeper(const v1::StepSpec& spec) : spec_(spec) {}

  [[noreturn]] void Run() {
    if (!AwaitGo()) _exit(0);
    if (spec_.sandbox()) {
      std::vector<std::string> notes;
      const base::Status entered = sandbox::EnterView(ToView(spec_), &notes);
      if (!entered.ok()) NotStarted({"VIEW", entered.message()});
      for (const std::string& note : notes) base::LogInfo("sandbox: " + note);
    }
    const std::optional<StepFault> fault = StartStep(spec_, kOutput, &step_);
    if (fault) NotStarted(*fault);
    close(kOutput);
    started_at_ = NowMicros();
    v1::SupervisorReport report;
    report.mutable_started()->set_attempt_key(spec_.attempt_key());
    report.mutable_started()->set_pid(spec_.sandbox() ? 0 : step_);
    report.mutable_started()->set_started_at(started_at_);
    Report(report);
    Wait();
    EndTree();
    TellExit();
  }

 private:
  static bool AwaitGo() {
    char order = 0;
    ssize_t got;
    while ((got = read(kChannel, &order, 1)) < 0 && errno == EINTR) {
    }
    return got == 1 && order == static_cast<char>(KeeperOrder::kGo);
  }

  static void Report(const v1::SupervisorReport& report) {
    // When the supervisor is gone, the channel's end tells so, too.
    [[maybe_unused]] const base::Status ignored = Send(kChannel, report);
  }

  [[noreturn]] void NotStarted(const StepFault& fault) {
    v1::SupervisorReport report;
    v1::StepExit& exit = *report.mutable_exited();
    exit.set_version(1);
    exit.set_attempt_key(spec_.attempt_key());
    exit.set_error_code(fault.code);
    exit.set_error(fault.message.substr(0, 4000));
    exit.set_started_at(NowMicros());
    exit.set_ended_at(exit.started_at());
    Report(report);
    _exit(0);
  }

  void Wait() {
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    const base::UniqueFd signals(signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK));
    while (true) {
      Reap();  // also what ended before the descriptor existed
      if (step_ended_) return;
      pollfd waits[2] = {{signals.get(), POLLIN, 0}, {kChannel, POLLIN, 0}};
      if (poll(waits, 2, -1) < 0) continue;
      signalfd_siginfo ignored;
      while (read(signals.get(), &ignored, sizeof ignored) > 0) {
      }
      if (waits[1].revents != 0) Obey();
    }
  }

  void Obey() {
    char order = 0;
    const ssize_t got = recv(kChannel, &order, 1, MSG_DONTWAIT);
    if (got < 0) return;
    if (got == 0) {
      EndTree();
      _exit(0);
    }
    if (order == static_cast<char>(KeeperOrder::kTerminate)) SignalTree(SIGTERM);
    if (order == static_cast<char>(KeeperOrder::kKill)) EndTree();
  }

  /// False when no child is left. All descendants hang from a child of ours.
  bool Reap() {
    int status = 0;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) Note(pid, status);
    return pid == 0;
  }

  void Note(pid_t pid, int status) {
    if (pid != step_) return;
    step_ended_ = true;
    status_ = status;
  }

  void SignalTree(int signal) {
    if (spec_.sandbox()) {
      kill(-1, signal);  // everything in the pid namespace but ourselves
      return;
    }
    for (const pid_t pid : process::Descendants(getpid())) kill(pid, signal);
  }

  void EndTree() {
    if (!Reap()) return;
    if (!spec_.sandbox()) {
      process::KillDescendants(getpid(), [this] { Reap(); });
      return;
    }
    // Orphans of the namespace become our children, so that none is left when there is no child.
    while (true) {
      kill(-1, SIGKILL);
      int status = 0;
      const pid_t pid = waitpid(-1, &status, 0);
      if (pid < 0 && errno == ECHILD) return;
      if (pid > 0) Note(pid, status);
    }
  }

  [[noreturn]] void TellExit() {
    rusage usage{};
    getrusage(RUSAGE_CHILDREN, &usage);
    v1::SupervisorReport report;
    v1::StepExit& exit = *report.mutable_exited();
    exit.set_version(1);
    exit.set_attempt_key(spec_.attempt_key());
    exit.set_started(true);
    if (WIFEXITED(status_)) exit.set_exit_code(WEXITSTATUS(status_));
    if (WIFSIGNALED(status_)) exit.set_signal(WTERMSIG(status_));
    exit.set_started_at(started_at_);
    exit.set_ended_at(NowMicros());
    exit.set_cpu_micros((usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1'000'000 +
                        usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    exit.set_max_rss_bytes(usage.ru_maxrss * 1024);
    Report(report);
    _exit(0);
  }

  const v1::StepSpec& spec_;
  pid_t step_ = -1;
  bool step_ended_ = false;
  int status_ = 0;
  int64_t started_at_ = 0;
};

/// Keeps the two descriptors under fixed numbers and closes all else but standard error: a copy of
/// the supervisor's lock, sockets or other steps' pipes here would keep them open.
void KeepOnly(int channel, int output) {
  const int high_channel = fcntl(channel, F_DUPFD, 10);
  const int high_output = fcntl(output, F_DUPFD, 10);
  dup2(high_channel, kChannel);
  dup2(high_output, kOutput);
  close_range(kOutput + 1, ~0U, 0);
  fcntl(kChannel, F_SETFD, FD_CLOEXEC);
  fcntl(kOutput, F_SETFD, FD_CLOEXEC);
}

}  // namespace

void RunKeeper(const v1::StepSpec& spec, int channel, int output) {
  KeepOnly(channel, output);
  prctl(PR_SET_NAME, "caudal-keeper");
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, nullptr);
  if (spec.sandbox()) {
    // The pid namespace dies with us. Without one, we must live to end the tree ourselves: then the
    // end of the channel says that the supervisor is gone.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
  } else {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
  }
  Keeper(spec).Run();
}

}  // namespace caudal::supervisor::internal
