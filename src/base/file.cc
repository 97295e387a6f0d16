#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>

namespace caudal::base {
namespace fs = std::filesystem;

UniqueFd& UniqueFd::operator=(UniqueFd&& other) noexcept {
  if (this != &other) Reset(other.Release());
  return *this;
}

int UniqueFd::Release() {
  const int fd = fd_;
  fd_ = -1;
  return fd;
}

void UniqueFd::Reset(int fd) {
  if (fd_ >= 0) close(fd_);
  fd_ = fd;
}

Result<std::string> ReadFile(const std::string& path, int64_t max_bytes) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return FromErrno(errno, "cannot read " + path);
  std::string data;
  char buffer[65536];
  while (true) {
    const ssize_t got = read(fd.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FromErrno(errno, "cannot read " + path);
    if (got == 0) return data;
    data.append(buffer, static_cast<size_t>(got));
    if (static_cast<int64_t>(data.size()) > max_bytes) {
      return ResourceExhausted(path + " is larger than the limit of " + std::to_string(max_bytes) +
                               " bytes");
    }
  }
}

static Status WriteAll(int fd, std::string_view data, const std::string& path) {
  while (!data.empty()) {
    const ssize_t put = write(fd, data.data(), data.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return FromErrno(errno, "cannot write " + path);
    data.remove_prefix(static_cast<size_t>(put));
  }
  return {};
}

Status WriteFileAtomic(const std::string& path, std::string_view data, unsigned mode) {
  const std::string draft = path + ".tmp";
  UniqueFd fd(open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
  if (!fd.valid()) return FromErrno(errno, "cannot create " + draft);
  Status written = WriteAll(fd.get(), data, draft);
  if (written.ok() && fsync(fd.get()) != 0) written = FromErrno(errno, "cannot flush " + draft);
  if (!written.ok()) {
    unlink(draft.c_str());
    return written;
  }
  if (rename(draft.c_str(), path.c_str()) != 0) {
    return FromErrno(errno, "cannot rename " + draft + " to " + path);
  }
  return SyncDir(fs::path(path).parent_path().string());
}

Status MakeDirs(const std::string& path, unsigned mode) {
  if (path.empty() || path == "/") return {};
  struct stat info {};
  if (stat(path.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) return {};
    return AlreadyExists("cannot make directory " + path + ": a file is in the way");
  }
  CAUDAL_TRY(MakeDirs(fs::path(path).parent_path().string(), mode));
  if (mkdir(path.c_str(), mode) != 0 && errno != EEXIST) {
    return FromErrno(errno, "cannot make directory " + path);
  }
  return {};
}

namespace {

Result<std::vector<std::string>> Entries(int dir, const std::string& path) {
  DIR* stream = fdopendir(openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (stream == nullptr) return FromErrno(errno, "cannot list " + path);
  std::vector<std::string> names;
  while (const dirent* entry = readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  closedir(stream);
  return names;
}

UniqueFd OpenDirAt(int dir, const std::string& name) {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  // One without permissions stops its owner, too.
  if (faccessat(dir, name.c_str(), R_OK | W_OK | X_OK, AT_SYMLINK_NOFOLLOW) != 0) {
    fchmodat(dir, name.c_str(), 0700, 0);
  }
  return UniqueFd(openat(dir, name.c_str(), kFlags));
}

// Empties the directory `name` of `top`; directories inside it move up to `top`.
Status EmptyInto(int top, const std::string& name, const std::string& path, int* moved) {
  const UniqueFd dir = OpenDirAt(top, name);
  if (!dir.valid() && errno == ENOENT) return {};
  if (!dir.valid()) return FromErrno(errno, "cannot open " + path + "/" + name);
  CAUDAL_ASSIGN(const auto names, Entries(dir.get(), path));
  for (const std::string& child : names) {
    if (unlinkat(dir.get(), child.c_str(), 0) == 0 || errno == ENOENT) continue;
    if (errno != EISDIR) return FromErrno(errno, "cannot remove " + child + " below " + path);
    fchmodat(dir.get(), child.c_str(), 0700, 0);  // moving a directory writes to it
    do {
      const std::string place = ".removing-" + std::to_string(++*moved);
      if (renameat2(dir.get(), child.c_str(), top, place.c_str(), RENAME_NOREPLACE) == 0) break;
    } while (errno == EEXIST);
  }
  if (unlinkat(top, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return {};
  return FromErrno(errno, "cannot remove " + path + "/" + name);
}

}  // namespace

// Nested directories are moved up before they are emptied, so that the depth of a tree, which a
// step chooses, costs neither descriptors nor stack nor length of paths. What is not there any more
// is no error: two may remove the same tree, and neither may stop because of the other.
Status RemoveTree(const std::string& path) {
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  if (errno != EISDIR) return FromErrno(errno, "cannot remove " + path);
  const UniqueFd top = OpenDirAt(AT_FDCWD, path);
  if (!top.valid() && errno == ENOENT) return {};
  if (!top.valid()) return FromErrno(errno, "cannot open " + path);
  int moved = 0;
  do {
    CAUDAL_ASSIGN(const auto names, Entries(top.get(), path));
    for (const std::string& name : names) {
      if (unlinkat(top.get(), name.c_str(), 0) == 0 || errno == ENOENT) continue;
      if (errno != EISDIR) return FromErrno(errno, "cannot remove " + path + "/" + name);
      CAUDAL_TRY(EmptyInto(top.get(), name, path, &moved));
    }
    if (rmdir(path.c_str()) == 0 || errno == ENOENT) return {};
  } while (errno == ENOTEMPTY);
  return FromErrno(errno, "cannot remove " + path);
}

Status SyncDir(const std::string& path) {
  const std::string name = path.empty() ? "." : path;
  UniqueFd fd(open(name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return FromErrno(errno, "cannot open directory " + name);
  if (fsync(fd.get()) != 0) return FromErrno(errno, "cannot flush directory " + name);
  return {};
}

Status RenameDurably(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) != 0) {
    return FromErrno(errno, "cannot rename " + from + " to " + to);
  }
  const std::string from_dir = fs::path(from).parent_path().string();
  const std::string to_dir = fs::path(to).parent_path().string();
  CAUDAL_TRY(SyncDir(to_dir));
  return from_dir == to_dir ? Status() : SyncDir(from_dir);
}

bool PathExists(const std::string& path) {
  struct stat info {};
  return lstat(path.c_str(), &info) == 0;
}

Result<std::vector<std::string>> ListDir(const std::string& path) {
  std::error_code error;
  std::vector<std::string> names;
  fs::directory_iterator it(path, error);
  if (error) return FromErrno(error.value(), "cannot list " + path);
  for (; it != fs::directory_iterator(); it.increment(error)) {
    if (error) return FromErrno(error.value(), "cannot list " + path);
    names.push_back(it->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace caudal::base
