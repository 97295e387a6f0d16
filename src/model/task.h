#pragma once

/// The nouns' small rules: which states are final, how they read, how a task is identified.

#include <string>
#include <string_view>

#include "caudal/v1/engine.pb.h"

namespace caudal::model {

/// Nothing changes a task in such a state but RetryRun.
bool IsFinal(v1::TaskState state);
/// SUCCEEDED or CACHED: its outputs exist and its dependents may run.
bool IsSuccess(v1::TaskState state);
bool IsFinal(v1::RunPhase phase);

/// "SUCCEEDED", "OMITTED", … as stored and shown.
std::string_view StateName(v1::TaskState state);

/// UUIDv5(run id, task path): the same task has the same id in every generation. A run id that is
/// not a UUID is first turned into one the same way.
std::string TaskId(std::string_view run_id, std::string_view task_path);

}  // namespace caudal::model
