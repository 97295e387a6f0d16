#include "expr/internal/times.h"

#include <charconv>
#include <chrono>
#include <limits>

#include "expr/internal/evaluate.h"
#include "expr/internal/numbers.h"

namespace caudal::expr {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kFirstSecond = -62135596800;  // 0001-01-01T00:00:00Z
constexpr int64_t kLastSecond = 253402300799;   // 9999-12-31T23:59:59Z

/// Takes `count` digits off the front.
std::optional<int64_t> Digits(std::string_view* text, size_t count) {
  int64_t number = 0;
  if (text->size() < count) return {};
  for (size_t i = 0; i < count; ++i) {
    const char c = (*text)[i];
    if (c < '0' || c > '9') return {};
    number = number * 10 + (c - '0');
  }
  text->remove_prefix(count);
  return number;
}

bool Take(std::string_view* text, char wanted) {
  if (text->empty() || ((*text)[0] != wanted && (*text)[0] != (wanted | 0x20))) return false;
  text->remove_prefix(1);
  return true;
}

/// "+01:30" without the sign, in seconds.
std::optional<int64_t> ClockOffset(std::string_view* text) {
  const auto hours = Digits(text, 2);
  if (!hours || !Take(text, ':')) return {};
  const auto minutes = Digits(text, 2);
  if (!minutes || *hours > 23 || *minutes > 59) return {};
  return *hours * 3600 + *minutes * 60;
}

/// Digits after the point, as nanoseconds; more than nine are cut.
std::optional<int64_t> Fraction(std::string_view* text) {
  int64_t nanos = 0, unit = kSecond / 10;
  size_t count = 0;
  for (; count < text->size() && (*text)[count] >= '0' && (*text)[count] <= '9'; ++count) {
    nanos += unit * ((*text)[count] - '0');
    unit /= 10;
  }
  if (count == 0) return {};
  text->remove_prefix(count);
  return nanos;
}

std::optional<int64_t> Date(std::string_view* text) {
  using namespace std::chrono;
  const auto y = Digits(text, 4);
  if (!y || !Take(text, '-')) return {};
  const auto m = Digits(text, 2);
  if (!m || !Take(text, '-')) return {};
  const auto d = Digits(text, 2);
  if (!d) return {};
  const year_month_day date{year(static_cast<int>(*y)), month(static_cast<unsigned>(*m)),
                            day(static_cast<unsigned>(*d))};
  if (!date.ok()) return {};
  return int64_t{sys_days(date).time_since_epoch().count()} * 86400;
}

std::optional<int64_t> Clock(std::string_view* text) {
  const auto hours = Digits(text, 2);
  if (!hours || !Take(text, ':')) return {};
  const auto minutes = Digits(text, 2);
  if (!minutes || !Take(text, ':')) return {};
  const auto seconds = Digits(text, 2);
  if (!seconds || *hours > 23 || *minutes > 59 || *seconds > 59) return {};
  return *hours * 3600 + *minutes * 60 + *seconds;
}

std::string Padded(int64_t number, size_t width) {
  std::string text = std::to_string(number);
  return std::string(width > text.size() ? width - text.size() : 0, '0') + text;
}

struct Unit {
  std::string_view name;
  int64_t nanos;
};
constexpr Unit kUnits[] = {{"ns", 1},           {"us", 1000},         {"µs", 1000},
                           {"μs", 1000},        {"ms", 1'000'000},    {"s", kSecond},
                           {"m", 60 * kSecond}, {"h", 3600 * kSecond}};

/// Takes the unit off the front: all letters up to the next number.
std::optional<int64_t> TakeUnit(std::string_view* text) {
  const std::string_view name = text->substr(0, text->find_first_of("0123456789."));
  for (const Unit& unit : kUnits) {
    if (unit.name != name) continue;
    text->remove_prefix(name.size());
    return unit.nanos;
  }
  return {};
}

/// One "1.5h" of a duration, in nanoseconds.
std::optional<__int128> Part(std::string_view* text) {
  __int128 whole = 0;
  size_t count = 0;
  const auto digit = [&] { return !text->empty() && (*text)[0] >= '0' && (*text)[0] <= '9'; };
  for (; digit(); ++count, text->remove_prefix(1)) {
    whole = whole * 10 + ((*text)[0] - '0');
    if (whole > std::numeric_limits<int64_t>::max()) return {};
  }
  std::string fraction = "0.";
  if (Take(text, '.')) {
    for (; digit(); ++count, text->remove_prefix(1)) {
      if (fraction.size() < 20) fraction.push_back((*text)[0]);
    }
  }
  const auto unit = count > 0 ? TakeUnit(text) : std::nullopt;
  if (!unit) return {};
  const long double part = std::stold(fraction + "0") * static_cast<long double>(*unit);
  return whole * *unit + static_cast<int64_t>(part);
}

base::Status NoTimestamp(std::string_view text) {
  return base::InvalidArgument("type conversion error: '" + std::string(text.substr(0, 64)) +
                               "' is no RFC 3339 time in the range of years 1 to 9999");
}

struct Civil {
  std::chrono::year_month_day date;
  std::chrono::sys_days day;
  int64_t second_of_day;
};

Civil CivilOf(int64_t seconds) {
  using namespace std::chrono;
  const int64_t days_since = seconds >= 0 ? seconds / 86400 : -((86399 - seconds) / 86400);
  const sys_days day{days(days_since)};
  return {year_month_day(day), day, seconds - days_since * 86400};
}

int64_t FieldOf(Function function, const Civil& civil, int32_t nanos) {
  using namespace std::chrono;
  switch (function) {
    case Function::kGetFullYear:
      return static_cast<int>(civil.date.year());
    case Function::kGetMonth:
      return static_cast<unsigned>(civil.date.month()) - 1;
    case Function::kGetDate:
      return static_cast<unsigned>(civil.date.day());
    case Function::kGetDayOfMonth:
      return static_cast<unsigned>(civil.date.day()) - 1;
    case Function::kGetDayOfWeek:
      return weekday(civil.day).c_encoding();
    case Function::kGetDayOfYear:
      return (civil.day - sys_days(civil.date.year() / January / 1)).count();
    case Function::kGetHours:
      return civil.second_of_day / 3600;
    case Function::kGetMinutes:
      return civil.second_of_day / 60 % 60;
    case Function::kGetSeconds:
      return civil.second_of_day % 60;
    default:
      return nanos / 1'000'000;
  }
}

Outcome DurationField(const Node& call, const std::vector<Value>& arguments) {
  const int64_t nanos = arguments[0].duration().nanos;
  if (arguments.size() > 1) return NoOverload(call, arguments);
  switch (call.function) {
    case Function::kGetHours:
      return Value::OfInt(nanos / (3600 * kSecond));
    case Function::kGetMinutes:
      return Value::OfInt(nanos / (60 * kSecond));
    case Function::kGetSeconds:
      return Value::OfInt(nanos / kSecond);
    case Function::kGetMilliseconds:
      return Value::OfInt(nanos / 1'000'000);
    default:
      return NoOverload(call, arguments);
  }
}

}  // namespace

