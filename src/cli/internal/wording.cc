#include "cli/internal/wording.h"

#include "base/clock.h"

namespace caudal::cli {

std::string Printable(std::string_view text) {
  std::string printable(text);
  for (char& c : printable) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return printable;
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
