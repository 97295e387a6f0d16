#pragma once

/// What groups give on when they have succeeded (execution.md 2.6, 2.8, 2.10).

#include "engine/internal/draft.h"

namespace caudal::engine {

/// Copies what the DAG's selectors name from its finished children into its record; of several
/// selectors (OneOf) the first, in listed order, whose task succeeded. A selector whose producer
/// left nothing contributes nothing.
void ResolveDagOutputs(Draft& draft, int dag);

/// Gathers what the iterations of a loop gave, in order of index, those that gave nothing left out:
/// parameters as a list, nested loops nested (or flat, where the run says so); artifacts always as
/// one flat list.
void ResolveLoopOutputs(Draft& draft, int loop);

}  // namespace caudal::engine
