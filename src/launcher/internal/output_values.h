#pragma once

/// Output parameters: what a step left in files or in its ExecutorOutput (execution.md 2.5, 3.8).

#include <google/protobuf/struct.pb.h>

#include <string>
#include <string_view>

#include "base/status.h"
#include "launcher/internal/executor_input.h"
#include "launcher/internal/places.h"
#include "pipeline_spec/pipeline_spec.pb.h"

namespace caudal::launcher::internal {

/// Reads `text` as the declared type. Errors: kInvalidArgument, with the value cut to 200 bytes.
base::Result<google::protobuf::Value> ParseOutputValue(
    std::string_view text, ml_pipelines::ParameterType::ParameterTypeEnum type);

/// The step's ExecutorOutput; empty when it wrote none. Errors: kInvalidArgument naming the file.
base::Result<ml_pipelines::ExecutorOutput> ReadExecutorOutput(const v1::AttemptSpec& spec,
                                                              const Places& places);

/// Every value the step gave: those of `output`, declared or not, then the declared ones from
/// files.
base::Result<Values> OutputValues(const v1::AttemptSpec& spec, const Places& places,
                                  const ml_pipelines::ExecutorOutput& output);

}  // namespace caudal::launcher::internal
