#include "archive/internal/path.h"

#include <algorithm>

#include "base/utf8.h"

namespace caudal::archive::internal {
namespace {

// What Linux takes; longer names would fail on disk, with less to say.
constexpr size_t kLongestSegment = 255;
constexpr size_t kLongestPath = 4095;
constexpr size_t kShownBytes = 120;

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
  std::string text = base::Shortened(base::ToUtf8(name), kShownBytes);
  std::replace_if(text.begin(), text.end(), IsControl, '?');
  return "'" + text + "'";
}

base::Result<std::string> CleanPath(std::string_view name, const Limits& limits) {
  if (name.empty()) return base::InvalidArgument("an entry has no name");
  if (!base::IsUtf8(name)) return Bad(name, "has a name that is not UTF-8; rename it");
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
