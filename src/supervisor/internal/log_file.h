#pragma once

/// A step's log: raw bytes in one file, and beside it an index from offsets to times.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/status.h"

namespace caudal::supervisor::internal {

/// Appends to `path`. `path`.idx gets a 16-byte entry, little-endian (offset, microseconds since
/// 1970), for the first bytes of every tenth of a second in which something was written.
///
/// A full disk loses output and nothing else: writing is tried again with the next bytes, and a
/// line in the log says how much is missing.
class LogFile {
 public:
  /// Opens for appending, mode 0600, parents made. `limit` counts the whole file; 0: none.
  static base::Result<LogFile> Open(const std::string& path, int64_t limit);

  void Append(std::string_view data, int64_t now_micros);
  /// More was written than the limit allows; what exceeds it is dropped.
  bool over_limit() const { return over_limit_; }

 private:
  LogFile() = default;
  bool Write(std::string_view data);
  void NoteTime(int64_t offset, int64_t now_micros);
  void NoteLoss();

  std::string path_;
  base::UniqueFd file_;
  base::UniqueFd index_;
  int64_t limit_ = 0;
  int64_t size_ = 0;
  int64_t lost_ = 0;
  int64_t last_entry_micros_ = 0;
  bool over_limit_ = false;
  bool complained_ = false;
};

}  // namespace caudal::supervisor::internal
