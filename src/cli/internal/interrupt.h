#pragma once

/// Ctrl-C as a call on a thread of its own.

#include <atomic>
#include <functional>
#include <thread>

#include "base/file.h"

namespace caudal::cli {

/// While it lives, SIGINT and SIGTERM do not end the process: each calls `on_interrupt` with how
/// many there were so far. The fourth ends the process at once with code 130.
///
/// Make it before other threads exist, so that they inherit the blocked signals.
class InterruptWatch {
 public:
  explicit InterruptWatch(std::function<void(int count)> on_interrupt);
  ~InterruptWatch();
  InterruptWatch(const InterruptWatch&) = delete;
  InterruptWatch& operator=(const InterruptWatch&) = delete;

  int count() const { return count_; }

 private:
  void Run();

  std::function<void(int)> on_interrupt_;
  base::UniqueFd signals_;
  base::UniqueFd stop_;
  std::atomic<int> count_ = 0;
  std::thread thread_;
};

}  // namespace caudal::cli
