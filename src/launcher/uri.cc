#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "launcher/internal/uri.h"

namespace caudal::launcher::internal {
namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kMounts = {{
    {"gs", "/gcs/"},
    {"minio", "/minio/"},
    {"s3", "/s3/"},
}};

bool IsNameCharacter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == '.';
}

}  // namespace

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

bool IsInWorkspace(const google::protobuf::Struct& metadata) {
  const auto mark = metadata.fields().find(kWorkspaceMark);
  return mark != metadata.fields().end() && mark->second.bool_value();
}

std::string WorkspacePathOf(std::string_view uri) {
  const std::string path = SdkPath(uri);
  std::string_view rest = path.empty() ? uri : path;
  while (rest.starts_with('/')) rest.remove_prefix(1);
  return std::string(kWorkspacePath) + "/.artifacts/" + std::string(rest);
}

std::string SdkPath(std::string_view uri, const google::protobuf::Struct& metadata) {
  const std::string path = SdkPath(uri);
  return IsInWorkspace(metadata) ? WorkspacePathOf(uri) : path;
}

bool IsWithin(std::string_view path, std::string_view directory) {
  while (directory.size() > 1 && directory.ends_with('/')) directory.remove_suffix(1);
  if (!path.starts_with(directory)) return false;
  return path.size() == directory.size() || directory == "/" || path[directory.size()] == '/';
}

size_t FindPath(std::string_view text, std::string_view directory, size_t start) {
  for (size_t at = text.find(directory, start); at != std::string_view::npos;
       at = text.find(directory, at + 1)) {
    const char before = at == 0 ? ' ' : text[at - 1];
    const bool starts_path = std::isalnum(static_cast<unsigned char>(before)) == 0 &&
                             std::string_view("_-./}~").find(before) == std::string_view::npos;
    const size_t after = at + directory.size();
    const bool ends_name = after >= text.size() || !IsNameCharacter(text[after]);
    if (starts_path && ends_name) return at;
  }
  return std::string_view::npos;
}

}  // namespace caudal::launcher::internal
