#pragma once

/// Artifact URIs and the paths a step knows them by (execution.md 3.6).

#include <google/protobuf/struct.pb.h>

#include <optional>
#include <string>
#include <string_view>

namespace caudal::launcher::internal {

/// An object of the artifact store.
struct StoreUri {
  std::string scheme;  ///< "gs", "minio" or "s3"
  std::string bucket;
  std::string key;  ///< as written, without leading and trailing slashes; may be empty

  /// Key as a relative path: no empty and no "." parts. nullopt when a part is ".." or the key has
  /// a NUL byte.
  std::optional<std::string> KeyPath() const;
};

/// nullopt for any other scheme, or without a bucket.
std::optional<StoreUri> ParseStoreUri(std::string_view uri);

/// The path by which the SDK knows `uri`, or empty when it has none (unknown scheme).
std::string SdkPath(std::string_view uri);

/// `SdkPath`, moved into the workspace when the metadata says so.
std::string SdkPath(std::string_view uri, const google::protobuf::Struct& metadata);

/// Whether `path` is `directory` or lies below it, by their text.
bool IsWithin(std::string_view path, std::string_view directory);

/// A name that can be one part of a path.
bool IsFileName(std::string_view name);

inline constexpr char kWorkspacePath[] = "/kfp-workspace";

}  // namespace caudal::launcher::internal
