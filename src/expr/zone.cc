// Time zones: "+02:00", or a file of the machine's time zone database in the TZif format (RFC
// 8536).

#include <algorithm>
#include <optional>

#include "base/file.h"
#include "expr/internal/times.h"

namespace caudal::expr {
namespace {

constexpr char kFolder[] = "/usr/share/zoneinfo/";
constexpr size_t kHeader = 44;

base::Status NoZone(std::string_view zone) {
  return base::InvalidArgument("unknown time zone '" + std::string(zone.substr(0, 64)) + "'");
}

/// "+02:00", "-09:30", "02:00": nothing for a name.
std::optional<int64_t> Fixed(std::string_view zone) {
  const bool west = zone.starts_with('-');
  if (west || zone.starts_with('+')) zone.remove_prefix(1);
  const auto digit = [&](size_t i) { return zone[i] >= '0' && zone[i] <= '9'; };
  if (zone.size() != 5 || zone[2] != ':' || !digit(0) || !digit(1) || !digit(3) || !digit(4)) {
    return {};
  }
  const int64_t hours = (zone[0] - '0') * 10 + zone[1] - '0';
  const int64_t minutes = (zone[3] - '0') * 10 + zone[4] - '0';
  if (hours > 23 || minutes > 59) return {};
  return (west ? -1 : 1) * (hours * 3600 + minutes * 60);
}

bool IsZoneName(std::string_view zone) {
  return !zone.empty() && zone.size() < 64 && zone[0] != '/' &&
         std::ranges::all_of(zone, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '+' || c == '-' || c == '/';
         });
}

/// A TZif file; reads outside of it give 0.
class ZoneFile {
 public:
  explicit ZoneFile(std::string data) : data_(std::move(data)) {}

  std::optional<int64_t> OffsetAt(int64_t seconds) const {
    if (!std::string_view(data_).starts_with("TZif")) return {};
    if (data_.size() < kHeader || data_[4] < '2') return {};
    // the first block has times of 32 bits; the second has all
    const size_t second = kHeader + BlockSize(0, 4);
    const size_t times = second + kHeader;
    const size_t count = Count(second, 32), types = Count(second, 36);
    if (types == 0 || times + BlockSize(second, 8) > data_.size()) return {};
    size_t last = 0;  // transitions up to that time
    while (last < count && Number(times + last * 8, 8) <= seconds) ++last;
    const size_t kinds = times + count * 8, infos = kinds + count;
    const size_t kind = last == 0 ? 0 : static_cast<uint8_t>(data_[kinds + last - 1]);
    if (kind >= types) return {};
    return Number(infos + kind * 6, 4);
  }

 private:
  size_t Count(size_t header, size_t at) const {
    return static_cast<size_t>(std::clamp<int64_t>(Number(header + at, 4), 0, 1 << 20));
  }

  size_t BlockSize(size_t header, size_t time) const {
    return Count(header, 32) * (time + 1) + Count(header, 36) * 6 + Count(header, 40) +
           Count(header, 28) * (time + 4) + Count(header, 24) + Count(header, 20);
  }

  int64_t Number(size_t at, size_t bytes) const {
    if (at + bytes > data_.size()) return 0;
    uint64_t number = static_cast<uint8_t>(data_[at]) >= 0x80 ? ~uint64_t{0} : 0;
    for (size_t i = 0; i < bytes; ++i) number = number << 8 | static_cast<uint8_t>(data_[at + i]);
    return static_cast<int64_t>(number);
  }

  std::string data_;
};

}  // namespace

base::Result<int64_t> ZoneOffset(std::string_view zone, int64_t seconds) {
  if (zone == "UTC" || zone == "Z" || zone.empty()) return int64_t{0};
  if (const auto fixed = Fixed(zone)) return *fixed;
  if (!IsZoneName(zone)) return NoZone(zone);
  auto data = base::ReadFile(kFolder + std::string(zone));
  if (!data.ok()) return NoZone(zone);
  const auto offset = ZoneFile(*std::move(data)).OffsetAt(seconds);
  if (!offset) return NoZone(zone);
  return *offset;
}

}  // namespace caudal::expr
