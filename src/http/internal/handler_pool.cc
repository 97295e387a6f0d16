#include "http/internal/handler_pool.h"

#include <utility>

namespace caudal::http::internal {

HandlerPool::HandlerPool(int threads) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Work(); });
}

HandlerPool::~HandlerPool() { Stop(); }

void HandlerPool::Post(Job job) {
  {
    std::lock_guard lock(mutex_);
    if (!is_stopped_) {
      queue_.push_back(std::move(job));
      changed_.notify_one();
      return;
    }
  }
  job(Verdict::kRefuse);
}

void HandlerPool::Stop() {
  std::deque<Job> refused;
  {
    std::lock_guard lock(mutex_);
    is_stopped_ = true;
    refused.swap(queue_);
    changed_.notify_all();
  }
  for (const Job& job : refused) job(Verdict::kRefuse);
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void HandlerPool::Work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return is_stopped_ || !queue_.empty(); });
    if (queue_.empty()) return;
    Job job = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    job(Verdict::kRun);
    job = nullptr;  // what it captured goes before the next wait
    lock.lock();
  }
}

}  // namespace caudal::http::internal
