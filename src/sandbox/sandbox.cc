#include "sandbox/sandbox.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "base/file.h"
#include "sandbox/internal/trial.h"

namespace caudal::sandbox {
namespace {

using base::FromErrno;
using base::Status;

// A host uid that no package and no person uses: a step of a root server is this on the host.
constexpr uid_t kStepIdForRoot = 61000;
// What it is inside, for root and unprivileged servers alike.
constexpr uid_t kStepIdInside = 1000;

/// A map must arrive in one write.
Status WriteProc(pid_t pid, const std::string& file, const std::string& text) {
  const std::string path = "/proc/" + std::to_string(pid) + "/" + file;
  const base::UniqueFd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.valid() || write(fd.get(), text.data(), text.size()) != ssize_t(text.size())) {
    return FromErrno(errno, "cannot write " + file + " of a user namespace");
  }
  return {};
}

std::string IdMap(uid_t ours) {
  if (geteuid() == 0) return "0 0 1\n1000 " + std::to_string(kStepIdForRoot) + " 1\n";
  return "1000 " + std::to_string(ours) + " 1\n";
}

}  // namespace

Status Probe(std::vector<std::string>* notes) {
  const base::Result<internal::Trial> trial = internal::RunInSandbox({}, {"/bin/true"});
  if (trial.ok() && trial->status == 0) {
    if (notes != nullptr) *notes = trial->notes;
    return {};
  }
  const std::string reason =
      trial.ok() ? "a trial command ended with wait status " + std::to_string(trial->status)
                 : trial.status().message();
  return base::FailedPrecondition(
      "this machine makes no sandboxes: " + reason +
      " (user namespaces may be off: see sysctl user.max_user_namespaces and "
      "kernel.apparmor_restrict_unprivileged_userns, or the container's seccomp profile)");
}

base::Result<process::Exit> RunBlocking(const ViewSpec& view, const process::Command& command,
                                        const std::function<void(std::string_view)>& on_output,
                                        std::chrono::milliseconds timeout) {
  if (command.argv.empty()) return base::InvalidArgument("a command without words cannot be run");
  const auto take = [&](std::string_view text) {
    if (on_output) on_output(text);
  };
  CAUDAL_ASSIGN(const internal::Trial trial, internal::RunInSandbox(view, command, take, timeout));
  process::Exit exit;
  if (WIFSIGNALED(trial.status)) exit.signal = WTERMSIG(trial.status);
  if (WIFEXITED(trial.status)) exit.code = WEXITSTATUS(trial.status);
  return exit;
}

uid_t StepUid() { return geteuid() == 0 ? kStepIdForRoot : geteuid(); }
gid_t StepGid() { return geteuid() == 0 ? kStepIdForRoot : getegid(); }

int CloneFlags() {
  // Ipc: System V memory and queues outlive who made them, and all steps of a root server are one
  // user to them.
  return CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC;
}

Status WriteIdMaps(pid_t init) {
  // Without privileges, a gid map is allowed only to who can no longer change its groups.
  if (geteuid() != 0) CAUDAL_TRY(WriteProc(init, "setgroups", "deny"));
  CAUDAL_TRY(WriteProc(init, "uid_map", IdMap(geteuid())));
  return WriteProc(init, "gid_map", IdMap(getegid()));
}

Status DropPrivileges() {
  for (int capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; ++capability) {
    if (prctl(PR_CAPBSET_DROP, capability) != 0) {
      return FromErrno(errno, "cannot give up capability " + std::to_string(capability));
    }
  }
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) {
    return FromErrno(errno, "cannot give up ambient capabilities");
  }
  if (getuid() == 0 &&
      (setgroups(0, nullptr) != 0 || setresgid(kStepIdInside, kStepIdInside, kStepIdInside) != 0 ||
       setresuid(kStepIdInside, kStepIdInside, kStepIdInside) != 0)) {
    return FromErrno(errno, "cannot become the step's user");
  }
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[2] = {};
  if (syscall(SYS_capset, &header, none) != 0) {
    return FromErrno(errno, "cannot give up capabilities");
  }
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return FromErrno(errno, "cannot forbid new privileges");
  }
  // Changing the uid made /proc/self root's, and with it /dev/stdout.
  if (prctl(PR_SET_DUMPABLE, 1) != 0) return FromErrno(errno, "cannot own /proc/self");
  return {};
}

}  // namespace caudal::sandbox
