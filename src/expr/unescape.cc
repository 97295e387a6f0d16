#include <cstdint>

#include "expr/internal/lexer.h"

namespace caudal::expr {
namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

void AppendUtf8(uint32_t code, std::string* out) {
  if (code < 0x80) {
    out->push_back(static_cast<char>(code));
  } else if (code < 0x800) {
    out->push_back(static_cast<char>(0xC0 | code >> 6));
    out->push_back(static_cast<char>(0x80 | (code & 0x3F)));
  } else if (code < 0x10000) {
    out->push_back(static_cast<char>(0xE0 | code >> 12));
    out->push_back(static_cast<char>(0x80 | (code >> 6 & 0x3F)));
    out->push_back(static_cast<char>(0x80 | (code & 0x3F)));
  } else {
    out->push_back(static_cast<char>(0xF0 | code >> 18));
    out->push_back(static_cast<char>(0x80 | (code >> 12 & 0x3F)));
    out->push_back(static_cast<char>(0x80 | (code >> 6 & 0x3F)));
    out->push_back(static_cast<char>(0x80 | (code & 0x3F)));
  }
}

/// What the single letter after a backslash stands for, or 0.
char SimpleEscape(char c) {
  switch (c) {
    case 'a':
      return '\a';
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'v':
      return '\v';
    case '\\':
    case '?':
    case '"':
    case '\'':
    case '`':
      return c;
    default:
      return 0;
  }
}

/// `count` digits of `base` at the start of `text`.
std::optional<uint32_t> Digits(std::string_view text, size_t count, int base) {
  if (text.size() < count) return {};
  uint32_t number = 0;
  for (size_t i = 0; i < count; ++i) {
    const int digit = HexDigit(text[i]);
    if (digit < 0 || digit >= base) return {};
    number = number * static_cast<uint32_t>(base) + static_cast<uint32_t>(digit);
  }
  return number;
}

struct NumericEscape {
  size_t skipped;  // letters before the digits
  size_t digits;
  int base;
};

std::optional<NumericEscape> NumericEscapeOf(char c, bool bytes) {
  if (c == 'x' || c == 'X') return NumericEscape{1, 2, 16};
  if (c >= '0' && c <= '3') return NumericEscape{0, 3, 8};
  if (c == 'u' && !bytes) return NumericEscape{1, 4, 16};
  if (c == 'U' && !bytes) return NumericEscape{1, 8, 16};
  return {};
}

}  // namespace

std::optional<std::string> Unescape(std::string_view inside, bool bytes, std::string* why) {
  std::string out;
  for (size_t i = 0; i < inside.size(); ++i) {
    if (inside[i] != '\\') {
      out.push_back(inside[i]);
      continue;
    }
    const std::string_view rest = inside.substr(i + 1);
    if (rest.empty()) {
      *why = "a backslash with nothing after it";
      return {};
    }
    if (const char simple = SimpleEscape(rest[0])) {
      out.push_back(simple);
      ++i;
      continue;
    }
    const auto escape = NumericEscapeOf(rest[0], bytes);
    const auto code =
        escape ? Digits(rest.substr(escape->skipped), escape->digits, escape->base) : std::nullopt;
    if (!code || (!bytes && (*code > 0x10FFFF || (*code >= 0xD800 && *code < 0xE000)))) {
      *why = "'\\" + std::string(1, rest[0]) + "' is no escape here; a backslash itself is '\\\\'";
      if (static_cast<unsigned char>(rest[0]) >= 0x80) *why = "a backslash itself is '\\\\'";
      return {};
    }
    if (bytes) {
      out.push_back(static_cast<char>(*code));
    } else {
      AppendUtf8(*code, &out);
    }
    i += escape->skipped + escape->digits;
  }
  return out;
}

}  // namespace caudal::expr
