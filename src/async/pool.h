#pragma once

/// A fixed number of named threads that run functions in the order they were posted.

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace caudal::async {

/// What Stop does with functions that wait.
enum class Leftovers { kDrain, kDrop };

/// Thread-safe. Functions must not throw. The pool must not be stopped from one of its own threads.
class Pool {
 public:
  /// `name` is what `top -H` and a debugger show; at most 12 characters are kept.
  Pool(const std::string& name, int threads);
  /// Drops what waits.
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// Queues `work`; false once Stop was called, and then it never runs.
  bool Post(std::function<void()> work);

  /// Waits for the functions that run, and with kDrain for those that wait; joins all threads. The
  /// first call decides; later ones wait for it.
  void Stop(Leftovers leftovers);

 private:
  void Run();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_;
  bool stopping_ = false;
  std::mutex join_mutex_;
  std::vector<std::thread> threads_;
};

}  // namespace caudal::async
