#include "archive/package_file.h"

#include <algorithm>

#include "archive/internal/path.h"

namespace caudal::archive {
namespace {

using base::InvalidArgument;
using internal::Quoted;

constexpr std::string_view kPreferred = "pipeline.yaml";

base::Status CheckSize(const std::string& what, size_t bytes) {
  if (bytes <= kMaxPackageBytes) return {};
  return InvalidArgument(what + " has " + std::to_string(bytes) +
                         " bytes; a package may have at most " + std::to_string(kMaxPackageBytes));
}

base::Result<std::string> ChooseEntry(std::vector<Entry> entries) {
  if (entries.empty()) {
    return InvalidArgument("the archive has no files; it wants a pipeline.yaml");
  }
  auto chosen = std::find_if(entries.begin(), entries.end(),
                             [](const Entry& entry) { return entry.path == kPreferred; });
  if (chosen == entries.end()) chosen = entries.begin();
  if (!chosen->path.ends_with(".yaml") && !chosen->path.ends_with(".yml")) {
    return InvalidArgument("the archive has no pipeline.yaml, and its first entry " +
                           Quoted(chosen->path) + " does not end in .yaml or .yml");
  }
  CAUDAL_TRY(CheckSize("entry " + Quoted(chosen->path), chosen->content.size()));
  return std::move(chosen->content);
}

}  // namespace

base::Result<std::string> PackageText(std::string_view file_name, std::string_view content) {
  const std::string file = "file " + Quoted(file_name);
  CAUDAL_TRY(CheckSize(file, content.size()));
  for (const std::string_view ending : {".yaml", ".yml", ".json"}) {
    if (file_name.ends_with(ending)) return std::string(content);
  }
  const Format format = Sniff(content);
  if (format != Format::kZip && format != Format::kTarGz) {
    return InvalidArgument(file +
                           " is no pipeline package: it wants a name that ends in .yaml, .yml or "
                           ".json, or a zip or tar.gz archive");
  }
  auto entries = Read(content, Limits{});
  if (!entries.ok()) return base::Status(entries.status()).With(file);
  auto text = ChooseEntry(*std::move(entries));
  if (!text.ok()) return base::Status(text.status()).With(file);
  return text;
}

}  // namespace caudal::archive
