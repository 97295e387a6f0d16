#include "launcher/internal/traceback.h"

#include <algorithm>
#include <charconv>

#include "base/utf8.h"

namespace caudal::launcher::internal {
namespace {

using std::string_view;

constexpr string_view kHeader = "Traceback (most recent call last):";
constexpr string_view kGroupStart = "  + Exception Group ";
constexpr string_view kGroupMargin = "  | ";
// The name under which the SDK's command line writes the component's source.
constexpr string_view kComponentFile = "ephemeral_component.py";
constexpr string_view kFunctionFlag = "--function_to_execute";
// After the exception may come the rest of its message, notes, and what the interpreter says while
// it goes down. More than that, and the step went on: the exception was caught and logged.
constexpr size_t kMostLinesAfter = 50;
constexpr size_t kLongestException = 1000;

// Ahead of a traceback that did not end the program.
constexpr string_view kHarmless[] = {"Exception ignored ", "Exception in thread ",
                                     "Error in atexit"};

// Without terminal sequences and other control characters: a program may believe it has a terminal.
std::string Plain(string_view line) {
  std::string plain;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\033' && i + 1 < line.size() && line[i + 1] == '[') {
      i += 2;
      while (i < line.size() && (line[i] < '@' || line[i] > '~')) ++i;
    } else if (static_cast<unsigned char>(line[i]) >= ' ') {
      plain += line[i];
    } else if (line[i] == '\t') {
      plain += ' ';
    }
  }
  return plain;
}

std::vector<std::string> Lines(string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(Plain(text.substr(0, end)));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::string AsMessageText(std::string_view text) {
  return base::ToUtf8(base::Shortened(text, kLongestException));
}

enum class HeaderKind { kNone, kPlain, kGroup };

// Output without a line feed may stand before a header on its line; the margin of a member of an
// exception group is no such output.
HeaderKind KindOf(string_view line) {
  if (!line.ends_with(kHeader)) return HeaderKind::kNone;
  const string_view before = line.substr(0, line.size() - kHeader.size());
  if (before == kGroupStart) return HeaderKind::kGroup;
  const bool is_margin = before.find_first_not_of(" |") == string_view::npos;
  return before.empty() || !is_margin ? HeaderKind::kPlain : HeaderKind::kNone;
}

bool IsHarmless(const std::vector<std::string>& lines, size_t header) {
  if (header == 0) return false;
  return std::any_of(std::begin(kHarmless), std::end(kHarmless), [&](string_view start) {
    return string_view(lines[header - 1]).starts_with(start);
  });
}

// The line of `  File "…/ephemeral_component.py", line 12, in train`; 0 for any other line.
int ComponentLine(string_view line) {
  constexpr string_view kFile = "  File \"";
  constexpr string_view kLine = "\", line ";
  if (!line.starts_with(kFile)) return 0;
  const size_t end = line.find(kLine);
  if (end == string_view::npos || !line.substr(0, end).ends_with(kComponentFile)) return 0;
  int number = 0;
  std::from_chars(line.data() + end + kLine.size(), line.data() + line.size(), number);
  return number;
}

std::optional<v1::Traceback> ReadTraceback(const std::vector<std::string>& lines, size_t header,
                                           HeaderKind kind) {
  v1::Traceback traceback;
  for (size_t i = header + 1; i < lines.size(); ++i) {
    string_view line = lines[i];
    if (kind == HeaderKind::kGroup && line.starts_with(kGroupMargin)) {
      line.remove_prefix(kGroupMargin.size());
    }
    if (line.empty() || line.front() == ' ') {
      if (const int number = ComponentLine(line); number > 0) traceback.set_line(number);
      continue;
    }
    const size_t after = lines.size() - i - 1;
    if (kind == HeaderKind::kPlain && after > kMostLinesAfter) return std::nullopt;
    traceback.set_exception(AsMessageText(line));
    return traceback;
  }
  return std::nullopt;
}

std::string FunctionOf(const std::vector<std::string>& words) {
  for (size_t i = 0; i < words.size(); ++i) {
    const string_view word = words[i];
    if (word == kFunctionFlag && i + 1 < words.size()) return words[i + 1];
    if (word.starts_with(kFunctionFlag) && word.substr(kFunctionFlag.size()).starts_with('=')) {
      return std::string(word.substr(kFunctionFlag.size() + 1));
    }
  }
  return "";
}

}  // namespace

std::optional<v1::Traceback> FindTraceback(string_view log_end,
                                           const std::vector<std::string>& words) {
  const std::vector<std::string> lines = Lines(log_end);
  for (size_t i = lines.size(); i-- > 0;) {
    const HeaderKind kind = KindOf(lines[i]);
    if (kind == HeaderKind::kNone || IsHarmless(lines, i)) continue;
    std::optional<v1::Traceback> traceback = ReadTraceback(lines, i, kind);
    if (traceback) traceback->set_function(AsMessageText(FunctionOf(words)));
    return traceback;
  }
  return std::nullopt;
}

}  // namespace caudal::launcher::internal
