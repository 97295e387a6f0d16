#include "sandbox/internal/mounts.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

namespace caudal::sandbox::internal {
namespace {

using base::FromErrno;
using base::Result;
using base::Status;
using base::UniqueFd;
namespace fs = std::filesystem;

// Re-making a directory costs two system calls per entry and keeps one descriptor of each.
constexpr size_t kMostEntriesToCover = 500;

/// `path` below `from`, or `from` itself; `shown` is its name in messages.
Result<UniqueFd> CloneAt(int from, const std::string& path, const std::string& shown,
                         bool writable) {
  UniqueFd tree(open_tree(
      from, path.c_str(),
      OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | (path.empty() ? AT_EMPTY_PATH : 0)));
  if (!tree.valid()) return FromErrno(errno, "cannot bind " + shown);
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_NOSUID | (writable ? 0u : MOUNT_ATTR_RDONLY);
  if (mount_setattr(tree.get(), "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof attributes) !=
      0) {
    return FromErrno(errno, "cannot restrict " + shown);
  }
  return tree;
}

struct Entry {
  std::string name;
  std::string link;  // of a symbolic link
  UniqueFd tree;     // of anything else
  bool is_directory = false;
};

Result<std::vector<Entry>> TakeEntries(const std::string& path) {
  CAUDAL_ASSIGN(const std::vector<std::string> names, base::ListDir(path));
  if (names.size() > kMostEntriesToCover) {
    return base::FailedPrecondition("cannot add to the read-only directory " + path +
                                    ": it has more than 500 entries");
  }
  std::vector<Entry> entries;
  for (const std::string& name : names) {
    Entry entry;
    entry.name = name;
    std::error_code error;
    const fs::path full = fs::path(path) / name;
    if (fs::is_symlink(full, error)) {
      entry.link = fs::read_symlink(full, error).string();
    } else {
      entry.is_directory = fs::is_directory(full, error);
      CAUDAL_ASSIGN(entry.tree, CloneTree(full.string(), true));
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

/// The entries keep the mount flags they had: `CloneTree` can take rights away only.
Status Cover(const std::string& path) {
  CAUDAL_ASSIGN(const std::vector<Entry> entries, TakeEntries(path));
  CAUDAL_TRY(MountTmpfs(path, "mode=755"));
  for (const Entry& entry : entries) {
    const std::string full = path + "/" + entry.name;
    if (!entry.tree.valid()) {
      if (symlink(entry.link.c_str(), full.c_str()) != 0) {
        return FromErrno(errno, "cannot make link " + full);
      }
      continue;
    }
    CAUDAL_TRY(MakeMountPoint(full, entry.is_directory, nullptr));
    CAUDAL_TRY(AttachAt(entry.tree, full));
  }
  return {};
}

/// One part of a path; OK when it is there already.
bool MakeOne(const std::string& path, bool is_directory) {
  if (is_directory) return mkdir(path.c_str(), 0755) == 0 || errno == EEXIST;
  struct stat info {};
  if (stat(path.c_str(), &info) == 0) return true;
  const UniqueFd file(open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  return file.valid();
}

Status MakePart(const std::string& path, bool is_directory, std::vector<std::string>* covered) {
  if (MakeOne(path, is_directory)) return {};
  const int error = errno;
  if (error != EROFS || covered == nullptr) {
    return FromErrno(error, "cannot make " + path + " in the sandbox");
  }
  std::string parent = fs::path(path).parent_path().string();
  std::error_code ignored;
  parent = fs::canonical(parent, ignored).string();
  CAUDAL_TRY(Cover(parent));
  covered->push_back(parent);
  if (MakeOne(path, is_directory)) return {};
  return FromErrno(errno, "cannot make " + path + " in the sandbox");
}

}  // namespace

Result<UniqueFd> CloneTree(const std::string& path, bool writable) {
  return CloneAt(AT_FDCWD, path, path, writable);
}

Result<UniqueFd> CloneBelow(const std::string& anchor, const std::string& path, bool writable) {
  const UniqueFd top(open(anchor.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!top.valid()) return FromErrno(errno, "cannot open " + anchor);
  if (!path.starts_with(anchor + "/")) {
    return base::InvalidArgument(path + " is not below " + anchor);
  }
  const std::string rest = path.substr(anchor.size() + 1);
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  const UniqueFd source(
      static_cast<int>(syscall(SYS_openat2, top.get(), rest.c_str(), &how, sizeof how)));
  if (!source.valid() && (errno == ELOOP || errno == EXDEV)) {
    return base::InvalidArgument("cannot bind " + path + ": a symbolic link is in its way");
  }
  if (!source.valid()) return FromErrno(errno, "cannot bind " + path);
  return CloneAt(source.get(), "", path, writable);
}
Result<UniqueFd> NewProc() {
  const UniqueFd context(fsopen("proc", FSOPEN_CLOEXEC));
  if (!context.valid()) return FromErrno(errno, "cannot mount /proc");
  if (fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    return FromErrno(errno, "cannot mount /proc");
  }
  UniqueFd tree(fsmount(context.get(), FSMOUNT_CLOEXEC,
                        MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
  if (!tree.valid()) return FromErrno(errno, "cannot mount /proc");
  return tree;
}

Status AttachAt(const UniqueFd& tree, const std::string& target) {
  if (move_mount(tree.get(), "", AT_FDCWD, target.c_str(),
                 MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS) != 0) {
    return FromErrno(errno, "cannot mount " + target + " in the sandbox");
  }
  return {};
}

Status MountTmpfs(const std::string& target, const std::string& options) {
  if (mount("tmpfs", target.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) != 0) {
    return FromErrno(errno, "cannot mount a tmpfs at " + target);
  }
  return {};
}

Status MakeReadOnly(const std::string& target) {
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  if (mount_setattr(AT_FDCWD, target.c_str(), 0, &attributes, sizeof attributes) != 0) {
    return FromErrno(errno, "cannot make " + target + " read-only");
  }
  return {};
}

Status MakeMountPoint(const std::string& path, bool is_directory,
                      std::vector<std::string>* covered) {
  if (path.empty() || path[0] != '/') {
    return base::InvalidArgument("mount target '" + path + "' is not absolute");
  }
  for (size_t slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    CAUDAL_TRY(MakePart(path.substr(0, slash), true, covered));
  }
  if (path.back() == '/') return {};
  return MakePart(path, is_directory, covered);
}

}  // namespace caudal::sandbox::internal
