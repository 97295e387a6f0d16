#pragma once

/// From a decided launch to everything an executor must know.

#include <cstdint>
#include <string>

#include "base/status.h"
#include "caudal/v1/attempt.pb.h"
#include "caudal/v1/engine.pb.h"
#include "engine/state.h"

namespace caudal::engine {

/// The spec of a launch that `Step` commanded. Pure, and the same for the same state. Errors:
/// kInvalidArgument when image or resources do not resolve (Step has refused those already).
base::Result<v1::AttemptSpec> MakeAttemptSpec(const State& state,
                                              const v1::Command::Launch& launch);

/// Requests and limits of a container with these inputs. Errors: kInvalidArgument naming the field
/// and the value that is no Kubernetes quantity.
base::Result<v1::Resources> ResolveResources(
    const ml_pipelines::PipelineDeploymentConfig::PipelineContainerSpec& container,
    const google::protobuf::Map<std::string, google::protobuf::Value>& parameters);

/// Where the log of an attempt lies, relative to the data directory: "logs/<xx>/<key>.log".
std::string LogPath(int64_t attempt_key);

}  // namespace caudal::engine
