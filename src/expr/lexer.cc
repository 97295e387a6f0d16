#include "expr/internal/lexer.h"

#include <algorithm>

namespace caudal::expr {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsHex(char c) { return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f'; }
bool IsQuote(char c) { return c == '\'' || c == '"'; }

constexpr std::string_view kQuoteHint =
    "; a quote inside a string must be written with a backslash before it";

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  std::vector<Token> All() {
    do {
      SkipSpace();
      start_ = position_;
      Next();
      tokens_.back().offset = start_;
      tokens_.back().length = position_ - start_;
    } while (tokens_.back().kind != TokenKind::kEnd && tokens_.back().kind != TokenKind::kBad);
    return std::move(tokens_);
  }

 private:
  char Peek(size_t ahead = 0) const {
    return position_ + ahead < text_.size() ? text_[position_ + ahead] : '\0';
  }

  void Add(TokenKind kind, std::string text) {
    tokens_.push_back({.kind = kind, .text = std::move(text)});
  }
  void AddSpelled(TokenKind kind, size_t omitted = 0) {
    Add(kind, std::string(text_.substr(start_, position_ - start_ - omitted)));
  }

  void SkipSpace() {
    while (position_ < text_.size()) {
      if (IsSpace(text_[position_])) {
        ++position_;
      } else if (text_.substr(position_, 2) == "//") {
        position_ = std::min(text_.find('\n', position_), text_.size());
      } else {
        return;
      }
    }
  }

  void Next() {
    if (position_ == text_.size()) return Add(TokenKind::kEnd, "");
    if (const size_t prefix = LiteralPrefix(); prefix != std::string_view::npos) {
      return Literal(prefix);
    }
    const char c = Peek();
    if (IsDigit(c) || (c == '.' && IsDigit(Peek(1)))) return Number();
    if (IsLetter(c)) {
      while (IsLetter(Peek()) || IsDigit(Peek())) ++position_;
      return AddSpelled(TokenKind::kIdentifier);
    }
    if (c == '`') return Quoted();
    Sign();
  }

  /// Letters before a quote that belong to a literal: none, r, b, br.
  size_t LiteralPrefix() const {
    for (const std::string_view prefix : {"", "r", "b", "br"}) {
      bool same = IsQuote(Peek(prefix.size()));
      for (size_t i = 0; same && i < prefix.size(); ++i) same = (Peek(i) | 0x20) == prefix[i];
      if (same) return prefix.size();
    }
    return std::string_view::npos;
  }

  void Literal(size_t prefix) {
    bool raw = false, bytes = false;
    for (size_t i = 0; i < prefix; ++i) {
      if ((Peek(i) | 0x20) == 'r') raw = true;
      if ((Peek(i) | 0x20) == 'b') bytes = true;
    }
    position_ += prefix;
    const char quote = Peek();
    const bool triple = Peek(1) == quote && Peek(2) == quote;
    position_ += triple ? 3 : 1;
    const std::string_view end = text_.substr(position_ - (triple ? 3 : 1), triple ? 3 : 1);
    const size_t inside = position_;
    while (text_.substr(position_, end.size()) != end) {
      const bool line_end = Peek() == '\n' || Peek() == '\r';
      if (position_ >= text_.size() || (line_end && !triple)) {
        return Add(TokenKind::kBad, "this string has no end" + std::string(kQuoteHint));
      }
      position_ += Peek() == '\\' && !raw && position_ + 1 < text_.size() ? 2 : 1;
    }
    AddLiteral(text_.substr(inside, position_ - inside), raw, bytes);
    position_ += end.size();
  }

  void AddLiteral(std::string_view inside, bool raw, bool bytes) {
    const TokenKind kind = bytes ? TokenKind::kBytes : TokenKind::kString;
    if (raw) return Add(kind, std::string(inside));
    std::string why;
    auto text = Unescape(inside, bytes, &why);
    if (!text) return Add(TokenKind::kBad, "in this string: " + why);
    Add(kind, *std::move(text));
  }

  void Number() {
    TokenKind kind = TokenKind::kInt;
    if (Peek() == '0' && (Peek(1) | 0x20) == 'x' && IsHex(Peek(2))) {
      position_ += 2;
      while (IsHex(Peek())) ++position_;
    } else {
      while (IsDigit(Peek())) ++position_;
      if (Fraction() | Exponent()) kind = TokenKind::kDouble;
    }
    if (kind == TokenKind::kInt && (Peek() | 0x20) == 'u') {
      ++position_;
      return AddSpelled(TokenKind::kUint, 1);
    }
    AddSpelled(kind);
  }

  bool Fraction() {
    if (Peek() != '.' || !IsDigit(Peek(1))) return false;
    ++position_;
    while (IsDigit(Peek())) ++position_;
    return true;
  }

  bool Exponent() {
    if ((Peek() | 0x20) != 'e') return false;
    const size_t sign = Peek(1) == '+' || Peek(1) == '-' ? 1 : 0;
    if (!IsDigit(Peek(1 + sign))) return false;
    position_ += 1 + sign;
    while (IsDigit(Peek())) ++position_;
    return true;
  }

  void Quoted() {
    const size_t end = text_.find('`', position_ + 1);
    if (end == std::string_view::npos) {
      position_ = text_.size();
      return Add(TokenKind::kBad, "this back-tick has no partner");
    }
    const std::string_view name = text_.substr(position_ + 1, end - position_ - 1);
    position_ = end + 1;
    bool good = !name.empty();
    for (const char c : name) {
      good = good && (IsLetter(c) || IsDigit(c) || std::string_view("./- ").find(c) != name.npos);
    }
    if (!good) return Add(TokenKind::kBad, "between back-ticks stands the name of a field");
    Add(TokenKind::kQuoted, std::string(name));
  }

  void Sign() {
    for (const std::string_view sign : {"==", "!=", "<=", ">=", "&&", "||"}) {
      if (text_.substr(position_, 2) == sign) {
        position_ += 2;
        return AddSpelled(TokenKind::kSign);
      }
    }
    const char c = text_[position_++];
    if (std::string_view("<>+-*/%!?:.,()[]{}").find(c) != std::string_view::npos) {
      return AddSpelled(TokenKind::kSign);
    }
    while ((static_cast<unsigned char>(Peek()) & 0xC0) == 0x80) ++position_;
    Bad(c);
  }

  void Bad(char c) {
    if (c == '=') return Add(TokenKind::kBad, "'=' is no operator here, equality is '=='");
    if (c == '&' || c == '|') {
      return Add(TokenKind::kBad, "'" + std::string(1, c) +
                                      "' is no operator here, did you mean '" + std::string(2, c) +
                                      "'");
    }
    if (static_cast<unsigned char>(c) < 0x20) return Add(TokenKind::kBad, "a control character");
    Add(TokenKind::kBad,
        "unexpected '" + std::string(text_.substr(start_, position_ - start_)) + "'");
  }

  std::string_view text_;
  size_t position_ = 0;
  size_t start_ = 0;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> Tokenize(std::string_view text) { return Lexer(text).All(); }

}  // namespace caudal::expr
