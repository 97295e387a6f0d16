#include <charconv>
#include <chrono>
#include <cstdio>
#include <optional>

#include "wire/internal/text.h"

namespace caudal::wire::internal {
namespace {

constexpr int64_t kMaxDurationSeconds =
    315'576'000'000;  // about 10,000 years, as protobuf bounds it

/// ".5" → ".500", ".000001" → ".000001": thousands, millions or billions of a second; none → "".
std::string Fraction(int32_t nanos) {
  if (nanos == 0) return "";
  char buffer[16];
  std::snprintf(buffer, sizeof buffer, ".%09d", nanos);
  std::string text = buffer;
  while (text.size() > 4 && text.ends_with("000")) text.resize(text.size() - 3);
  return text;
}

/// Exactly `count` digits from the front of `text`, which is shortened.
std::optional<int> TakeDigits(std::string_view* text, size_t count) {
  if (text->size() < count) return std::nullopt;
  int number = 0;
  for (const char c : text->substr(0, count)) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + (c - '0');
  }
  text->remove_prefix(count);
  return number;
}

bool Take(std::string_view* text, std::string_view any_of) {
  if (text->empty() || any_of.find(text->front()) == std::string_view::npos) return false;
  text->remove_prefix(1);
  return true;
}

/// ".25" from the front as nanoseconds; 0 when there is no point; nothing when it is malformed.
std::optional<int32_t> TakeFraction(std::string_view* text) {
  if (!Take(text, ".")) return 0;
  int32_t nanos = 0;
  int count = 0;
  while (!text->empty() && text->front() >= '0' && text->front() <= '9') {
    if (++count > 9) return std::nullopt;
    nanos = nanos * 10 + (text->front() - '0');
    text->remove_prefix(1);
  }
  if (count == 0) return std::nullopt;
  for (; count < 9; ++count) nanos *= 10;
  return nanos;
}

std::optional<std::chrono::sys_days> TakeDate(std::string_view* text) {
  const auto year = TakeDigits(text, 4);
  if (!year || !Take(text, "-")) return std::nullopt;
  const auto month = TakeDigits(text, 2);
  if (!month || !Take(text, "-")) return std::nullopt;
  const auto day = TakeDigits(text, 2);
  if (!day) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok() || *year == 0) return std::nullopt;
  return std::chrono::sys_days(date);
}

/// "hh:mm" as seconds.
std::optional<int> TakeHoursAndMinutes(std::string_view* text) {
  const auto hours = TakeDigits(text, 2);
  if (!hours || *hours > 23 || !Take(text, ":")) return std::nullopt;
  const auto minutes = TakeDigits(text, 2);
  if (!minutes || *minutes > 59) return std::nullopt;
  return *hours * 3600 + *minutes * 60;
}

std::optional<int> TakeOffset(std::string_view* text) {
  if (Take(text, "Zz")) return 0;
  const int sign = !text->empty() && text->front() == '-' ? -1 : 1;
  if (!Take(text, "+-")) return std::nullopt;
  const auto offset = TakeHoursAndMinutes(text);
  if (!offset) return std::nullopt;
  return sign * *offset;
}

}  // namespace

std::string TimestampText(const google::protobuf::Timestamp& time) {
  const std::chrono::sys_seconds at{std::chrono::seconds(time.seconds())};
  const auto day = std::chrono::floor<std::chrono::days>(at);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(at - day);
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%04d-%02u-%02uT%02d:%02d:%02d",
                static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()), static_cast<int>(clock.hours().count()),
                static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()));
  return buffer + Fraction(time.nanos()) + "Z";
}

bool ParseTimestamp(std::string_view text, google::protobuf::Timestamp* time) {
  const auto date = TakeDate(&text);
  if (!date || !Take(&text, "Tt")) return false;
  const auto minutes = TakeHoursAndMinutes(&text);
  if (!minutes || !Take(&text, ":")) return false;
  const auto seconds = TakeDigits(&text, 2);
  if (!seconds || *seconds > 59) return false;
  const auto nanos = TakeFraction(&text);
  if (!nanos) return false;
  const auto offset = TakeOffset(&text);
  if (!offset || !text.empty()) return false;

  const auto days = std::chrono::sys_seconds(*date).time_since_epoch().count();
  time->set_seconds(days + *minutes + *seconds - *offset);
  time->set_nanos(*nanos);
  return true;
}

std::string DurationText(const google::protobuf::Duration& duration) {
  const bool negative = duration.seconds() < 0 || duration.nanos() < 0;
  const int32_t nanos = duration.nanos() < 0 ? -duration.nanos() : duration.nanos();
  const int64_t seconds = duration.seconds() < 0 ? -duration.seconds() : duration.seconds();
  return (negative ? "-" : "") + std::to_string(seconds) + Fraction(nanos) + "s";
}

bool ParseDuration(std::string_view text, google::protobuf::Duration* duration) {
  const int sign = !text.empty() && text.front() == '-' ? -1 : 1;
  if (sign < 0) text.remove_prefix(1);
  if (text.empty() || text.front() < '0' || text.front() > '9') return false;
  int64_t seconds = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (read.ec != std::errc() || seconds > kMaxDurationSeconds) return false;
  text.remove_prefix(static_cast<size_t>(read.ptr - text.data()));
  const auto nanos = TakeFraction(&text);
  if (!nanos || text != "s") return false;
  duration->set_seconds(sign * seconds);
  duration->set_nanos(sign * *nanos);
  return true;
}

}  // namespace caudal::wire::internal
