#pragma once

/// What one evaluation may cost.

#include <cstdint>

#include "base/status.h"

namespace caudal::expr {

/// Counts down; once it is spent it stays so, and nothing absorbs that error.
class Budget {
 public:
  static constexpr int64_t kSteps = 1'000'000;
  static constexpr int64_t kBytes = 64 << 20;

  /// False when there is nothing left.
  bool Step(int64_t steps = 1) {
    steps_ -= steps;
    return steps_ >= 0;
  }
  /// For reading through `bytes` of text.
  bool Scan(size_t bytes) { return Step(1 + static_cast<int64_t>(bytes / 1024)); }
  /// For making `bytes` of new text or elements.
  bool Produce(size_t bytes) {
    bytes_ -= static_cast<int64_t>(bytes);
    return bytes_ >= 0 && Scan(bytes);
  }

  bool spent() const { return steps_ < 0 || bytes_ < 0; }
  base::Status Error() const {
    return base::InvalidArgument(
        bytes_ < 0 ? "the expression makes more than 64 MiB of data"
                   : "the expression takes more than 1,000,000 steps over these values");
  }

 private:
  int64_t steps_ = kSteps;
  int64_t bytes_ = kBytes;
};

}  // namespace caudal::expr
