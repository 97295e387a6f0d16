#pragma once

/// The key of a task in the cache (execution.md 2.14), whole and part by part.

#include <google/protobuf/struct.pb.h>

#include <string>
#include <vector>

#include "caudal/v1/attempt.pb.h"
#include "caudal/v1/engine.pb.h"

namespace caudal::engine {

/// What goes into the key. All pointers must outlive the call.
struct KeyFacts {
  std::string component;   ///< componentRef.name
  std::string custom_key;  ///< cachingOptions.cacheKey; when given, nothing else counts
  const ml_pipelines::PipelineDeploymentConfig::PipelineContainerSpec* container = nullptr;
  const ml_pipelines::ComponentOutputsSpec* outputs = nullptr;
  /// Resolved inputs, converted, without component defaults and without TASK_CONFIG values.
  const google::protobuf::Map<std::string, google::protobuf::Value>* parameters = nullptr;
  const google::protobuf::Map<std::string, v1::ArtifactList>* artifacts = nullptr;
  std::vector<std::string> claims;  ///< names of mounted volume claims, in any order
};

/// Fingerprint and parts; realm and outcome are not set. Pure.
v1::CacheRecord MakeCacheRecord(const KeyFacts& facts);

/// How `now` differs from `then`, in words for people: "input 'x' is 2, was 1; image is new". Empty
/// when no part differs. Both have a realm.
std::string DescribeDifference(const v1::CacheRecord& now, const v1::CacheRecord& then);

}  // namespace caudal::engine
