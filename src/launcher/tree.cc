#include "launcher/internal/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <memory>
#include <utility>

#include "base/file.h"
#include "base/utf8.h"
#include "launcher/internal/uri.h"

namespace caudal::launcher::internal {
namespace {

using base::FromErrno;
using base::InvalidArgument;
using base::Result;
using base::Status;
using base::UniqueFd;

constexpr char kLinkRemedy[] = "; write a copy of the file instead of a link";

std::string Join(const std::string& parent, const std::string& name) {
  return parent.empty() ? name : parent + "/" + name;
}

/// The path that a descriptor was resolved to.
Result<std::string> PathOf(int fd) {
  char buffer[PATH_MAX];
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t length = readlink(link.c_str(), buffer, sizeof buffer);
  if (length < 0) return FromErrno(errno, "cannot read " + link);
  return std::string(buffer, static_cast<size_t>(length));
}

/// Opens `path` below `base`, following links that stay inside. -1 and errno: EXDEV when one does
/// not.
UniqueFd OpenBeneath(int base, const std::string& path) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  const std::string name = path.empty() ? "." : path;
  return UniqueFd(static_cast<int>(syscall(SYS_openat2, base, name.c_str(), &how, sizeof how)));
}

struct DirCloser {
  void operator()(DIR* dir) const { closedir(dir); }
};

Result<std::vector<std::string>> Names(int fd, const std::string& path) {
  UniqueFd copy(openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!copy.valid()) return FromErrno(errno, "cannot read directory " + path);
  const std::unique_ptr<DIR, DirCloser> dir(fdopendir(copy.get()));
  if (dir == nullptr) return FromErrno(errno, "cannot read directory " + path);
  copy.Release();
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = readdir(dir.get())) {
    const std::string name = static_cast<const char*>(entry->d_name);
    if (name != "." && name != "..") names.push_back(name);
    if (static_cast<int64_t>(names.size()) > kMaxEntries) break;
    errno = 0;
  }
  if (errno != 0) return FromErrno(errno, "cannot read directory " + path);
  std::sort(names.begin(), names.end());
  return names;
}

/// One walk. Everything it reports stands under `base_`.
class Scanner {
 public:
  Scanner(const Place& place, const ToHost& to_host) : place_(place), to_host_(to_host) {}

