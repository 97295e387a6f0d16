#pragma once

/// Time as a value, and the clock as an interface, so that tests own time.

#include <chrono>
#include <string>

namespace caudal::base {

/// UTC, microseconds since 1970. Stored as int64 microseconds.
using Time = std::chrono::sys_time<std::chrono::microseconds>;
using Duration = std::chrono::microseconds;

inline Time TimeFromMicros(int64_t micros) { return Time(Duration(micros)); }
inline int64_t ToMicros(Time time) { return time.time_since_epoch().count(); }

/// "2026-01-31T12:00:00Z": RFC 3339, UTC, whole seconds.
std::string FormatRfc3339(Time time);

/// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Time Now() const = 0;
};

/// The machine's wall clock.
class SystemClock final : public Clock {
 public:
  Time Now() const override;
};

}  // namespace caudal::base
