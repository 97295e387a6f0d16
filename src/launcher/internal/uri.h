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

/// Where `text` names the absolute path `directory` or something below it, from `start` on; npos
/// when it does not. "/data" is not in "a/data" nor in "/database".
size_t FindPath(std::string_view text, std::string_view directory, size_t start = 0);

/// A name that can be one part of a path.
bool IsFileName(std::string_view name);

/// Metadata that says that an artifact's bytes are in the run's workspace.
inline constexpr char kWorkspaceMark[] = "_kfp_workspace";
bool IsInWorkspace(const google::protobuf::Struct& metadata);

/// Where the SDK looks for such an artifact: "/kfp-workspace/.artifacts/minio/bucket/key".
std::string WorkspacePathOf(std::string_view uri);

inline constexpr char kWorkspacePath[] = "/kfp-workspace";

}  // namespace caudal::launcher::internal
