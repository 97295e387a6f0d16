#include "executor/internal/admission.h"

#include <algorithm>

namespace caudal::executor::internal {
namespace {

constexpr int64_t kDefaultCpuMilli = 1000;
constexpr int64_t kDefaultMemoryBytes = 256LL << 20;

int64_t FirstGiven(int64_t request, int64_t limit, int64_t otherwise) {
  if (request > 0) return request;
  return limit > 0 ? limit : otherwise;
}

std::string CoresText(int64_t milli) {
  std::string text = std::to_string(milli / 1000);
  if (milli % 1000 != 0) {
    std::string rest = std::to_string(1000 + milli % 1000).substr(1);
    rest.erase(rest.find_last_not_of('0') + 1);
    text += "." + rest;
  }
  return text;
}

std::string Describe(Share share) {
  return CoresText(share.cpu_milli) + " cores and " + std::to_string(share.memory_bytes >> 20) +
         " MiB";
}

}  // namespace

Share Admission::ShareOf(const v1::Resources& resources, std::string* note) const {
  const Share wanted = {FirstGiven(resources.cpu_request_milli(), resources.cpu_limit_milli(),
                                   std::min(kDefaultCpuMilli, capacity_.cpu_milli)),
                        FirstGiven(resources.memory_request_bytes(), resources.memory_limit_bytes(),
                                   std::min(kDefaultMemoryBytes, capacity_.memory_bytes))};
  if (wanted.cpu_milli <= capacity_.cpu_milli && wanted.memory_bytes <= capacity_.memory_bytes) {
    return wanted;
  }
  *note = "asks for " + Describe(wanted) + ", more than the " + Describe(capacity_) +
          " that steps may use here: it runs alone";
  return capacity_;
}

void Admission::Enqueue(int64_t key, Share share) {
  const int64_t sequence = next_sequence_++;
  waiting_[key] = sequence;
  queues_[share].push_back({sequence, key});
}

void Admission::Occupy(int64_t key, Share share) {
  held_[key] = share;
  free_.cpu_milli -= share.cpu_milli;
  free_.memory_bytes -= share.memory_bytes;
}

std::vector<int64_t> Admission::Admit() {
  std::vector<int64_t> admitted;
  while (true) {
    DropReleased();
    auto earliest = queues_.end();
    auto chosen = queues_.end();
    for (auto queue = queues_.begin(); queue != queues_.end(); ++queue) {
      const int64_t sequence = queue->second.front().sequence;
      if (earliest == queues_.end() || sequence < earliest->second.front().sequence) {
        earliest = queue;
      }
      if (!Fits(queue->first)) continue;
      if (chosen == queues_.end() || sequence < chosen->second.front().sequence) chosen = queue;
    }
    if (chosen == queues_.end()) return admitted;
    if (chosen != earliest) {
      const int64_t passed = earliest->second.front().sequence;
      if (passed != passed_sequence_) bypasses_ = 0;
      if (bypasses_ == kMaxBypasses) return admitted;
      passed_sequence_ = passed;
      ++bypasses_;
    }
    const int64_t key = chosen->second.front().key;
    chosen->second.pop_front();
    waiting_.erase(key);
    Occupy(key, chosen->first);
    admitted.push_back(key);
  }
}

void Admission::Release(int64_t key) {
  waiting_.erase(key);
  const auto held = held_.find(key);
  if (held == held_.end()) return;
  free_.cpu_milli += held->second.cpu_milli;
  free_.memory_bytes += held->second.memory_bytes;
  held_.erase(held);
}

std::string Admission::WhyWaiting(Share share) const {
  const bool lacks_memory = share.memory_bytes > free_.memory_bytes;
  return lacks_memory ? "waiting for memory" : "waiting for a core";
}

bool Admission::Fits(Share share) const {
  return share.cpu_milli <= free_.cpu_milli && share.memory_bytes <= free_.memory_bytes;
}

// Leaves every queue with a live front.
void Admission::DropReleased() {
  for (auto queue = queues_.begin(); queue != queues_.end();) {
    std::deque<Waiting>& entries = queue->second;
    while (!entries.empty()) {
      const auto waiting = waiting_.find(entries.front().key);
      if (waiting != waiting_.end() && waiting->second == entries.front().sequence) break;
      entries.pop_front();
    }
    queue = entries.empty() ? queues_.erase(queue) : std::next(queue);
  }
}

}  // namespace caudal::executor::internal
