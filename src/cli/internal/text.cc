#include "cli/internal/text.h"

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <utility>
#include <vector>

#include "base/utf8.h"

namespace caudal::cli {
namespace {

struct Range {
  uint32_t first;
  uint32_t last;
};

// Characters that take no column, and those that take two, in what people's logs hold.
constexpr Range kZeroWidth[] = {{0x300, 0x36f},   {0x200b, 0x200f}, {0x20d0, 0x20ff},
                                {0xfe00, 0xfe0f}, {0xfeff, 0xfeff}, {0xe0100, 0xe01ef}};
constexpr Range kDoubleWidth[] = {{0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0xa4cf},
                                  {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe6f},
                                  {0xff00, 0xff60},   {0xffe0, 0xffe6},   {0x231a, 0x231b},
                                  {0x2705, 0x2705},   {0x274c, 0x274c},   {0x1f300, 0x1f64f},
                                  {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd}};

template <size_t N>
bool IsIn(const Range (&ranges)[N], uint32_t point) {
  return std::any_of(std::begin(ranges), std::end(ranges), [point](const Range& range) {
    return point >= range.first && point <= range.last;
  });
}

size_t LengthOf(char lead) {
  const auto byte = static_cast<unsigned char>(lead);
  return byte < 0xc0 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
}

// The character at the start of a text that is not empty: its bytes and its columns.
std::pair<size_t, size_t> FirstCharacter(std::string_view text) {
  const size_t length = std::min(LengthOf(text.front()), text.size());
  if (length == 1) return {1, 1};
  uint32_t point = static_cast<unsigned char>(text[0]) & (0xffu >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    point = point << 6 | (static_cast<unsigned char>(text[i]) & 0x3f);
  }
  if (IsIn(kZeroWidth, point)) return {length, 0};
  return {length, IsIn(kDoubleWidth, point) ? 2 : 1};
}

// The letter that a terminal sequence begins with after ESC; 0: `text` begins with none. Each has a
// control character of its own, too: U+009B is ESC [.
char SequenceKind(std::string_view text, size_t control) {
  if (text[0] == 0x1b) return text.size() > 1 ? text[1] : '\0';
  return control == 2 ? static_cast<char>(static_cast<unsigned char>(text[1]) - 0x40) : '\0';
}

// The bytes of the terminal sequence, or the single control character, that `text` begins with.
size_t SequenceLength(std::string_view text) {
  const size_t control = ControlLength(text);
  if (control == 0) return 0;
  const char kind = SequenceKind(text, control);
  size_t end = text[0] == 0x1b && kind != '\0' ? 2 : control;
  if (kind == '[') {
    while (end < text.size() && (text[end] < '@' || text[end] > '~')) ++end;
    return std::min(end + 1, text.size());
  }
  if (kind >= ' ' && kind <= '/') {  // ESC ( B
    while (end < text.size() && text[end] >= ' ' && text[end] <= '/') ++end;
    return std::min(end + 1, text.size());
  }
  const bool is_string = kind != '\0' && std::string_view("]PX^_").find(kind) != text.npos;
  while (is_string && end < text.size()) {  // up to BEL or ST
    const std::string_view rest = text.substr(end);
    if (rest[0] == '\a') return end + 1;
    if (rest.starts_with("\033\\") || rest.starts_with("\u009c")) return end + 2;
    ++end;
  }
  return end;
}

// A line of a log as it would stand on a terminal in the end.
std::string Shown(std::string_view log_line) {
  const std::string text = base::ToUtf8(log_line);
  std::string_view line = text;
  while (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  if (const size_t begin = line.rfind('\r'); begin != std::string_view::npos) {
    line.remove_prefix(begin + 1);
  }
  std::string shown;
  while (!line.empty()) {
    const size_t hidden = SequenceLength(line);
    if (line.front() == '\t') shown.append(4, ' ');
    if (hidden == 0) shown += line.front();
    line.remove_prefix(std::max<size_t>(hidden, 1));
  }
  shown.erase(shown.find_last_not_of(' ') + 1);
  return shown;
}

}  // namespace

std::string Dress(std::string_view text, std::string_view dress, const Style& style) {
  if (!style.color || dress.empty() || text.empty()) return std::string(text);
  return "\033[" + std::string(dress) + "m" + std::string(text) + "\033[0m";
}

size_t Columns(std::string_view text) {
  size_t columns = 0;
  while (!text.empty()) {
    const auto [bytes, width] = FirstCharacter(text);
    columns += width;
    text.remove_prefix(bytes);
  }
  return columns;
}

std::string CutTo(const std::string& text, size_t columns) {
  if (Columns(text) <= columns) return text;
  if (columns == 0) return "";
  size_t end = 0;
  for (size_t seen = 0; end < text.size();) {
    const auto [bytes, width] = FirstCharacter(std::string_view(text).substr(end));
    if (seen + width > columns - 1) break;
    seen += width;
    end += bytes;
  }
  return text.substr(0, end) + "…";
}

std::string CutPathTo(const std::string& path, size_t columns) {
  if (Columns(path) <= columns) return path;
  // The longest end that begins at a directory and fits; of a single long name, its beginning.
  for (size_t slash = path.find('/'); slash != path.npos; slash = path.find('/', slash + 1)) {
    const std::string end = "…" + path.substr(slash);
    if (Columns(end) <= columns) return end;
  }
  return CutTo("…/" + path.substr(path.rfind('/') + 1), columns);
}

std::string PadTo(std::string text, size_t columns) {
  const size_t have = Columns(text);
  if (have < columns) text.append(columns - have, ' ');
  return text;
}

size_t ControlLength(std::string_view text) {
  if (text.empty()) return 0;
  const auto byte = static_cast<unsigned char>(text[0]);
  if (byte < 0x20 || byte == 0x7f) return 1;
  if (byte != 0xc2 || text.size() < 2) return 0;
  const auto second = static_cast<unsigned char>(text[1]);
  return second >= 0x80 && second <= 0x9f ? 2 : 0;
}

std::string FirstLine(const std::string& text) { return text.substr(0, text.find('\n')); }

std::string LastShownLine(std::string_view log) {
  while (!log.empty()) {
    const size_t feed = log.rfind('\n');
    const size_t begin = feed == log.npos ? 0 : feed + 1;
    std::string shown = Shown(log.substr(begin));
    if (!shown.empty()) return shown;
    log = log.substr(0, begin == 0 ? 0 : feed);
  }
  return "";
}

std::string LastShownLines(std::string_view log, int count) {
  while (!log.empty() && (log.back() == '\n' || log.back() == '\r')) log.remove_suffix(1);
  std::vector<std::string> lines;
  while (!log.empty() && static_cast<int>(lines.size()) < count) {
    const size_t feed = log.rfind('\n');
    lines.push_back(Shown(log.substr(feed == log.npos ? 0 : feed + 1)));
    log = log.substr(0, feed == log.npos ? 0 : feed);
  }
  std::string text;
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) text += *line + "\n";
  return text;
}

std::string DurationText(int64_t micros) {
  const int64_t millis = micros / 1000;
  if (millis < 1000) return std::to_string(millis) + " ms";
  if (millis < 60'000) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f s", static_cast<double>(millis / 100) / 10);
    return text;
  }
  const int64_t seconds = millis / 1000;
  if (seconds < 3600) {
    return std::to_string(seconds / 60) + " min " + std::to_string(seconds % 60) + " s";
  }
  return std::to_string(seconds / 3600) + " h " + std::to_string(seconds % 3600 / 60) + " min";
}

std::string RoughDurationText(int64_t micros) {
  const int64_t seconds = (micros + 500'000) / 1'000'000;
  if (seconds < 60) return std::to_string(seconds) + " s";
  if (seconds < 3600) return std::to_string((seconds + 30) / 60) + " min";
  const int64_t tens = (seconds + 300) / 600;
  const std::string hours = std::to_string(tens / 6) + " h";
  return tens % 6 == 0 ? hours : hours + " " + std::to_string(tens % 6 * 10) + " min";
}

std::string SizeText(int64_t bytes) {
  if (bytes < 1000) return std::to_string(bytes) + " B";
  constexpr const char* kUnits[] = {"kB", "MB", "GB", "TB"};
  double amount = static_cast<double>(bytes) / 1000;
  size_t unit = 0;
  while (amount >= 999.95 && unit + 1 < std::size(kUnits)) {
    amount /= 1000;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof text, amount < 99.95 ? "%.1f %s" : "%.0f %s", amount, kUnits[unit]);
  return text;
}

}  // namespace caudal::cli
