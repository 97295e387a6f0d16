#pragma once

/// Between protobuf's JSON values and those of expressions.

#include <google/protobuf/struct.pb.h>

#include <string>

#include "base/status.h"
#include "expr/internal/budget.h"
#include "expr/internal/value.h"

namespace caudal::expr {

/// A view of `value`, which must outlive it: nothing is copied. Numbers are doubles.
Value Unwrapped(const google::protobuf::Value& value);

/// A view of an object.
Value Unwrapped(const google::protobuf::Struct& object);

/// parseJson(): what JSON text stands for.
Outcome ParseJsonText(const std::string& text, Budget& budget);

/// As JSON: whole numbers that a double cannot hold exactly become strings, bytes base64, times
/// their text, keys strings. Errors: types, messages, NaN, infinities, nesting deeper than a value
/// may have.
base::Result<google::protobuf::Value> Wrapped(const Value& value, Budget& budget);

}  // namespace caudal::expr
