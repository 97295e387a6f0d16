#include "pyenv/internal/files.h"

#include <fcntl.h>
#include <fts.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "base/file.h"

namespace caudal::pyenv::internal {
namespace {

using base::FromErrno;
using base::Result;
using base::Status;

// The earliest time that zip files can hold: builders that want the same bytes every time use it.
constexpr time_t kOneTime = 315'532'800;
constexpr int64_t kBlock = 512;  // of st_blocks

/// Calls `visit` for everything below `root` but directories a second time. Follows no links.
Status Walk(const std::string& root, const std::function<Status(const FTSENT&)>& visit) {
  char* const roots[] = {const_cast<char*>(root.c_str()), nullptr};
  const std::unique_ptr<FTS, int (*)(FTS*)> walk(
      fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, nullptr), fts_close);
  if (walk == nullptr) return FromErrno(errno, "cannot walk " + root);
  while (const FTSENT* entry = fts_read(walk.get())) {
    if (entry->fts_info == FTS_DP) continue;
    if (entry->fts_info == FTS_ERR || entry->fts_info == FTS_DNR || entry->fts_info == FTS_NS) {
      return FromErrno(entry->fts_errno, std::string("cannot read ") + entry->fts_path);
    }
    CAUDAL_TRY(visit(*entry));
  }
  return {};
}

using FileId = std::pair<dev_t, ino_t>;
struct Names {
  nlink_t seen = 0;
  nlink_t all = 0;
  int64_t bytes = 0;
};

std::map<FileId, Names> NamesBelow(const std::vector<std::string>& roots) {
  std::map<FileId, Names> files;
  for (const std::string& root : roots) {
    // What cannot be read is not counted.
    [[maybe_unused]] const Status walked = Walk(root, [&](const FTSENT& entry) -> Status {
      const struct stat& info = *entry.fts_statp;
      Names& names = files[{info.st_dev, info.st_ino}];
      const bool is_directory = entry.fts_info == FTS_D;
      names.seen = is_directory ? info.st_nlink : names.seen + 1;
      names.all = info.st_nlink;
      names.bytes = info.st_blocks * kBlock;
      return {};
    });
  }
  return files;
}

bool HaveSameBytes(const std::string& one, const std::string& other, off_t size) {
  constexpr size_t kChunk = 1 << 16;
  const base::UniqueFd files[2] = {
      base::UniqueFd(open(one.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC)),
      base::UniqueFd(open(other.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC))};
  if (!files[0].valid() || !files[1].valid()) return false;
  std::string chunks[2] = {std::string(kChunk, '\0'), std::string(kChunk, '\0')};
  for (off_t at = 0; at < size;) {
    ssize_t got[2];
    for (int i : {0, 1}) got[i] = pread(files[i].get(), chunks[i].data(), kChunk, at);
    if (got[0] <= 0 || got[0] != got[1]) return false;
    if (chunks[0].compare(0, got[0], chunks[1], 0, got[0]) != 0) return false;
    at += got[0];
  }
  return true;
}

bool AreAlike(const struct stat& one, const struct stat& other) {
  return one.st_dev == other.st_dev && one.st_size == other.st_size &&
         one.st_mode == other.st_mode && one.st_uid == other.st_uid && one.st_gid == other.st_gid &&
         one.st_mtim.tv_sec == other.st_mtim.tv_sec && one.st_mtim.tv_nsec == other.st_mtim.tv_nsec;
}

/// True when `path` is now another name of `original`.
Result<bool> Link(const std::string& original, const std::string& path, const struct stat& info) {
  struct stat other {};
  if (lstat(original.c_str(), &other) != 0 || !S_ISREG(other.st_mode) || !AreAlike(info, other) ||
      !HaveSameBytes(path, original, info.st_size)) {
    return false;
  }
  if (info.st_ino == other.st_ino) return true;
  const std::string beside = path + ".link";
  // A name too many for the file system, or a file system without such names: not shared.
  if (link(original.c_str(), beside.c_str()) != 0) return false;
  if (rename(beside.c_str(), path.c_str()) != 0) return FromErrno(errno, "cannot rename " + beside);
  return true;
}

}  // namespace

Status GiveTree(const std::string& root, int uid) {
  const auto id = static_cast<uid_t>(uid);
  return Walk(root, [id](const FTSENT& entry) -> Status {
    if (lchown(entry.fts_accpath, id, id) == 0) return {};
    return FromErrno(errno, std::string("cannot give away ") + entry.fts_path);
  });
}

int64_t DiskUsage(const std::string& root) {
  int64_t bytes = 0;
  for (const auto& [id, names] : NamesBelow({root})) bytes += names.bytes;
  return bytes;
}

int64_t FreedBytes(const std::vector<std::string>& roots) {
  int64_t bytes = 0;
  for (const auto& [id, names] : NamesBelow(roots)) {
    if (names.seen >= names.all) bytes += names.bytes;
  }
  return bytes;
}

Status Settle(const std::string& root) {
  return Walk(root, [](const FTSENT& entry) -> Status {
    if (entry.fts_info != FTS_F) return {};
    const timespec times[2] = {{kOneTime, 0}, {kOneTime, 0}};
    constexpr mode_t kWrite = S_IWUSR | S_IWGRP | S_IWOTH;
    const mode_t mode = entry.fts_statp->st_mode & 07777 & ~kWrite;
    if (utimensat(AT_FDCWD, entry.fts_accpath, times, AT_SYMLINK_NOFOLLOW) == 0 &&
        chmod(entry.fts_accpath, mode) == 0) {
      return {};
    }
    return FromErrno(errno, std::string("cannot settle ") + entry.fts_path);
  });
}

Result<int> ShareFiles(const std::string& root, const std::vector<std::string>& others) {
  int shared = 0;
  CAUDAL_TRY(Walk(root, [&](const FTSENT& entry) -> Status {
    if (entry.fts_info != FTS_F || entry.fts_statp->st_size == 0) return {};
    const std::string path = entry.fts_path;
    for (const std::string& other : others) {
      CAUDAL_ASSIGN(const bool linked,
                    Link(other + path.substr(root.size()), path, *entry.fts_statp));
      if (!linked) continue;
      ++shared;
      break;
    }
    return {};
  }));
  return shared;
}

}  // namespace caudal::pyenv::internal
