#pragma once

/// What conditions and selectors may name, with its types and its values.

#include <google/protobuf/struct.pb.h>

#include "expr/expr.h"
#include "expr/internal/evaluate.h"

namespace caudal::expr {

const Environment& EnvironmentOf(Scope scope);

/// Variables of a condition: `inputs`, `outputs`. The arguments must outlive it and its values.
Lookup ConditionVariables(const Parameters& parameters, const Artifacts& artifacts);

/// Variables of a selector: the field of `value` that is set, and `string_value`.
Lookup SelectorVariables(const google::protobuf::Value& value);

}  // namespace caudal::expr
