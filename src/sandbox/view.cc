#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <sstream>
#include <string_view>

#include "base/file.h"
#include "sandbox/internal/mounts.h"
#include "sandbox/sandbox.h"

namespace caudal::sandbox {
namespace {

using base::FromErrno;
using base::Status;
using base::UniqueFd;
using internal::AttachAt;
using internal::CloneBelow;
using internal::CloneTree;
using internal::MakeMountPoint;
using internal::MakeReadOnly;
using internal::MountTmpfs;
namespace fs = std::filesystem;

constexpr std::array<std::string_view, 7> kNotTheHosts = {"home", "root", "run", "tmp",
                                                          "proc", "dev",  "sys"};
constexpr std::array kDevices = {"null", "zero", "full", "random", "urandom", "tty"};
constexpr std::array kStepDirectories = {"/home/step", "/minio", "/s3", "/gcs", "/kfp-workspace"};
constexpr const char* kOwnedByStep = "uid=1000,gid=1000,mode=755";

bool IsUnder(const std::string& path, const std::string& directory) {
  return path == directory || path.compare(0, directory.size() + 1, directory + "/") == 0;
}

std::string RealPath(const std::string& path) {
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  return error ? path : real.string();
}

/// Whether the third field of a line of /etc/passwd or /etc/group is `id`.
bool HasId(const std::string& line, const std::string& id) {
  const size_t first = line.find(':');
  const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
  return second != std::string::npos && line.compare(second + 1, id.size() + 1, id + ":") == 0;
}

/// A tree taken from the host, and where it goes.
struct Taken {
  std::string target;
  UniqueFd tree;
  bool is_directory = true;
  bool overlay = false;
};

struct Link {
  std::string path;
  std::string target;
};

/// Takes all it needs while the host is still in sight, then turns its back on the host, then
/// builds: so no path of the new view is ever looked up in the old one, nor the other way round.
class View {
 public:
  View(const ViewSpec& spec, std::vector<std::string>* notes) : spec_(spec), notes_(notes) {}

  Status Enter() {
    umask(022);
    if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
      return FromErrno(errno, "cannot make mounts private");
    }
    CAUDAL_TRY(TakeHost());
    CAUDAL_TRY(TakeKernel());
    CAUDAL_TRY(TakeBinds());
    CAUDAL_TRY(LeaveHost());
    CAUDAL_TRY(BuildHost());
    CAUDAL_TRY(BuildDev());
    CAUDAL_TRY(BuildWritable());
    CAUDAL_TRY(Hide());
    CAUDAL_TRY(BuildBinds());
    // Last: what is mounted on a file that is gone cannot be moved when a bind goes beside it.
    NameTheStep("/etc/passwd", "step:x:1000:1000:step:/home/step:/bin/sh\n");
    NameTheStep("/etc/group", "step:x:1000:\n");
    return Seal();
  }

 private:
  void Note(const std::string& note) {
    if (notes_ != nullptr) notes_->push_back(note);
  }

  Status Take(const std::string& path, bool writable, std::vector<Taken>* into,
              const std::string& anchor = "") {
    Taken taken;
    taken.target = path;
    CAUDAL_ASSIGN(taken.tree,
                  anchor.empty() ? CloneTree(path, writable) : CloneBelow(anchor, path, writable));
    struct stat info {};
    if (fstat(taken.tree.get(), &info) != 0) return FromErrno(errno, "cannot look at " + path);
    taken.is_directory = S_ISDIR(info.st_mode);
    into->push_back(std::move(taken));
    return {};
  }

  Status TakeHost() {
    for (const std::string& path : spec_.hidden) hidden_.push_back(RealPath(path));
    CAUDAL_ASSIGN(const std::vector<std::string> names, base::ListDir("/"));
    for (const std::string& name : names) {
      const std::string path = "/" + name;
      std::error_code error;
      if (std::find(kNotTheHosts.begin(), kNotTheHosts.end(), name) != kNotTheHosts.end()) continue;
      if (std::find(hidden_.begin(), hidden_.end(), path) != hidden_.end()) continue;
      if (fs::is_symlink(path, error)) {
        links_.push_back({path, fs::read_symlink(path, error).string()});
      } else if (fs::is_directory(path, error)) {
        const Status taken = Take(path, false, &host_);
        if (!taken.ok()) Note(path + " is not visible to steps: " + taken.message());
      }
    }
    // Where the list of name servers is a link into /run, steps still need the list.
    const std::string servers = RealPath("/etc/resolv.conf");
    if (IsUnder(servers, "/run") && base::PathExists(servers)) {
      CAUDAL_TRY(Take(servers, false, &host_));
    }
    return {};
  }

