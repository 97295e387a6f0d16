#pragma once

/// Points in time and spans of it, as expressions have them.

#include <string>
#include <string_view>

#include "base/status.h"
#include "expr/internal/value.h"

namespace caudal::expr {

/// Errors: outside the years 1 to 9999.
base::Result<Timestamp> MakeTimestamp(int64_t seconds, int64_t nanos);

/// RFC 3339.
base::Result<Timestamp> ParseTimestamp(std::string_view text);
std::string TimestampText(const Timestamp& time);

/// "1h30m", "-1.5s", "250ms": at most 2^63 nanoseconds.
base::Result<Duration> ParseDuration(std::string_view text);
std::string DurationText(const Duration& duration);

/// What a zone's clocks show ahead of UTC at that time, in seconds. `zone`: "UTC", "+02:00", or a
/// name of the machine's time zone database. Errors: no such zone.
base::Result<int64_t> ZoneOffset(std::string_view zone, int64_t seconds);

}  // namespace caudal::expr
