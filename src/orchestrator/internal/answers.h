#pragma once

/// What store and executor know that the engine asks for. Both run within the turn's transaction.

#include <cstdint>

#include "base/status.h"
#include "caudal/v1/engine.pb.h"
#include "engine/state.h"
#include "executor/executor.h"
#include "sql/database.h"

namespace caudal::orchestrator {

/// Looks for an earlier task whose outputs a task may use: same key and realm, every declared
/// artifact there, and the bytes of each still on disk. `now`: microseconds since 1970. Errors: the
/// database's.
base::Result<v1::Event::CacheAnswered> AnswerCacheLookup(sql::Database& database,
                                                         executor::Executor& executor,
                                                         const engine::State& state, int task,
                                                         int64_t now);

/// The artifact the pipeline knows already, or a new one with `new_key`. Errors: the database's.
base::Result<v1::Event::ImportAnswered> AnswerImport(sql::Database& database,
                                                     const v1::RunInfo& info,
                                                     const v1::Query::Import& query,
                                                     int64_t new_key, int64_t now);

}  // namespace caudal::orchestrator
