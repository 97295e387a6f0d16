#pragma once

/// Ends a process group when the process that started it is killed.

#include <sys/types.h>

#include "base/file.h"

namespace caudal::process::internal {

/// The kernel tells a program that its caller has died, but not what the program has started. A
/// small process of its own, which outlives the caller, sees that and kills the group; it does so
/// at the end of this object, too. Where it cannot be started, nobody guards.
class Guard {
 public:
  explicit Guard(pid_t group);
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;
  /// Waits for the guard. The group's name must still be taken: wait for its leader afterwards.
  ~Guard();

 private:
  base::UniqueFd end_;  // the guard sees it close
  pid_t pid_ = -1;
};

}  // namespace caudal::process::internal
