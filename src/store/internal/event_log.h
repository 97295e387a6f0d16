#pragma once

/// The event log of runs: new events one by one, earlier ones folded.

#include <cstdint>
#include <span>

#include "base/status.h"
#include "sql/database.h"
#include "store/run_log.h"

namespace caudal::store {

/// Errors: kAborted when a `seq` is taken.
base::Status AppendEvents(sql::Database& database, std::span<const RunChange> changes);

/// Folds all events of a run, never holding more than one archive's worth of them.
base::Status FoldEvents(sql::Database& database, int64_t run_key);

}  // namespace caudal::store
