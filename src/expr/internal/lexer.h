#pragma once

/// The text of an expression as tokens.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "expr/internal/value.h"

namespace caudal::expr {

enum class TokenKind {
  kEnd,
  kBad,         ///< `text` says why
  kIdentifier,  ///< reserved words, true, false, null and in, too
  kQuoted,      ///< `a-b`: the name of a field, without the back-ticks
  kInt,         ///< as spelled: "12", "0x1F"
  kUint,        ///< without the u
  kDouble,
  kString,  ///< what it stands for
  kBytes,
  kSign,  ///< an operator or bracket
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  size_t offset = 0;
  size_t length = 0;
  std::string text;
};

/// All tokens, with kEnd or kBad as the last.
std::vector<Token> Tokenize(std::string_view text);

/// What stands between the quotes of a string or bytes literal, with its escapes resolved; nothing
/// and `*why` when one is wrong.
std::optional<std::string> Unescape(std::string_view inside, bool bytes, std::string* why);

/// What a token of a number stands for, with `sign` ("" or "-") before it. Errors: too large.
Outcome NumberOf(const Token& token, const std::string& sign);

}  // namespace caudal::expr
