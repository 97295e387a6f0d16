#pragma once

/// Where a task's inputs come from (execution.md 2.4 to 2.6, 2.15, 2.17).

#include <optional>
#include <string>

#include "base/status.h"
#include "engine/internal/draft.h"

namespace caudal::engine {

/// Resolves the inputs of `task`, whose upstream tasks are final, into its record. Absent optional
/// inputs stay absent for containers (their component's default applies when the step is staged)
/// and become default or null for DAGs, through which null flows on to whoever can judge it.
/// Errors: kInvalidArgument naming input, source and remedy.
base::Status ResolveInputs(Draft& draft, int task);

/// The value that a source names, where `task` stands; nullopt when there is none or it is null,
/// with `*where` then saying where it was looked for.
std::optional<google::protobuf::Value> ValueOfSource(
    const Draft& draft, int task, const ml_pipelines::TaskInputsSpec::InputParameterSpec& source,
    std::string* where);

/// What a loop over parameters iterates over: a list, or text that holds one as JSON (JSON that is
/// no list has no items, as upstream sees it). Errors: kInvalidArgument for anything else.
base::Result<google::protobuf::ListValue> LoopItems(const Draft& draft, int loop);

}  // namespace caudal::engine
