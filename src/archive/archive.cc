#include "archive/archive.h"

#include "archive/internal/walk.h"

namespace caudal::archive {

Format Sniff(std::string_view content) {
  constexpr size_t kTarMagicAt = 257;
  if (content.size() > 2 && content.starts_with("PK")) return Format::kZip;
  if (content.size() > 2 && content.starts_with("\x1f\x8b")) return Format::kTarGz;
  if (content.size() > kTarMagicAt && content.substr(kTarMagicAt).starts_with("ustar")) {
    return Format::kTar;
  }
  return Format::kNone;
}

base::Result<std::vector<Entry>> Read(std::string_view content, const Limits& limits) {
  std::vector<Entry> entries;
  CAUDAL_TRY(internal::Walk(content, limits, [&](Entry entry) -> base::Status {
    entries.push_back(std::move(entry));
    return {};
  }));
  return entries;
}

}  // namespace caudal::archive
