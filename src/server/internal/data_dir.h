#pragma once

/// A data directory and who owns it.

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "base/file.h"
#include "base/status.h"

namespace caudal::server {

/// Holds the exclusive lock on a data directory for as long as it lives. The kernel drops the lock
/// when the process dies, however it dies.
class DataDir {
 public:
  /// Makes the directory and its folders and takes the lock. Errors: kUnavailable when another
  /// server owns it, naming its pid; by errno. A lock that only outlives its owner is waited for,
  /// as long as `wait_more` says so after a pause (by default two seconds).
  static base::Result<DataDir> Claim(const std::string& path);
  static base::Result<DataDir> Claim(const std::string& path,
                                     const std::function<bool()>& wait_more);

  const std::string& path() const { return path_; }
  /// Tells others where the owner listens: {"pid", "http", "version"} in `lock`.
  base::Status Announce(const std::string& http_address) const;
  /// Empties `lock`, so that nobody looks for a server that is gone.
  void Withdraw() const;

 private:
  DataDir(std::string path, base::UniqueFd lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  std::string path_;
  base::UniqueFd lock_;
};

/// Removes published outputs and logs whose attempts `is_known` denies: left by a crash between
/// publishing and commit, or by a deleted run. Safe while steps run. Leaves off once `is_stopping`:
/// what is left goes at the next start.
void SweepFiles(const std::string& data_dir, const std::atomic<bool>& is_stopping,
                const std::function<base::Result<bool>(int64_t attempt_key)>& is_known);

}  // namespace caudal::server