  Status TakeKernel() {
    for (const char* device : kDevices) {
      const std::string path = std::string("/dev/") + device;
      if (base::PathExists(path)) CAUDAL_TRY(Take(path, true, &devices_));
    }
    const Status sys = Take("/sys", false, &host_);
    if (!sys.ok()) Note("steps see no /sys: " + sys.message());
    Taken proc;
    proc.target = "/proc";
    base::Result<UniqueFd> fresh = internal::NewProc();
    if (fresh.ok()) {
      proc.tree = *std::move(fresh);
    } else {
      // Not allowed where parts of the host's /proc are covered, as in most containers.
      CAUDAL_ASSIGN(proc.tree, CloneTree("/proc", true));
      Note("steps see the processes of the host: " + fresh.status().message());
    }
    host_.push_back(std::move(proc));
    return {};
  }

  Status TakeBinds() {
    for (const Bind& bind : spec_.binds) {
      const bool overlay = bind.kind == Bind::Kind::kOverlay;
      CAUDAL_TRY(Take(bind.source, bind.writable && !overlay, &binds_, bind.anchor));
      binds_.back().target = bind.target;
      binds_.back().overlay = overlay;
    }
    return {};
  }

  Status LeaveHost() {
    // All that lies below /tmp has been taken, so this hides nothing that is needed.
    CAUDAL_TRY(MountTmpfs("/tmp", "mode=755"));
    if (chdir("/tmp") != 0 || syscall(SYS_pivot_root, ".", ".") != 0) {
      return FromErrno(errno, "cannot change the root directory");
    }
    // The old root now lies on top of the new one.
    if (umount2(".", MNT_DETACH) != 0 || chdir("/") != 0) {
      return FromErrno(errno, "cannot leave the host's root directory");
    }
    return {};
  }

  Status Build(std::vector<Taken>* trees) {
    for (Taken& taken : *trees) {
      CAUDAL_TRY(MakeMountPoint(taken.target, taken.is_directory, &covered_));
      CAUDAL_TRY(AttachAt(taken.tree, taken.target));
      taken.tree.Reset();
    }
    return {};
  }

  Status BuildHost() {
    for (const Link& link : links_) {
      if (symlink(link.target.c_str(), link.path.c_str()) != 0) {
        return FromErrno(errno, "cannot make link " + link.path);
      }
    }
    for (const std::string_view name : kNotTheHosts) {
      const std::string path = "/" + std::string(name);
      if (mkdir(path.c_str(), 0755) != 0) return FromErrno(errno, "cannot make " + path);
    }
    CAUDAL_TRY(Build(&host_));
    return {};
  }

  /// Programs look up the name and home of their uid, and some fail where it has none. The host's
  /// own 1000 is somebody else.
  void NameTheStep(const std::string& path, const std::string& entry) {
    const base::Result<std::string> host = base::ReadFile(path);
    const bool is_bound = std::any_of(binds_.begin(), binds_.end(), [&](const Taken& bind) {
      return IsUnder(path, bind.target);
    });
    if (!host.ok() || is_bound) return;
    std::istringstream lines(*host);
    std::string text;
    for (std::string line; std::getline(lines, line);) {
      if (!HasId(line, "1000")) text += line + "\n";
    }
    const std::string draft = "/.names";
    const Status written = base::WriteFileAtomic(draft, text + entry, 0644);
    base::Result<UniqueFd> file = CloneTree(draft, false);
    const bool named = written.ok() && file.ok() && AttachAt(*file, path).ok();
    unlink(draft.c_str());
    if (!named) Note("steps have no entry in " + path);
  }

  Status BuildDev() {
    CAUDAL_TRY(Build(&devices_));
    constexpr std::array<std::array<const char*, 2>, 5> kLinks = {{{"/proc/self/fd", "/dev/fd"},
                                                                   {"fd/0", "/dev/stdin"},
                                                                   {"fd/1", "/dev/stdout"},
                                                                   {"fd/2", "/dev/stderr"},
                                                                   {"pts/ptmx", "/dev/ptmx"}}};
    for (const auto& [target, path] : kLinks) {
      if (symlink(target, path) != 0) return FromErrno(errno, std::string("cannot make ") + path);
    }
    if (mkdir("/dev/pts", 0755) != 0 || mkdir("/dev/shm", 0755) != 0) {
      return FromErrno(errno, "cannot make directories in /dev");
    }
    if (mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
              "newinstance,ptmxmode=0666,mode=620") != 0) {
      Note(std::string("steps have no terminals: ") + std::strerror(errno));
    }
    return MountTmpfs("/dev/shm", "mode=1777");
  }