base::Result<Timestamp> MakeTimestamp(int64_t seconds, int64_t nanos) {
  seconds += nanos / kSecond;
  nanos %= kSecond;
  if (nanos < 0) {
    nanos += kSecond;
    --seconds;
  }
  if (seconds < kFirstSecond || seconds > kLastSecond) {
    return base::InvalidArgument("timestamp out of range: years 1 to 9999");
  }
  return Timestamp{seconds, static_cast<int32_t>(nanos)};
}

base::Result<Timestamp> ParseTimestamp(std::string_view whole) {
  std::string_view text = whole;
  const auto date = Date(&text);
  if (!date || !Take(&text, 'T')) return NoTimestamp(whole);
  const auto clock = Clock(&text);
  if (!clock) return NoTimestamp(whole);
  std::optional<int64_t> nanos = 0;
  if (Take(&text, '.')) nanos = Fraction(&text);
  std::optional<int64_t> offset = 0;
  if (!Take(&text, 'Z')) {
    const bool east = text.starts_with('+');
    if (!east && !text.starts_with('-')) return NoTimestamp(whole);
    text.remove_prefix(1);
    offset = ClockOffset(&text);
    if (offset && !east) offset = -*offset;
  }
  if (!nanos || !offset || !text.empty()) return NoTimestamp(whole);
  return MakeTimestamp(*date + *clock - *offset, *nanos);
}

std::string TimestampText(const Timestamp& time) {
  const Civil civil = CivilOf(time.seconds);
  const auto field = [&](Function function) { return FieldOf(function, civil, time.nanos); };
  std::string text =
      Padded(field(Function::kGetFullYear), 4) + "-" + Padded(field(Function::kGetMonth) + 1, 2) +
      "-" + Padded(field(Function::kGetDate), 2) + "T" + Padded(field(Function::kGetHours), 2) +
      ":" + Padded(field(Function::kGetMinutes), 2) + ":" + Padded(field(Function::kGetSeconds), 2);
  if (time.nanos != 0) {
    std::string fraction = Padded(time.nanos, 9);
    fraction.resize(fraction.find_last_not_of('0') + 1);
    text += "." + fraction;
  }
  return text + "Z";
}

base::Result<Duration> ParseDuration(std::string_view whole) {
  const auto fault = [&] {
    return base::InvalidArgument("type conversion error: '" + std::string(whole.substr(0, 64)) +
                                 "' is no duration such as '1h30m' in the range of 292 years");
  };
  std::string_view text = whole;
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text == "0") return Duration{};
  if (text.empty()) return fault();
  __int128 nanos = 0;
  while (!text.empty()) {
    const auto part = Part(&text);
    if (!part) return fault();
    nanos += *part;
    if (nanos > std::numeric_limits<int64_t>::max()) return fault();
  }
  return Duration{static_cast<int64_t>(negative ? -nanos : nanos)};
}

std::string DurationText(const Duration& duration) {
  // seconds and the rest apart, as Go does, so that whole seconds stay whole
  const double seconds = static_cast<double>(duration.nanos / kSecond) +
                         static_cast<double>(duration.nanos % kSecond) / 1e9;
  return FixedText(seconds) + "s";
}

Outcome ApplyTime(const Node& call, const std::vector<Value>& arguments, Budget& budget) {
  if (arguments[0].Is(Kind::kDuration)) return DurationField(call, arguments);
  if (!arguments[0].Is(Kind::kTimestamp)) return NoOverload(call, arguments);
  const Timestamp& time = arguments[0].timestamp();
  int64_t offset = 0;
  if (arguments.size() > 1) {
    if (!arguments[1].Is(Kind::kString)) return NoOverload(call, arguments);
    if (!budget.Step(1000)) return budget.Error();  // it reads a file
    CAUDAL_ASSIGN(offset, ZoneOffset(arguments[1].text(), time.seconds));
  }
  return Value::OfInt(FieldOf(call.function, CivilOf(time.seconds + offset), time.nanos));
}

}  // namespace caudal::expr
