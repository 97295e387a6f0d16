#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "archive/archive.h"
#include "archive/internal/path.h"
#include "archive/internal/walk.h"
#include "base/file.h"

namespace caudal::archive {
namespace {

using base::FromErrno;
using base::InvalidArgument;
using base::Result;
using base::Status;
using base::UniqueFd;
using internal::Quoted;

constexpr int kFolder = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

/// Writes entries below one folder. Every step is by descriptor and follows no link, so that
/// whatever already lies or appears there cannot lead elsewhere.
class Unpacker {
 public:
  explicit Unpacker(const std::string& directory)
      : directory_(directory), root_(open(directory.c_str(), kFolder)) {}

  Status Prepare() const {
    if (!root_.valid()) return FromErrno(errno, "cannot unpack to " + directory_);
    CAUDAL_ASSIGN(const std::vector<std::string> names, base::ListDir(directory_));
    if (names.empty()) return {};
    return base::FailedPrecondition("cannot unpack to " + directory_ + ", which has '" + names[0] +
                                    "' in it");
  }

  Status Write(const Entry& entry) {
    const size_t slash = entry.path.rfind('/');
    const std::string folder = slash == std::string::npos ? "" : entry.path.substr(0, slash);
    CAUDAL_ASSIGN(const UniqueFd parent, OpenFolder(folder, entry.path));
    const std::string name = entry.path.substr(slash + 1);
    UniqueFd file(openat(parent.get(), name.c_str(),
                         O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file.valid() && errno == EEXIST) {
      return InvalidArgument("entry " + Quoted(entry.path) + " is in the archive twice");
    }
    if (!file.valid()) return Failed(entry.path);
    CAUDAL_TRY(WriteAll(file.get(), entry));
    // Set, not asked for: a umask must not change what the archive says.
    if (fchmod(file.get(), entry.is_executable ? 0755 : 0644) != 0) return Failed(entry.path);
    if (fsync(file.get()) != 0) return Failed(entry.path);
    return {};
  }

  Status FlushFolders() const {
    for (const std::string& folder : folders_) {
      CAUDAL_ASSIGN(const UniqueFd fd, Descend(folder, folder));
      if (fsync(fd.get()) != 0) return Failed(folder);
    }
    if (fsync(root_.get()) != 0) return FromErrno(errno, "cannot flush " + directory_);
    return {};
  }

 private:
  Status Failed(const std::string& path) const {
    return FromErrno(errno, "cannot unpack entry " + Quoted(path) + " to " + directory_);
  }

  Status WriteAll(int fd, const Entry& entry) const {
    std::string_view rest = entry.content;
    while (!rest.empty()) {
      const ssize_t put = write(fd, rest.data(), rest.size());
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return Failed(entry.path);
      rest.remove_prefix(static_cast<size_t>(put));
    }
    return {};
  }

  // Opens a folder, made with its parents where it is missing.
  Result<UniqueFd> OpenFolder(const std::string& folder, const std::string& entry) {
    for (size_t end = folder.find('/');; end = folder.find('/', end + 1)) {
      const std::string path = folder.substr(0, end);
      if (!path.empty() && !folders_.contains(path)) CAUDAL_TRY(MakeFolder(path, entry));
      if (end == std::string::npos) break;
    }
    return Descend(folder, entry);
  }

  // Makes one folder whose parent is there.
  Status MakeFolder(const std::string& path, const std::string& entry) {
    const size_t slash = path.rfind('/');
    CAUDAL_ASSIGN(const UniqueFd parent,
                  Descend(slash == std::string::npos ? "" : path.substr(0, slash), entry));
    const std::string name = path.substr(slash + 1);
    if (mkdirat(parent.get(), name.c_str(), 0700) != 0) {
      if (errno != EEXIST) return Failed(entry);
      return InvalidArgument("entry " + Quoted(entry) + " wants a folder " + Quoted(path) +
                             ", which is a file in the archive");
    }
    UniqueFd made(openat(parent.get(), name.c_str(), kFolder));
    if (!made.valid() || fchmod(made.get(), 0755) != 0) return Failed(entry);
    folders_.insert(path);
    return {};
  }

  Result<UniqueFd> Descend(std::string_view folder, const std::string& entry) const {
    UniqueFd at(fcntl(root_.get(), F_DUPFD_CLOEXEC, 0));
    if (!at.valid()) return Failed(entry);
    while (!folder.empty()) {
      const size_t end = std::min(folder.find('/'), folder.size());
      const std::string name(folder.substr(0, end));
      folder.remove_prefix(std::min(end + 1, folder.size()));
      UniqueFd next(openat(at.get(), name.c_str(), kFolder));
      if (!next.valid()) return Failed(entry);
      at = std::move(next);
    }
    return at;
  }

  std::string directory_;
  UniqueFd root_;
  std::set<std::string> folders_;  // made here
};

}  // namespace

Status Unpack(std::string_view tar, const std::string& directory, const Limits& limits) {
  Unpacker unpacker(directory);
  CAUDAL_TRY(unpacker.Prepare());
  CAUDAL_TRY(
      internal::Walk(tar, limits, [&](const Entry& entry) { return unpacker.Write(entry); }));
  return unpacker.FlushFolders();
}

}  // namespace caudal::archive
