#pragma once

/// Which waiting attempts may start, given what the machine has: pure bookkeeping, no threads.

#include <compare>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "caudal/v1/attempt.pb.h"

namespace caudal::executor::internal {

/// An amount of the machine.
struct Share {
  int64_t cpu_milli = 0;
  int64_t memory_bytes = 0;
  auto operator<=>(const Share&) const = default;
};

/// First come first served, except that an attempt that fits may pass earlier ones that do not. The
/// earliest is passed at most kMaxBypasses times; then everybody waits until it fits, so none
/// starves.
///
/// The cost of a decision depends on how many different shares wait, not on how many attempts. Not
/// thread-safe.
class Admission {
 public:
  static constexpr int kMaxBypasses = 16;

  explicit Admission(Share capacity) : capacity_(capacity), free_(capacity) {}

  /// What an attempt counts for: its request, else its limit, else 1 core and 256 MiB; never more
  /// than the machine, in which case it runs alone and `note` says so.
  Share ShareOf(const v1::Resources& resources, std::string* note) const;

  void Enqueue(int64_t key, Share share);
  /// Takes the share of an attempt that runs already, even if that is more than there is.
  void Occupy(int64_t key, Share share);
  /// Takes every waiting attempt that may start now, in order.
  std::vector<int64_t> Admit();
  /// "waiting for memory" or "waiting for a core": what such a share waits for now.
  std::string WhyWaiting(Share share) const;
  /// Gives back what `key` holds, or takes it out of the queue. No effect for an unknown key.
  void Release(int64_t key);

 private:
  struct Waiting {
    int64_t sequence = 0;
    int64_t key = 0;
  };
  using Queues = std::map<Share, std::deque<Waiting>>;

  bool Fits(Share share) const;
  void DropReleased();

  const Share capacity_;
  Share free_;
  int64_t next_sequence_ = 0;
  Queues queues_;                       // may hold keys that were released meanwhile
  std::map<int64_t, int64_t> waiting_;  // key → sequence
  std::map<int64_t, Share> held_;
  int64_t passed_sequence_ = -1;  // the earliest attempt, and how often others went first
  int bypasses_ = 0;
};

}  // namespace caudal::executor::internal
