#pragma once

/// Run parameters: macros, validation, defaults, and the type rules shared with task inputs.

#include <google/protobuf/struct.pb.h>

#include <map>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "pipeline_spec/pipeline_spec.pb.h"
#include "spec/plan.h"

namespace caudal::spec {

using Values = std::map<std::string, google::protobuf::Value>;

/// What macros in run parameters stand for.
struct MacroSource {
  std::string run_id;
  base::Time now;
  bool has_scheduled_time = false;
  base::Time scheduled_time;
};

/// Expands macros, checks `given` against the root's inputs and fills defaults: declared parameters
/// that are optional without default become null. Errors: kInvalidArgument with every fault.
base::Result<Values> PrepareParameters(const Plan& plan, const Values& given,
                                       const MacroSource& macros);

/// `value` as it is given where `type` is declared: anything to STRING becomes text (null the empty
/// one), numbers are interchangeable, 0 and 1 count as BOOLEAN, all else must fit. Errors:
/// kInvalidArgument "wants a number, got \"fast\""; a value too deep to be stored
/// (wire::kMaxValueDepth).
base::Result<google::protobuf::Value> ConvertParameter(
    ml_pipelines::ParameterType::ParameterTypeEnum type, const google::protobuf::Value& value);

/// "NUMBER_INTEGER" and so on.
std::string TypeName(ml_pipelines::ParameterType::ParameterTypeEnum type);

}  // namespace caudal::spec
