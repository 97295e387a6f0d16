#pragma once

/// The ExecutorInput message of one attempt (execution.md 3.5).

#include <google/protobuf/struct.pb.h>

#include <map>
#include <string>

#include "caudal/v1/attempt.pb.h"
#include "launcher/internal/places.h"
#include "pipeline_spec/pipeline_spec.pb.h"

namespace caudal::launcher::internal {

using Values = std::map<std::string, google::protobuf::Value>;

/// The inputs as given, with the component's defaults for absent ones. Null means absent here.
Values WithDefaults(const v1::AttemptSpec& spec);

/// "…/<task root>/<output>", without a trailing slash in between.
std::string OutputUri(const v1::AttemptSpec& spec, const std::string& output);

/// Name of the artifact that stands for the attempt's log: "executor-logs-<retry index>" is its
/// file.
inline constexpr char kLogArtifact[] = "executor-logs";
std::string LogUri(const v1::AttemptSpec& spec);

ml_pipelines::RuntimeArtifact InputArtifact(const v1::Artifact& artifact);
/// An output artifact as the step gets it, before it has run.
ml_pipelines::RuntimeArtifact OutputArtifact(const v1::AttemptSpec& spec,
                                             const std::string& output);

/// `values` are the parameters, every placeholder resolved.
ml_pipelines::ExecutorInput MakeExecutorInput(const v1::AttemptSpec& spec, const Places& places,
                                              const Values& values);

/// Where the step leaves its ExecutorOutput.
std::string OutputFileForStep(const v1::AttemptSpec& spec, const Places& places);

}  // namespace caudal::launcher::internal
