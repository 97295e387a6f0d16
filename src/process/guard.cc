#include "process/internal/guard.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

namespace caudal::process::internal {
namespace {

constexpr int kEnd = 3;

/// Forked from a process that may have threads: async-signal-safe calls only. Whatever else it had
/// inherited, such as a listening socket or a lock, it would keep from the next server.
[[noreturn]] void Watch(int end, pid_t group) {
  setsid();
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, nullptr);
  prctl(PR_SET_NAME, "caudal-guard");
  dup2(end, kEnd);
  close_range(0, kEnd - 1, 0);
  close_range(kEnd + 1, ~0U, 0);
  char ignored;
  while (read(kEnd, &ignored, 1) < 0 && errno == EINTR) {
  }
  kill(-group, SIGKILL);
  _exit(0);
}

}  // namespace

Guard::Guard(pid_t group) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return;
  const base::UniqueFd read_end(ends[0]);
  end_.Reset(ends[1]);
  pid_ = fork();
  if (pid_ == 0) Watch(read_end.get(), group);
}

Guard::~Guard() {
  end_.Reset();
  if (pid_ <= 0) return;
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace caudal::process::internal
