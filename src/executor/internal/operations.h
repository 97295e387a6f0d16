#pragma once

/// Attempts that make no process: volume claims, and imports into the workspace.

#include <functional>
#include <string>

#include "base/status.h"
#include "caudal/v1/attempt.pb.h"
#include "executor/internal/volumes.h"
#include "launcher/launcher.h"

namespace caudal::executor::internal {

/// Whether a path of this machine may be read for the pipeline.
using MayRead = std::function<base::Status(const std::string& path)>;

/// Does what the kind of `spec` says, and returns its outcome. Idempotent for the same attempt.
v1::AttemptOutcome Operate(const launcher::Layout& layout, const Volumes& volumes,
                           const v1::AttemptSpec& spec, const MayRead& may_read,
                           int64_t now_micros);

}  // namespace caudal::executor::internal
