#pragma once

/// Rows of tasks: the state of a run, piece by piece.

#include <cstdint>
#include <span>

#include "base/status.h"
#include "sql/database.h"
#include "store/run_log.h"

namespace caudal::store {

/// Writes each task that `changes`, all of one run, name. What is set once and may be long is
/// written only when a change names it.
base::Status SaveTasks(sql::Database& database, std::span<const RunChange* const> changes);

// The two stored parts of a task. Merged they are the task again.

/// All fields but those of DataOf.
v1::Task BodyOf(const v1::Task& task);
/// Resolved inputs and outputs, a loop's items, cache record and surroundings.
v1::Task DataOf(const v1::Task& task);

}  // namespace caudal::store
