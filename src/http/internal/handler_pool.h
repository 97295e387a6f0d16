#pragma once

/// The bounded threads that run blocking request handlers.

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace caudal::http::internal {

/// Thread-safe.
class HandlerPool {
 public:
  enum class Verdict { kRun, kRefuse };
  /// Called exactly once: with kRun on a pool thread, or with kRefuse when the pool stops first.
  using Job = std::function<void(Verdict)>;

  explicit HandlerPool(int threads);
  ~HandlerPool();

  /// Queues `job`; refuses it at once when the pool has stopped.
  void Post(Job job);

  /// Refuses what is queued, waits for what runs. Not to be called from a job.
  void Stop();

 private:
  void Work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> queue_;
  bool is_stopped_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace caudal::http::internal
