#pragma once

/// What a local executor is made of, from its options.

#include "base/status.h"
#include "executor/internal/admission.h"
#include "executor/internal/surroundings.h"
#include "executor/local_executor.h"

namespace caudal::executor::internal {

/// What all steps together may have.
Share MachineShare(const LocalOptions& options);

/// Errors: kInvalidArgument for a mount or isolation that makes no sense.
base::Result<Surroundings> MakeSurroundings(const LocalOptions& options);

}  // namespace caudal::executor::internal
