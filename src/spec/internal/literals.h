#pragma once

/// The allowed values that an input may declare.

#include <string>

#include "pipeline_spec/pipeline_spec.pb.h"

namespace caudal::spec::internal {

/// Whether `value` is one of the literals of `declared`, or there are none. 1 and 1.0 are equal.
bool IsAllowed(const ml_pipelines::ComponentInputsSpec::ParameterSpec& declared,
               const google::protobuf::Value& value);

/// "wants one of "a", "b", got "c"".
std::string WrongLiteral(const ml_pipelines::ComponentInputsSpec::ParameterSpec& declared,
                         const google::protobuf::Value& value);

}  // namespace caudal::spec::internal
