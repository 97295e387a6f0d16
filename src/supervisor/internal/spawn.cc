#include "supervisor/internal/spawn.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/file.h"

namespace caudal::supervisor::internal {
namespace {

/// In a forked child of a process that may have threads: async-signal-safe calls only.
[[noreturn]] void BecomeSupervisor(char* const* argv, const char* log_path, int fault) {
  setsid();
  if (const pid_t pid = fork(); pid != 0) _exit(pid < 0 ? 127 : 0);
  sigset_t none;
  sigemptyset(&none);
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  umask(077);
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  int log = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log < 0) log = null;
  if (chdir("/") == 0 && dup2(null, 0) == 0 && dup2(log, 1) == 1 && dup2(log, 2) == 2) {
    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    execv(argv[0], argv);
  }
  const int error = errno;
  [[maybe_unused]] const ssize_t put = write(fault, &error, sizeof error);
  _exit(127);
}

}  // namespace

base::Status SpawnSupervisor(const std::string& executable, const std::string& data_dir) {
  const std::string log_path = data_dir + "/supervisor.log";
  std::string words[] = {executable, "supervise", "--data-dir", data_dir};
  char* const argv[] = {words[0].data(), words[1].data(), words[2].data(), words[3].data(),
                        nullptr};
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return base::FromErrno(errno, "cannot make a pipe");
  const base::UniqueFd read_end(ends[0]);
  base::UniqueFd write_end(ends[1]);

  const pid_t pid = fork();
  if (pid < 0) return base::FromErrno(errno, "cannot start the supervisor");
  if (pid == 0) BecomeSupervisor(argv, log_path.c_str(), write_end.get());
  write_end.Reset();
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  int error = 0;
  ssize_t got;
  while ((got = read(read_end.get(), &error, sizeof error)) < 0 && errno == EINTR) {
  }
  if (got != sizeof error) return {};
  return base::Unavailable("cannot start the supervisor " + executable + ": " +
                           std::strerror(error));
}

}  // namespace caudal::supervisor::internal
