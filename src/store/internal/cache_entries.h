#pragma once

/// Cache entries as changes of runs make and end them.

#include "base/status.h"
#include "sql/database.h"
#include "store/run_log.h"

namespace caudal::store {

/// Makes an entry of an attempt's success, and removes those of tasks that start anew.
base::Status SaveCacheEntries(sql::Database& database, const RunChange& change);

}  // namespace caudal::store
