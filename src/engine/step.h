#pragma once

/// The one decision of the system: what follows from an event.

#include "base/status.h"
#include "caudal/v1/engine.pb.h"
#include "engine/state.h"

namespace caudal::engine {

/// Recorded with every event. Grows when the same event may lead to another delta than before.
inline constexpr int kEngineVersion = 2;

/// Computes what follows from `event`. Pure: no clock, no I/O, no randomness; time, keys and salt
/// come in the event. `state` is not copied: the delta holds only the tasks that change.
///
/// An event that no longer matters (a report of an attempt that is not the live one, a timer that
/// is not due, a terminate of a finished run) gives an empty delta. Errors: kFailedPrecondition for
/// an event that cannot happen to this state (a second RunCreated, an unknown task, a retry of a
/// run that has not ended or that succeeded).
base::Result<v1::Delta> Step(const State& state, const v1::Event& event);

/// Whether a delta says nothing.
bool IsEmpty(const v1::Delta& delta);

}  // namespace caudal::engine
