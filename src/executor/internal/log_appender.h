#pragma once

/// Appends to a step's log before the step itself writes there.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/file.h"

namespace caudal::executor::internal {

/// Makes the file when there is something to write, and stops at `limit`. Not thread-safe.
class LogAppender {
 public:
  LogAppender(std::string path, int64_t limit) : path_(std::move(path)), left_(limit) {}
  void Append(std::string_view text);

 private:
  std::string path_;
  int64_t left_;
  base::UniqueFd fd_;
};

}  // namespace caudal::executor::internal
