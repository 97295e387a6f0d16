// The texts of numbers, as Go's strconv reads and writes them.

#include "expr/internal/numbers.h"

#include <charconv>
#include <cmath>

namespace caudal::expr {
namespace {

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  }
  return lower;
}

/// Digits and exponent of the shortest text that reads back as `number`: "1.5e+06".
std::string Scientific(double number) {
  char buffer[64];
  const auto end =
      std::to_chars(buffer, buffer + sizeof buffer, number, std::chars_format::scientific);
  return {buffer, end.ptr};
}

}  // namespace

std::string FixedText(double number) {
  char buffer[400];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, number, std::chars_format::fixed);
  return {buffer, end.ptr};
}

std::string DoubleText(double number) {
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number > 0 ? "+Inf" : "-Inf";
  const std::string scientific = Scientific(number);
  const size_t e = scientific.find('e');
  int exponent = 0;
  const char* digits = scientific.data() + e + 1;
  if (*digits == '+') ++digits;
  std::from_chars(digits, scientific.data() + scientific.size(), exponent);
  return exponent < -4 || exponent >= 6 ? scientific : FixedText(number);
}

std::optional<double> ParseDouble(std::string_view text) {
  const bool negative = !text.empty() && text[0] == '-';
  if (negative || (!text.empty() && text[0] == '+')) text.remove_prefix(1);
  const std::string lower = Lower(text);
  double number = 0;
  if (lower == "inf" || lower == "infinity") {
    number = HUGE_VAL;
  } else if (lower == "nan") {
    number = std::nan("");
  } else {
    const bool hex = lower.starts_with("0x");
    const std::string digits = hex ? lower.substr(2) : lower;
    if (digits.empty() || digits[0] == '-' || digits[0] == 'i' || digits[0] == 'n') return {};
    if (hex && digits.find('p') == std::string::npos) return {};
    const char* end = digits.data() + digits.size();
    const auto read = std::from_chars(digits.data(), end, number,
                                      hex ? std::chars_format::hex : std::chars_format::general);
    const bool small =
        read.ec == std::errc::result_out_of_range &&
        (digits.find("e-") != std::string::npos || digits.find("p-") != std::string::npos);
    if (read.ptr != end || (read.ec != std::errc() && !small)) return {};
    if (small) number = 0;
  }
  return negative ? -number : number;
}

}  // namespace caudal::expr
