#include "archive/internal/path.h"

#include <algorithm>

namespace caudal::archive::internal {
namespace {

// What Linux takes; longer names would fail on disk, with less to say.
constexpr size_t kLongestSegment = 255;
constexpr size_t kLongestPath = 4095;
constexpr size_t kShownBytes = 120;

size_t LengthOfUtf8(unsigned char first) {
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first < 0xe0) return 2;
  if (first >= 0xe0 && first < 0xf0) return 3;
  return first >= 0xf0 && first < 0xf5 ? 4 : 0;
}

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = LengthOfUtf8(static_cast<unsigned char>(text[0]));
    if (length == 0 || length > text.size()) return false;
    for (size_t i = 1; i < length; ++i) {
      if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) return false;
    }
    text.remove_prefix(length);
  }
  return true;
}

bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

bool HasControl(std::string_view text) {
  for (const char c : text) {
    if (IsControl(c)) return true;
  }
  return false;
}

base::Status Bad(std::string_view name, const std::string& why) {
  return base::InvalidArgument("entry " + Quoted(name) + " " + why);
}

}  // namespace

std::string Quoted(std::string_view name) {
  const bool is_text = IsUtf8(name);
  std::string text = "'";
  for (const char c : name.substr(0, kShownBytes)) {
    text += IsControl(c) || (!is_text && static_cast<unsigned char>(c) >= 0x80) ? '?' : c;
  }
  if (name.size() > kShownBytes) {
    while ((static_cast<unsigned char>(text.back()) & 0xc0) == 0x80) text.pop_back();
    if (static_cast<unsigned char>(text.back()) >= 0xc0) text.pop_back();
    text += "…";
  }
  return text + "'";
}

base::Result<std::string> CleanPath(std::string_view name, const Limits& limits) {
  if (name.empty()) return base::InvalidArgument("an entry has no name");
  if (!IsUtf8(name)) return Bad(name, "has a name that is not UTF-8; rename it");
  if (HasControl(name)) return Bad(name, "has a control character in its name; rename it");
  if (name[0] == '/') return Bad(name, "has an absolute path; pack it with a relative one");
  std::string path;
  int depth = -1;
  while (!name.empty()) {
    const size_t end = std::min(name.find('/'), name.size());
    const std::string_view segment = name.substr(0, end);
    name.remove_prefix(std::min(end + 1, name.size()));
    if (segment.empty() || segment == ".") continue;
    if (!path.empty()) path += '/';
    path += segment;
    if (segment == "..") {
      return Bad(path + (name.empty() ? "" : "/") + std::string(name),
                 "leaves the archive's root; pack it without '..'");
    }
    if (segment.size() > kLongestSegment || path.size() > kLongestPath) {
      return Bad(path, "has a name of more than " + std::to_string(kLongestSegment) +
                           " bytes, or a path of more than " + std::to_string(kLongestPath));
    }
    if (++depth > limits.max_depth) {
      return Bad(path, "lies more than " + std::to_string(limits.max_depth) + " folders deep");
    }
  }
  return path;
}

}  // namespace caudal::archive::internal
