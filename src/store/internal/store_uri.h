#pragma once

/// URIs of artifacts as the object table knows them.

#include <optional>
#include <string>
#include <string_view>

#include "caudal/v1/attempt.pb.h"

namespace caudal::store {

struct StoreUri {
  std::string bucket;
  std::string key;  ///< without slashes at its ends
};

/// "minio://bucket/key", also with s3 or gs: what the launcher publishes under. Nothing for other
/// schemes and where bucket or key is missing.
std::optional<StoreUri> ParseStoreUri(std::string_view uri);

/// "system.Model", or the schema of a type that has no title.
std::string TypeTitle(const v1::Artifact& artifact);

}  // namespace caudal::store
