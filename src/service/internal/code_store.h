#pragma once

/// Snapshots of users' code in `<data_dir>/code/<sha256>/`: unpacked once, never changed.

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

#include "base/status.h"

namespace caudal::service {

/// Thread-safe: adding the same snapshot at the same time makes it once.
class CodeStore {
 public:
  explicit CodeStore(std::string directory) : directory_(std::move(directory)) {}

  /// Whether the snapshot is there; it is not swept for an hour then.
  bool Has(const std::string& sha256) const;

  /// Unpacks `tar`, whose digest must be `sha256`, and makes it read-only. OK when it is there.
  /// Errors: kInvalidArgument for another digest, a broken or hostile archive, or one over a limit;
  /// by errno.
  base::Status Add(const std::string& sha256, std::string_view tar) const;

  /// Removes what `is_used` denies and nobody has asked for in the last hour, and what a crash left
  /// half-made.
  void Sweep(const std::atomic<bool>& is_stopping,
             const std::function<base::Result<bool>(const std::string& sha256)>& is_used) const;

 private:
  base::Status Unpack(const std::string& temporary, const std::string& sha256,
                      std::string_view tar) const;

  // From here on nobody asks for it any more, or it stays.
  bool SetAside(const std::string& path, const std::string& doomed) const;

  std::string directory_;
  mutable std::mutex mutex_;  // between asking for a snapshot and setting it aside
};

}  // namespace caudal::service
