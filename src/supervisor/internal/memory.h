#pragma once

/// How much memory a tree of processes uses, where no cgroup counts it.

#include <sys/types.h>

#include <cstdint>

#include "process/process.h"

namespace caudal::supervisor::internal {

/// Bytes used by all descendants of `root` in `family`. Resident sizes count shared pages once per
/// process; only when their sum is beyond `threshold` is each page shared out fairly, which costs
/// more.
int64_t TreeMemory(pid_t root, const process::Family& family, int64_t threshold);

}  // namespace caudal::supervisor::internal
