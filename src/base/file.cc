#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
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

Status RemoveTree(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error == std::errc::permission_denied) {
    // A directory without write permission stops its owner, too: open it up and try once more.
    std::error_code ignored;
    auto walk = fs::recursive_directory_iterator(
        path, fs::directory_options::skip_permission_denied, ignored);
    for (; walk != fs::recursive_directory_iterator(); walk.increment(ignored)) {
      if (walk->is_directory(ignored) && !walk->is_symlink(ignored)) {
        fs::permissions(walk->path(), fs::perms::owner_all, fs::perm_options::add, ignored);
      }
    }
    fs::remove_all(path, error);
  }
  if (error) return FromErrno(error.value(), "cannot remove " + path);
  return {};
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
