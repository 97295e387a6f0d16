#pragma once

/// The expressions of a pipeline: conditions of tasks and selectors of parameters, in the subset of
/// CEL (the Common Expression Language, as cel-go evaluates it) that execution.md 2.7 describes,
/// with `parseJson`.

#include <google/protobuf/struct.pb.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "caudal/v1/attempt.pb.h"

namespace caudal::expr {

/// A compiled expression. Immutable; thread-safe.
class Program;
using ProgramPtr = std::shared_ptr<const Program>;

/// What an expression may name: the inputs of a task (`inputs.parameter_values`,
/// `inputs.artifacts`), or one value (`string_value`, `struct_value`, …).
enum class Scope { kCondition, kSelector };

/// Parses and type-checks. Errors: kInvalidArgument, first line what is wrong, then the expression
/// and a caret under the place; for texts over 64 KiB or nested deeper than 250 as well.
base::Result<ProgramPtr> Compile(std::string_view text, Scope scope);

/// The text it was compiled from.
const std::string& TextOf(const Program& program);

/// Names of the parameters that a condition reads by a literal key, in order of appearance, each
/// once: what to show beside it when it is false.
std::vector<std::string> ParametersOf(const Program& program);

using Parameters = google::protobuf::Map<std::string, google::protobuf::Value>;
using Artifacts = google::protobuf::Map<std::string, v1::ArtifactList>;

/// The condition over a task's own resolved inputs. Evaluation is bounded in steps and in memory.
/// Errors: kInvalidArgument in words for people: a missing key, operands that do not fit, overflow,
/// a result that is no bool, too much work.
base::Result<bool> EvaluateCondition(const Program& program, const Parameters& parameters,
                                     const Artifacts& artifacts);

/// What the selector takes out of `value`. Errors as above; also for a result that is null or no
/// JSON value.
base::Result<google::protobuf::Value> EvaluateSelector(const Program& program,
                                                       const google::protobuf::Value& value);

}  // namespace caudal::expr
