#include "cli/internal/wording.h"

#include <algorithm>

#include "base/clock.h"
#include "base/utf8.h"
#include "cli/internal/text.h"

namespace caudal::cli {

std::string Printable(std::string_view text) {
  const std::string given = base::ToUtf8(text);
  std::string printable;
  for (size_t i = 0; i < given.size(); ++i) {
    const size_t control = ControlLength(std::string_view(given).substr(i));
    if (control == 0) {
      printable += given[i];
      continue;
    }
    printable += ' ';
    i += control - 1;
  }
  return printable;
}

std::string Lowercase(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return lower;
}

std::string FileStem(std::string_view path) {
  std::string_view name = path.substr(path.rfind('/') + 1);
  for (const std::string_view packed : {".tar.gz", ".tgz"}) {
    if (name.ends_with(packed)) return std::string(name.substr(0, name.size() - packed.size()));
  }
  return std::string(name.substr(0, name.rfind('.')));
}

std::string AgeText(int64_t then_micros, int64_t now_micros) {
  if (then_micros <= 0) return "";
  const int64_t seconds = (now_micros - then_micros) / 1'000'000;
  if (seconds < 2) return "just now";
  if (seconds < 60) return std::to_string(seconds) + " s ago";
  if (seconds < 3600) return std::to_string(seconds / 60) + " min ago";
  if (seconds < 86'400) return std::to_string(seconds / 3600) + " h ago";
  if (seconds < 30 * 86'400) return std::to_string(seconds / 86'400) + " d ago";
  return base::FormatRfc3339(base::TimeFromMicros(then_micros)).substr(0, 10);
}

std::string CountText(int64_t count, std::string_view thing) {
  return std::to_string(count) + " " + std::string(thing) + (count == 1 ? "" : "s");
}

}  // namespace caudal::cli
