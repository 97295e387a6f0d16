#pragma once

/// A clock that moves only when a test says so.

#include <atomic>

#include "base/clock.h"

namespace caudal::base {

class FakeClock final : public Clock {
 public:
  explicit FakeClock(Time start = TimeFromMicros(1'767'322'800'000'000)) : now_(ToMicros(start)) {}

  Time Now() const override { return TimeFromMicros(now_.load()); }
  void Advance(Duration by) { now_ += by.count(); }

 private:
  std::atomic<int64_t> now_;
};

}  // namespace caudal::base
