#pragma once

/// Artifact URIs and the paths a step knows them by (execution.md 3.6).

#include <google/protobuf/struct.pb.h>

#include <string>
#include <string_view>

#include "model/store_uri.h"
#include "model/workspace.h"

namespace caudal::launcher::internal {

using model::IsFileName;
using model::kWorkspaceMark;
using model::kWorkspacePath;
using model::ParseStoreUri;
using model::StoreUri;

/// The path by which the SDK knows `uri`, or empty when it has none (unknown scheme).
std::string SdkPath(std::string_view uri);

/// `SdkPath`, moved into the workspace when the metadata says so.
std::string SdkPath(std::string_view uri, const google::protobuf::Struct& metadata);

/// Whether `path` is `directory` or lies below it, by their text.
bool IsWithin(std::string_view path, std::string_view directory);

/// Where `text` names the absolute path `directory` or something below it, from `start` on; npos
/// when it does not. "/data" is not in "a/data" nor in "/database".
size_t FindPath(std::string_view text, std::string_view directory, size_t start = 0);

/// Whether an artifact's bytes are in the run's workspace.
bool IsInWorkspace(const google::protobuf::Struct& metadata);

/// Where the SDK looks for such an artifact: "/kfp-workspace/.artifacts/minio/bucket/key".
std::string WorkspacePathOf(std::string_view uri);

}  // namespace caudal::launcher::internal
