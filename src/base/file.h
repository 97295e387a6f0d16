#pragma once

/// Files and descriptors: owning handles, whole-file reads, crash-safe writes.
///
/// Every function blocks. Paths are the caller's own; nothing here makes a user's text safe as a
/// path.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace caudal::base {

/// Owns one file descriptor; closes it when destroyed.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.Release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept;
  ~UniqueFd() { Reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int Release();
  void Reset(int fd = -1);

 private:
  int fd_ = -1;
};

/// The whole file. Errors: kNotFound; kResourceExhausted beyond `max_bytes`; others by errno.
Result<std::string> ReadFile(const std::string& path, int64_t max_bytes = 1LL << 31);

/// Replaces `path` by `data` so that a crash leaves the old or the new content, never a part: write
/// beside it, fsync, rename, fsync of the directory.
Status WriteFileAtomic(const std::string& path, std::string_view data, unsigned mode = 0600);

/// Creates `path` and missing parents. OK when it is there already.
Status MakeDirs(const std::string& path, unsigned mode = 0700);

/// Removes a file or a whole tree, following no symlink; OK when nothing is there.
Status RemoveTree(const std::string& path);

/// Flushes a directory's entries to disk.
Status SyncDir(const std::string& path);

/// Renames and flushes both parent directories. Errors: kNotFound, kAlreadyExists, by errno.
Status RenameDurably(const std::string& from, const std::string& to);

bool PathExists(const std::string& path);

/// Names in a directory, sorted, without "." and "..". Errors: kNotFound, by errno.
Result<std::vector<std::string>> ListDir(const std::string& path);

}  // namespace caudal::base
