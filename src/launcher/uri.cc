#include <algorithm>
#include <array>
#include <utility>

#include "launcher/internal/uri.h"

namespace caudal::launcher::internal {
namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kMounts = {{
    {"gs", "/gcs/"},
    {"minio", "/minio/"},
    {"s3", "/s3/"},
}};

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
  const auto known = std::find_if(kMounts.begin(), kMounts.end(),
                                  [&](const auto& mount) { return mount.first == scheme; });
  if (known == kMounts.end()) return std::nullopt;
  const std::string_view rest = uri.substr(colon + 3);
  const size_t slash = std::min(rest.find('/'), rest.size());
  if (slash == 0 || !IsFileName(rest.substr(0, slash))) return std::nullopt;
  return StoreUri{std::string(scheme), std::string(rest.substr(0, slash)),
                  std::string(TrimSlashes(rest.substr(slash)))};
}

std::string SdkPath(std::string_view uri) {
  for (const auto& [scheme, mount] : kMounts) {
    const std::string prefix = std::string(scheme) + "://";
    if (uri.starts_with(prefix)) return std::string(mount) + std::string(uri.substr(prefix.size()));
  }
  constexpr std::string_view kOci = "oci://";
  if (!uri.starts_with(kOci)) return "";
  std::string image(uri.substr(kOci.size()));
  std::replace(image.begin(), image.end(), '/', '_');
  return "/oci/" + image + "/models";
}

std::string SdkPath(std::string_view uri, const google::protobuf::Struct& metadata) {
  const std::string path = SdkPath(uri);
  const auto mark = metadata.fields().find("_kfp_workspace");
  const bool in_workspace = mark != metadata.fields().end() && mark->second.bool_value();
  if (path.empty() || !in_workspace) return path;
  return std::string(kWorkspacePath) + "/.artifacts" + path;
}

bool IsWithin(std::string_view path, std::string_view directory) {
  while (directory.size() > 1 && directory.ends_with('/')) directory.remove_suffix(1);
  if (!path.starts_with(directory)) return false;
  return path.size() == directory.size() || directory == "/" || path[directory.size()] == '/';
}

bool IsFileName(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.size() <= 255 &&
         name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

}  // namespace caudal::launcher::internal
