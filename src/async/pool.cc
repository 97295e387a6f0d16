#include "async/pool.h"

#include <pthread.h>

#include <utility>

namespace caudal::async {
namespace {

// The kernel keeps 15 characters.
void NameThread(std::thread& thread, const std::string& name, int number) {
  const std::string full = name.substr(0, 12) + "-" + std::to_string(number);
  pthread_setname_np(thread.native_handle(), full.substr(0, 15).c_str());
}

}  // namespace

Pool::Pool(const std::string& name, int threads) {
  threads_.reserve(static_cast<size_t>(threads));
  for (int i = 0; i < threads; ++i) {
    NameThread(threads_.emplace_back([this] { Run(); }), name, i);
  }
}

Pool::~Pool() { Stop(Leftovers::kDrop); }

bool Pool::Post(std::function<void()> work) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stopping_) return false;
    queue_.push_back(std::move(work));
  }
  wake_.notify_one();
  return true;
}

void Pool::Stop(Leftovers leftovers) {
  std::deque<std::function<void()>> dropped;  // destroyed outside the lock
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!stopping_ && leftovers == Leftovers::kDrop) dropped.swap(queue_);
    stopping_ = true;
  }
  wake_.notify_all();
  const std::lock_guard<std::mutex> lock(join_mutex_);
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

void Pool::Run() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    {
      const std::function<void()> work = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      work();
    }
    lock.lock();
  }
}

}  // namespace caudal::async