  Status BuildWritable() {
    CAUDAL_TRY(MountTmpfs("/tmp", "mode=1777"));
    if (fs::is_directory("/var/tmp")) CAUDAL_TRY(MountTmpfs("/var/tmp", "mode=1777"));
    for (const char* path : kStepDirectories) {
      CAUDAL_TRY(MakeMountPoint(path, true, &covered_));
      CAUDAL_TRY(MountTmpfs(path, kOwnedByStep));
    }
    return {};
  }

  bool HasBindUnder(const std::string& directory) const {
    return std::any_of(binds_.begin(), binds_.end(),
                       [&](const Taken& bind) { return IsUnder(bind.target, directory); });
  }

  /// Binds from inside a hidden directory keep their paths, so that one may be passed through then;
  /// it shows nothing else.
  Status Hide() {
    for (const std::string& path : hidden_) {
      const bool standard =
          path == "/" || (path.find('/', 1) == std::string::npos && base::PathExists(path));
      if (standard) continue;
      const bool passable = HasBindUnder(path);
      if (path.find('/', 1) == std::string::npos) {
        if (mkdir(path.c_str(), passable ? 0755 : 0) != 0) {
          return FromErrno(errno, "cannot make " + path);
        }
      } else if (fs::is_directory(path)) {
        CAUDAL_TRY(MountTmpfs(path, passable ? "mode=755" : "mode=0"));
        covered_.push_back(path);
      }
    }
    return {};
  }

  Status BuildBinds() {
    for (Taken& bind : binds_) {
      CAUDAL_TRY(MakeMountPoint(bind.target, bind.is_directory, &covered_));
      CAUDAL_TRY(AttachAt(bind.tree, bind.target));
      bind.tree.Reset();
      if (!bind.overlay) continue;
      const Status made = MountOverlay(bind.target);
      if (!made.ok()) Note(bind.target + " is read-only for steps: " + made.message());
    }
    return {};
  }

  /// A writable layer, thrown away with the sandbox, on the read-only directory at `target`.
  Status MountOverlay(const std::string& target) {
    const UniqueFd lower(open(target.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    struct stat info {};
    if (!lower.valid() || fstat(lower.get(), &info) != 0) {
      return FromErrno(errno, "cannot open " + target);
    }
    const std::string layer = "/.layer";
    if (mkdir(layer.c_str(), 0700) != 0 && errno != EEXIST) {
      return FromErrno(errno, "cannot make " + layer);
    }
    CAUDAL_TRY(MountTmpfs(layer, "mode=755"));
    const std::string upper = layer + "/upper";
    const std::string work = layer + "/work";
    const bool ready = mkdir(upper.c_str(), 0755) == 0 && mkdir(work.c_str(), 0755) == 0 &&
                       chmod(upper.c_str(), info.st_mode & 07777) == 0 &&
                       chown(upper.c_str(), 1000, 1000) == 0;
    // By descriptor: a colon or comma in a path would mean something else here.
    const std::string options = "lowerdir=/proc/self/fd/" + std::to_string(lower.get()) +
                                ",upperdir=" + upper + ",workdir=" + work + ",userxattr";
    const bool mounted = ready && mount("overlay", target.c_str(), "overlay", MS_NOSUID | MS_NODEV,
                                        options.c_str()) == 0;
    const int error = errno;
    umount2(layer.c_str(), MNT_DETACH);  // the overlay keeps its own hold on the layer
    rmdir(layer.c_str());
    if (!mounted) return FromErrno(error, "cannot mount an overlay");
    return {};
  }

  Status Seal() {
    // A bind of /tmp may have covered the one made before.
    if (mkdir("/tmp/kfp", 0755) == 0 && chown("/tmp/kfp", 1000, 1000) != 0) {
      return FromErrno(errno, "cannot hand /tmp/kfp to the step");
    }
    for (const std::string& path : covered_) CAUDAL_TRY(MakeReadOnly(path));
    return MakeReadOnly("/");
  }

  const ViewSpec& spec_;
  std::vector<std::string>* notes_;
  std::vector<std::string> hidden_;
  std::vector<Link> links_;
  std::vector<Taken> host_, devices_, binds_;
  std::vector<std::string> covered_;  // tmpfs mounts to be sealed at the end
};

}  // namespace

Status EnterView(const ViewSpec& spec, std::vector<std::string>* notes) {
  return View(spec, notes).Enter();
}

}  // namespace caudal::sandbox
