#pragma once

/// The keeper: the process between the supervisor and one step. It is what the step's whole tree
/// hangs from, waits for the step, and outlives every process of the tree.

#include <sys/types.h>

#include "caudal/v1/supervisor.pb.h"

namespace caudal::supervisor::internal {

/// One byte from supervisor to keeper.
enum class KeeperOrder : char { kGo = 'G', kTerminate = 'T', kKill = 'K' };

/// Runs in the forked (`spec.sandbox()`: cloned into new namespaces) keeper and never returns.
/// Waits for kGo, starts the step with its output into `output`, reports SupervisorReport.started
/// and .exited over `channel`, and ends when the whole tree is dead. The end of `channel` ends the
/// tree.
[[noreturn]] void RunKeeper(const v1::StepSpec& spec, int channel, int output);

}  // namespace caudal::supervisor::internal
