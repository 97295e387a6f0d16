#include "expr/internal/fault.h"

#include <algorithm>
#include <vector>

namespace caudal::expr {
namespace {

constexpr size_t kShownBefore = 100;  // characters
constexpr size_t kShownAfter = 60;

/// Where each character of `line` begins, and its end.
std::vector<size_t> CharacterStarts(std::string_view line) {
  std::vector<size_t> starts;
  for (size_t i = 0; i < line.size(); ++i) {
    if ((static_cast<unsigned char>(line[i]) & 0xC0) != 0x80) starts.push_back(i);
  }
  starts.push_back(line.size());
  return starts;
}

/// The piece of `line` around `column`, and below it the caret.
std::string Picture(std::string_view line, size_t column) {
  const std::vector<size_t> starts = CharacterStarts(line);
  const size_t length = starts.size() - 1;
  const size_t first = column > kShownBefore + 1 ? column - kShownBefore : 0;
  const size_t last = length > column + kShownAfter + 1 ? column + kShownAfter : length;
  std::string shown(line.substr(starts[first], starts[last] - starts[first]));
  for (char& c : shown) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';  // a tab would move the caret
  }
  const std::string before = first > 0 ? "…" : "";
  return "  " + before + shown + (last < length ? "…" : "") + "\n  " +
         std::string(column - first + (first > 0 ? 1 : 0), ' ') + "^";
}

}  // namespace

base::Status ToStatus(const SourceFault& fault, std::string_view text) {
  const size_t offset = std::min(fault.offset, text.size());
  const std::string_view before = text.substr(0, offset);
  const size_t newline = before.rfind('\n');
  const size_t start = newline == std::string_view::npos ? 0 : newline + 1;
  const std::string_view line = text.substr(start, text.find('\n', start) - start);
  const auto number = 1 + std::count(before.begin(), before.end(), '\n');
  const size_t column = CharacterStarts(text.substr(start, offset - start)).size() - 1;
  return base::InvalidArgument("line " + std::to_string(number) + ", column " +
                               std::to_string(column + 1) + ": " + fault.message + "\n" +
                               Picture(line, column));
}

}  // namespace caudal::expr
