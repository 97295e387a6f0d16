#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>

#include "wire/internal/text.h"
#include "wire/json.h"

namespace caudal::wire {
namespace internal {
namespace {

/// Length of the UTF-8 sequence at the front of `text`, 0 when it is not one.
size_t Utf8Length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  const size_t length = first < 0x80   ? 1
                        : first < 0xC2 ? 0
                        : first < 0xE0 ? 2
                        : first < 0xF0 ? 3
                                       : 4;
  if (length == 0 || first > 0xF4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const bool overlong = (first == 0xE0 && byte(1) < 0xA0) || (first == 0xF0 && byte(1) < 0x90);
  const bool beyond = (first == 0xED && byte(1) > 0x9F) || (first == 0xF4 && byte(1) > 0x8F);
  return overlong || beyond ? 0 : length;
}

/// Length of the run at the front that no JSON text escapes: nearly everything, so copied in one
/// go.
size_t PlainLength(std::string_view text) {
  const auto is_plain = [](unsigned char c) {
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&';
  };
  size_t length = 0;
  while (length < text.size() && is_plain(static_cast<unsigned char>(text[length]))) ++length;
  return length;
}

void AppendUnicodeEscape(unsigned code, std::string* out) {
  static constexpr char kHex[] = "0123456789abcdef";
  *out += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) *out += kHex[(code >> shift) & 0xF];
}

void AppendAscii(char c, HtmlEscapes html, std::string* out) {
  switch (c) {
    case '"':
      *out += "\\\"";
      return;
    case '\\':
      *out += "\\\\";
      return;
    case '\b':
      *out += "\\b";
      return;
    case '\f':
      *out += "\\f";
      return;
    case '\n':
      *out += "\\n";
      return;
    case '\r':
      *out += "\\r";
      return;
    case '\t':
      *out += "\\t";
      return;
    default:
      break;
  }
  const bool is_html = c == '<' || c == '>' || c == '&';
  if (static_cast<unsigned char>(c) < 0x20 || (is_html && html == HtmlEscapes::kYes)) {
    AppendUnicodeEscape(static_cast<unsigned char>(c), out);
  } else {
    *out += c;
  }
}

/// Shortest decimal digits of a finite number, and where the point stands: 0.d1d2d3… × 10^point.
struct Decimal {
  bool negative = false;
  std::string digits;
  int point = 0;
};

template <typename Float>
Decimal Shortest(Float number) {
  std::array<char, 64> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), std::abs(number),
                                 std::chars_format::scientific)
                       .ptr;
  const std::string_view text(buffer.data(), static_cast<size_t>(end - buffer.data()));
  const size_t exponent = text.find('e');
  Decimal decimal{std::signbit(number), std::string(text.substr(0, exponent)), 0};
  std::erase(decimal.digits, '.');
  const size_t sign = text[exponent + 1] == '+' ? exponent + 2 : exponent + 1;
  std::from_chars(text.data() + sign, text.data() + text.size(), decimal.point);
  ++decimal.point;
  return decimal;
}

std::string Plain(const Decimal& decimal) {
  std::string text = decimal.negative ? "-" : "";
  const int count = static_cast<int>(decimal.digits.size());
  if (decimal.point <= 0) {
    text += "0";
    if (decimal.digits != "0") text += "." + std::string(-decimal.point, '0') + decimal.digits;
  } else if (decimal.point >= count) {
    text += decimal.digits + std::string(decimal.point - count, '0');
  } else {
    text += decimal.digits.substr(0, decimal.point) + "." + decimal.digits.substr(decimal.point);
  }
  return text;
}

std::string WithExponent(const Decimal& decimal) {
  std::string text = decimal.negative ? "-" : "";
  text += decimal.digits[0];
  if (decimal.digits.size() > 1) text += "." + decimal.digits.substr(1);
  const int exponent = decimal.point - 1;
  return text + (exponent < 0 ? "e-" : "e+") + std::to_string(std::abs(exponent));
}

template <typename Float>
void AppendFloat(Float number, std::string* out) {
  const Float size = std::abs(number);
  const bool exponent = size != 0 && (size < Float(1e-6) || size >= Float(1e21));
  *out += exponent ? WithExponent(Shortest(number)) : Plain(Shortest(number));
}

int Base64Digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+' || c == '-') return 62;
  if (c == '/' || c == '_') return 63;
  return -1;
}

}  // namespace

void AppendString(std::string_view text, HtmlEscapes html, std::string* out) {
  *out += '"';
  while (!text.empty()) {
    const size_t plain = PlainLength(text);
    out->append(text.substr(0, plain));
    text.remove_prefix(plain);
    if (text.empty()) break;
    const size_t length = Utf8Length(text);
    if (length == 1) {
      AppendAscii(text[0], html, out);
    } else if (length == 0) {
      *out += "\xEF\xBF\xBD";
    } else if (html == HtmlEscapes::kYes && text.substr(0, 2) == "\xE2\x80" &&
               (text[2] == '\xA8' || text[2] == '\xA9')) {
      AppendUnicodeEscape(text[2] == '\xA8' ? 0x2028 : 0x2029, out);
    } else {
      out->append(text.substr(0, length));
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  *out += '"';
}

void AppendNumber(double number, std::string* out) { AppendFloat(number, out); }
void AppendNumber(float number, std::string* out) { AppendFloat(number, out); }

std::string Base64(std::string_view bytes) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = 0;
    for (size_t j = 0; j < 3; ++j) {
      group = group << 8 | (j < count ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    }
    for (size_t j = 0; j < 4; ++j) {
      text += j <= count ? kDigits[(group >> (18 - 6 * j)) & 63] : '=';
    }
  }
  return text;
}

bool ParseBase64(std::string_view text, std::string* bytes) {
  bytes->clear();
  const size_t size =
      text.find_last_not_of('=') == std::string_view::npos ? 0 : text.find_last_not_of('=') + 1;
  const size_t padding = text.size() - size;
  if (size % 4 == 1 || padding > 2 || (padding > 0 && text.size() % 4 != 0)) return false;
  uint32_t group = 0;
  int bits = 0;
  for (const char c : text.substr(0, size)) {
    const int digit = Base64Digit(c);
    if (digit < 0) return false;
    group = (group << 6 | static_cast<uint32_t>(digit)) & 0xFFFFFF;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    *bytes += static_cast<char>((group >> bits) & 0xFF);
  }
  return true;
}

}  // namespace internal

std::string NumberText(double number) {
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number < 0 ? "-Inf" : "+Inf";
  return internal::Plain(internal::Shortest(number));
}

}  // namespace caudal::wire
