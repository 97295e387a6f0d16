#pragma once

/// What a change says of artifacts: their rows, which task read or wrote them, and where their
/// bytes lie.

#include <cstdint>
#include <string>

#include "base/status.h"
#include "sql/database.h"
#include "store/run_log.h"

namespace caudal::store {

/// "system.Model", or the schema of a type that has no title.
std::string TypeTitle(const v1::Artifact& artifact);

base::Status SaveLineage(sql::Database& database, const RunChange& change);

/// Gives what other runs use too of a run's artifacts, and their objects, to one of those runs.
base::Status HandOnArtifacts(sql::Database& database, int64_t run_key);

}  // namespace caudal::store
