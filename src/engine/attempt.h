#pragma once

/// From a decided launch to everything an executor must know.

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "caudal/v1/attempt.pb.h"
#include "caudal/v1/engine.pb.h"
#include "engine/state.h"

namespace caudal::engine {

/// The spec of a launch that `Step` commanded. Pure, and the same for the same state. Errors:
/// kInvalidArgument when image or resources do not resolve (Step has refused those already).
base::Result<v1::AttemptSpec> MakeAttemptSpec(const State& state,
                                              const v1::Command::Launch& launch);

/// The image of a container component with these inputs; one that was not given has its default.
/// Errors: kInvalidArgument naming an input that has no value.
base::Result<std::string> ResolveImage(
    const spec::Component& component,
    const google::protobuf::Map<std::string, google::protobuf::Value>& parameters);

/// Requests and limits of a container component with these inputs. Errors: kInvalidArgument naming
/// the field and the value that is no Kubernetes quantity.
base::Result<v1::Resources> ResolveResources(
    const spec::Component& component,
    const google::protobuf::Map<std::string, google::protobuf::Value>& parameters);

/// One of them as written, with the old numeric forms as text.
struct ResourceAmount {
  std::string group;  ///< "limits" or "requests"
  std::string name;   ///< "cpu", "memory" or the type of an accelerator
  std::string text;   ///< a Kubernetes quantity
};
base::Result<std::vector<ResourceAmount>> ResourceAmounts(
    const spec::Component& component,
    const google::protobuf::Map<std::string, google::protobuf::Value>& parameters);

/// Where the log of an attempt lies, relative to the data directory: "logs/<xx>/<key>.log".
std::string LogPath(int64_t attempt_key);

}  // namespace caudal::engine
