#pragma once

/// URIs of the artifact store, as launchers publish under them and the object table knows them.

#include <optional>
#include <string>
#include <string_view>

namespace caudal::model {

/// An object of the artifact store, or a folder of objects.
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

/// A name that can be one part of a path.
bool IsFileName(std::string_view name);

}  // namespace caudal::model
