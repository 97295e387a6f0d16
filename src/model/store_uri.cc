#include "model/store_uri.h"

#include <algorithm>
#include <array>

namespace caudal::model {
namespace {

constexpr std::array<std::string_view, 3> kSchemes = {"gs", "minio", "s3"};

std::string_view TrimSlashes(std::string_view text) {
  while (text.starts_with('/')) text.remove_prefix(1);
  while (text.ends_with('/')) text.remove_suffix(1);
  return text;
}

}  // namespace

std::optional<std::string> StoreUri::KeyPath() const {
  if (key.find('\0') != std::string::npos) return std::nullopt;
  std::string path;
  std::string_view rest = key;
  while (!rest.empty()) {
    const size_t slash = std::min(rest.find('/'), rest.size());
    const std::string_view part = rest.substr(0, slash);
    rest.remove_prefix(std::min(slash + 1, rest.size()));
    if (part == "..") return std::nullopt;
    if (part.empty() || part == ".") continue;
    if (!path.empty()) path += '/';
    path += part;
  }
  return path;
}

std::optional<StoreUri> ParseStoreUri(std::string_view uri) {
  const size_t colon = uri.find("://");
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string_view scheme = uri.substr(0, colon);
  if (std::find(kSchemes.begin(), kSchemes.end(), scheme) == kSchemes.end()) return std::nullopt;
  const std::string_view rest = uri.substr(colon + 3);
  const size_t slash = std::min(rest.find('/'), rest.size());
  if (slash == 0 || !IsFileName(rest.substr(0, slash))) return std::nullopt;
  return StoreUri{std::string(scheme), std::string(rest.substr(0, slash)),
                  std::string(TrimSlashes(rest.substr(slash)))};
}

bool IsFileName(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.size() <= 255 &&
         name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

}  // namespace caudal::model
