#pragma once

/// Where a task's inputs come from and what a DAG's outputs are (execution.md 2.4 to 2.6, 2.17).

#include "base/status.h"
#include "engine/internal/draft.h"

namespace caudal::engine {

/// Resolves the inputs of `task`, whose upstream tasks are final, into its record. Absent optional
/// inputs stay absent for containers (their component's default applies when the step is staged)
/// and become default or null for DAGs. Errors: kInvalidArgument naming input, source and remedy.
base::Status ResolveInputs(Draft& draft, int task);

/// Copies what the DAG's selectors name from its finished children into its record. A selector
/// whose producer left nothing contributes nothing.
void ResolveDagOutputs(Draft& draft, int dag);

}  // namespace caudal::engine
