#pragma once

/// Random pipelines for the simulation: every kind of task the graph language has, and steps whose
/// fate depends on nothing but their inputs, so that whatever befalls the server, the outcome of
/// the run is the same.

#include <cstdint>
#include <optional>
#include <string>

#include "caudal/v1/attempt.pb.h"

namespace caudal::orchestrator {

/// Package text of a pipeline with sequences, sub-pipelines, conditions, loops (nested, over lists
/// and over outputs, with and without limit; the limit is in the task's key, "loop3-p2"), collected
/// outputs, exit tasks, importers, retries with and without delay, time limits and caching.
std::string RandomPipelineText(uint64_t seed);

/// What an attempt of such a step comes to; nothing when it goes on until it is killed.
std::optional<v1::AttemptOutcome> RunStep(const v1::AttemptSpec& spec);

}  // namespace caudal::orchestrator
