#pragma once

/// Workspaces of runs: folders that all steps of one run share.

#include <atomic>
#include <functional>
#include <string>

#include "base/status.h"

namespace caudal::executor {

/// Removes the workspaces of runs that `is_known` denies: of deleted ones. Safe while steps run.
/// Leaves off once `is_stopping`: what is left goes at the next start.
void SweepWorkspaces(const std::string& data_dir, const std::atomic<bool>& is_stopping,
                     const std::function<base::Result<bool>(const std::string& run_id)>& is_known);

}  // namespace caudal::executor
