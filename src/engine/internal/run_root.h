#pragma once

/// Where a run's artifacts live (execution.md 3.6).

#include <string>

#include "caudal/v1/engine.pb.h"

namespace caudal::engine {

/// "minio://bucket/prefix/<pipeline>/<run>": the run's folder, without a query. A run id that a
/// client chose and that is no plain path part appears as a UUID made from it.
std::string RunRoot(const v1::RunInfo& info);

/// "<run root>/<task key>/<unique>": the task's folder.
std::string TaskRoot(const v1::RunInfo& info, const std::string& task_key,
                     const std::string& unique);

}  // namespace caudal::engine
