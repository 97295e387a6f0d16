#pragma once

/// Ctrl-C, and whatever else wants us gone, as calls on a thread of its own.

#include <atomic>
#include <functional>
#include <thread>

#include "base/file.h"

namespace caudal::cli {

/// What to do about signals. Called on one thread, one after the other.
struct InterruptActions {
  /// SIGINT or SIGTERM, with how many there were so far.
  std::function<void(int count)> on_interrupt;
  /// Before the process stops or ends for another reason: the terminal must be as it was.
  std::function<void()> before_leaving = [] {};
  /// The process goes on after it was stopped (Ctrl-Z, then fg).
  std::function<void()> on_continue = [] {};
};

/// While it lives, SIGINT and SIGTERM do not end the process. From the third on they do, with code
/// 130, after `on_interrupt` has returned.
///
/// Make it before other threads exist, so that they inherit the blocked signals.
class InterruptWatch {
 public:
  explicit InterruptWatch(InterruptActions actions);
  ~InterruptWatch();
  InterruptWatch(const InterruptWatch&) = delete;
  InterruptWatch& operator=(const InterruptWatch&) = delete;

  int count() const { return count_; }

  /// The number of the interrupt that ends the process.
  static constexpr int kLast = 3;

 private:
  void Run();
  void Take(int signal);
  [[noreturn]] void Leave(int code);

  InterruptActions actions_;
  base::UniqueFd signals_;
  base::UniqueFd stop_;
  std::atomic<int> count_ = 0;
  std::thread thread_;
};

}  // namespace caudal::cli
