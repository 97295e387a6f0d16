#pragma once

/// The view of a sandboxed step: own mount, pid, ipc and user namespace over a read-only picture of
/// the host. Mechanism: `docs/adr/0004-sandbox.md`.

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "process/process.h"

namespace caudal::sandbox {

struct Bind {
  enum class Kind { kBind, kOverlay };
  Kind kind = Kind::kBind;
  std::string source{};
  std::string target{};
  bool writable = false;
  /// When set, a directory above `source`: no symbolic link is followed between the two.
  std::string anchor{};
};

struct ViewSpec {
  std::vector<Bind> binds{};          ///< made in order, after the standard view
  std::vector<std::string> hidden{};  ///< host directories that must not be seen (data directory)
};

/// Whether this machine can make sandboxes, found out by making one; when not, the reason in words
/// a user can act on. Blocks for some milliseconds. `notes` (may be null) gets what a step here
/// must do without, as EnterView tells it. Errors: kFailedPrecondition.
base::Status Probe(std::vector<std::string>* notes = nullptr);

/// What process::RunBlocking does, in a sandbox of its own: `command` is looked up, and works, in
/// the view; its uid is the step's whatever it says. When this returns, nothing of it is left; when
/// the caller dies, it dies, too. Safe in a process with threads. Errors: kFailedPrecondition with
/// what could not be set up, kDeadlineExceeded, by errno.
base::Result<process::Exit> RunBlocking(const ViewSpec& view, const process::Command& command,
                                        const std::function<void(std::string_view)>& on_output,
                                        std::chrono::milliseconds timeout);

/// The host uid and gid that a sandboxed step runs under: ours when unprivileged, 61000 when the
/// server is root.
uid_t StepUid();
gid_t StepGid();

/// clone flags for the init of a sandbox.
int CloneFlags();
/// Parent side, after clone: writes the uid and gid maps of `init`.
base::Status WriteIdMaps(pid_t init);
/// Child side, in the cloned init, once the maps are written: builds the view and enters it. On
/// return the process sees only the view. Not async-signal-safe: call it in a single-threaded
/// process. `notes` (may be null) gets what this machine does not allow and what stands in: a
/// shared /proc, a read-only bind for an overlay.
base::Status EnterView(const ViewSpec& spec, std::vector<std::string>* notes = nullptr);
/// Child side, in the process that will exec: gives up every capability and privilege for good, and
/// becomes the step's user.
base::Status DropPrivileges();

}  // namespace caudal::sandbox