  Result<std::optional<Tree>> Run() {
    base_.Reset(open(place_.base.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!base_.valid() && errno == ENOENT) return std::optional<Tree>();
    if (!base_.valid()) return FromErrno(errno, "cannot open " + place_.base);
    CAUDAL_ASSIGN(base_path_, PathOf(base_.get()));
    // A last part that is a link must be told from a place where nothing is.
    struct stat info {};
    const std::string start = place_.path.empty() ? "." : place_.path;
    if (fstatat(base_.get(), start.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT || errno == ENOTDIR) return std::optional<Tree>();
      return FromErrno(errno, "cannot look at " + place_.Absolute());
    }
    CAUDAL_TRY(VisitResolved(place_.path, "", 0));
    return std::optional<Tree>(std::move(tree_));
  }

 private:
  /// What `path` below the base leads to, links and all, becomes `out` in the tree.
  Status VisitResolved(const std::string& path, const std::string& out, int depth) {
    CAUDAL_ASSIGN(UniqueFd fd, Resolve(path));
    CAUDAL_ASSIGN(const std::string source, PathOf(fd.get()));
    if (source != Join(base_path_, path) && !path.empty()) tree_.must_copy = true;
    return Visit(fd, source, out, depth);
  }

  Result<UniqueFd> Resolve(const std::string& path) {
    UniqueFd fd = OpenBeneath(base_.get(), path);
    if (fd.valid()) return fd;
    if (errno == EXDEV) {
      const std::optional<std::string> inside = AbsoluteTarget(path);
      if (inside) fd = OpenBeneath(base_.get(), *inside);
      if (fd.valid()) return fd;
    }
    const std::string name = "'" + Shown(path) + "' is a symbolic link ";
    if (errno == EXDEV) {
      return InvalidArgument(name + "that leads out of the output" + kLinkRemedy);
    }
    if (errno == ENOENT) return InvalidArgument(name + "to nothing" + kLinkRemedy);
    if (errno == ELOOP) return InvalidArgument(name + "in a circle" + kLinkRemedy);
    return FromErrno(errno, "cannot open " + Join(place_.base, path));
  }

  /// Of a link with an absolute target, as the step sees it: where that is below the base.
  std::optional<std::string> AbsoluteTarget(const std::string& path) const {
    char buffer[PATH_MAX];
    const ssize_t length = readlinkat(base_.get(), path.c_str(), buffer, sizeof buffer);
    if (length <= 0 || buffer[0] != '/') return std::nullopt;
    const auto host = to_host_(std::string(buffer, static_cast<size_t>(length)));
    errno = EXDEV;
    if (!host || !IsWithin(*host, place_.base)) return std::nullopt;
    return host->size() <= place_.base.size() + 1 ? "." : host->substr(place_.base.size() + 1);
  }

  Status Visit(const UniqueFd& fd, const std::string& source, const std::string& out, int depth) {
    struct stat info {};
    if (fstat(fd.get(), &info) != 0) return FromErrno(errno, "cannot look at " + source);
    if (++entries_ > kMaxEntries) {
      return InvalidArgument("it has more than " + std::to_string(kMaxEntries) +
                             " files; put them into an archive");
    }
    if (!base::IsUtf8(out))
      return InvalidArgument("file name '" + out + "' is not UTF-8; rename it");
    if (S_ISDIR(info.st_mode)) return VisitDirectory(fd, info, source, out, depth);
    if (!S_ISREG(info.st_mode)) {
      return InvalidArgument("'" + (out.empty() ? source : out) +
                             "' is a pipe, socket or device; only files and directories are kept");
    }
    if (info.st_nlink > 1) tree_.must_copy = true;
    tree_.files.push_back({out, source, info.st_size});
    tree_.bytes += info.st_size;
    return {};
  }

  Status VisitDirectory(const UniqueFd& fd, const struct stat& info, const std::string& source,
                        const std::string& out, int depth) {
    const auto id = std::make_pair(info.st_dev, info.st_ino);
    if (std::find(parents_.begin(), parents_.end(), id) != parents_.end()) {
      return InvalidArgument("'" + out + "' is a symbolic link to a directory it lies in" +
                             kLinkRemedy);
    }
    if (depth >= kMaxDepth) {
      return InvalidArgument("'" + out + "' is deeper than " + std::to_string(kMaxDepth) +
                             " directories; put it into an archive");
    }
    if (out.empty()) {
      tree_.is_directory = true;
    } else {
      tree_.directories.push_back(out);
    }
    if ((info.st_mode & S_IRWXU) != S_IRWXU) AllowOwner(fd, info.st_mode);
    CAUDAL_ASSIGN(const std::vector<std::string> names, Names(fd.get(), source));
    parents_.push_back(id);
    for (const std::string& name : names) {
      CAUDAL_TRY(VisitChild(fd, source + "/" + name, name, Join(out, name), depth + 1));
    }
    parents_.pop_back();
    return {};
  }

  Status VisitChild(const UniqueFd& parent, const std::string& source, const std::string& name,
                    const std::string& out, int depth) {
    UniqueFd fd(openat(parent.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat info {};
    if (!fd.valid() || fstat(fd.get(), &info) != 0) {
      return FromErrno(errno, "cannot look at " + source);
    }
    if (!S_ISLNK(info.st_mode)) return Visit(fd, source, out, depth);
    tree_.must_copy = true;
    return VisitResolved(source.substr(base_path_.size() + 1), out, depth);
  }

  /// A step may have locked itself out of its own directory.
  static void AllowOwner(const UniqueFd& fd, mode_t mode) {
    const std::string path = "/proc/self/fd/" + std::to_string(fd.get());
    chmod(path.c_str(), (mode & 0777) | S_IRWXU);  // if it fails, reading says why
  }

  std::string Shown(const std::string& path) const {
    const bool inside = !place_.path.empty() && IsWithin(path, place_.path);
    return inside && path.size() > place_.path.size() ? path.substr(place_.path.size() + 1) : path;
  }

  const Place& place_;
  const ToHost& to_host_;
  UniqueFd base_;
  std::string base_path_;
  Tree tree_;
  int64_t entries_ = 0;
  std::vector<std::pair<dev_t, ino_t>> parents_;
};

Status CopyBytes(int from, int to, const std::string& target) {
  if (ioctl(to, FICLONE, from) == 0) return {};
  while (true) {
    const ssize_t put = copy_file_range(from, nullptr, to, nullptr, 1 << 30, 0);
    if (put == 0) return {};
    if (put > 0 || errno == EINTR) continue;
    if (errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP) {
      return FromErrno(errno, "cannot write " + target);
    }
    break;
  }
  char buffer[1 << 16];
  while (true) {
    const ssize_t got = read(from, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FromErrno(errno, "cannot read the source of " + target);
    if (got == 0) return {};
    for (ssize_t done = 0; done < got;) {
      const ssize_t put = write(to, buffer + done, static_cast<size_t>(got - done));
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return FromErrno(errno, "cannot write " + target);
      done += put;
    }
  }
}

Status CopyFile(const std::string& source, const std::string& target) {
  UniqueFd from(open(source.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!from.valid() && errno == EACCES) {
    chmod(source.c_str(), 0400);  // ours, but the step took our right to read it
    from.Reset(open(source.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  }
  if (!from.valid()) return FromErrno(errno, "cannot read " + source);
  UniqueFd to(open(target.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!to.valid()) return FromErrno(errno, "cannot create " + target);
  return CopyBytes(from.get(), to.get(), target);
}

Status MakeDir(const std::string& path) {
  return mkdir(path.c_str(), 0755) == 0 ? Status() : FromErrno(errno, "cannot make " + path);
}

Status SealEntry(const std::string& path, mode_t mode, int flags, bool flush) {
  // The mode first: without it we might not be allowed to open what the step left.
  if (geteuid() == 0 && lchown(path.c_str(), geteuid(), getegid()) != 0) {
    return FromErrno(errno, "cannot take " + path);
  }
  if (chmod(path.c_str(), mode) != 0) return FromErrno(errno, "cannot set mode of " + path);
  if (!flush) return {};
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | flags));
  if (!fd.valid()) return FromErrno(errno, "cannot open " + path);
  return fsync(fd.get()) == 0 ? Status() : FromErrno(errno, "cannot flush " + path);
}

Status FlushAll(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) return FromErrno(errno, "cannot open " + path);
  return syncfs(fd.get()) == 0 ? Status() : FromErrno(errno, "cannot flush " + path);
}

}  // namespace

Result<std::optional<Tree>> Scan(const Place& place, const ToHost& to_host) {
  return Scanner(place, to_host).Run();
}

Status CopyTree(const Tree& tree, const std::string& target) {
  if (!tree.is_directory) return CopyFile(tree.files.at(0).source, target);
  CAUDAL_TRY(MakeDir(target));
  for (const std::string& directory : tree.directories) {
    CAUDAL_TRY(MakeDir(target + "/" + directory));
  }
  for (const TreeFile& file : tree.files) {
    CAUDAL_TRY(CopyFile(file.source, target + "/" + file.path));
  }
  return {};
}

Status CopyStored(const std::string& source, const std::string& target) {
  const size_t slash = source.rfind('/');
  const Place place{source.substr(0, slash), source.substr(slash + 1)};
  CAUDAL_ASSIGN(const std::optional<Tree> tree,
                Scan(place, [](const std::string&) { return std::optional<std::string>(); }));
  if (!tree) return base::NotFound(source + " does not exist");
  return CopyTree(*tree, target);
}

Status Seal(const Tree& tree, const std::string& path) {
  // From here on flushing the whole file system is cheaper than every file.
  constexpr size_t kManyFiles = 256;
  const bool each = tree.files.size() <= kManyFiles;
  if (tree.is_directory) CAUDAL_TRY(SealEntry(path, 0755, O_DIRECTORY, false));
  for (const std::string& directory : tree.directories) {
    CAUDAL_TRY(SealEntry(path + "/" + directory, 0755, O_DIRECTORY, false));
  }
  for (const TreeFile& file : tree.files) {
    CAUDAL_TRY(SealEntry(file.path.empty() ? path : path + "/" + file.path, 0444, 0, each));
  }
  if (!each) return FlushAll(path);
  for (const std::string& directory : tree.directories) {
    CAUDAL_TRY(base::SyncDir(path + "/" + directory));
  }
  return tree.is_directory ? base::SyncDir(path) : Status();
}

}  // namespace caudal::launcher::internal
