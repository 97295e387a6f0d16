#include <charconv>

#include "expr/internal/lexer.h"

namespace caudal::expr {
namespace {

template <typename T>
base::Result<T> Whole(const std::string& digits, int base) {
  T number = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), number, base);
  if (read.ec == std::errc()) return number;
  return base::InvalidArgument("this number does not fit into 64 bits");
}

base::Result<double> Real(const std::string& digits) {
  double number = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  // too small is zero, which is what stays in `number`
  const bool small = digits.find_first_of("eE") != std::string::npos &&
                     digits[digits.find_first_of("eE") + 1] == '-';
  if (read.ec == std::errc() || small) return number;
  return base::InvalidArgument("this number is too large");
}

}  // namespace

Outcome NumberOf(const Token& token, const std::string& sign) {
  if (token.kind == TokenKind::kDouble) {
    CAUDAL_ASSIGN(const double number, Real(sign + (token.text[0] == '.' ? "0" : "") + token.text));
    return Value::OfDouble(number);
  }
  const bool hex = token.text.size() > 2 && (token.text[1] | 0x20) == 'x';
  const std::string digits = sign + (hex ? token.text.substr(2) : token.text);
  if (token.kind == TokenKind::kUint) {
    CAUDAL_ASSIGN(const uint64_t number, Whole<uint64_t>(digits, hex ? 16 : 10));
    return Value::OfUint(number);
  }
  CAUDAL_ASSIGN(const int64_t number, Whole<int64_t>(digits, hex ? 16 : 10));
  return Value::OfInt(number);
}

}  // namespace caudal::expr
