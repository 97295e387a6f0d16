#pragma once

/// The supervisor's epoll loop.

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>

#include "base/file.h"
#include "base/status.h"

namespace caudal::supervisor::internal {

/// Calls a handler when its descriptor is ready. Single-threaded; a handler may add and remove.
class EventLoop {
 public:
  using Handler = std::function<void(uint32_t events)>;

  EventLoop();
  /// Watches `fd` until `Remove`, which must come before the descriptor is closed.
  uint64_t Add(int fd, uint32_t events, Handler handler);
  void Change(uint64_t id, uint32_t events);
  void Remove(uint64_t id);
  /// Handles what is ready, after waiting at most `timeout_millis` (-1: for ever).
  void RunOnce(int timeout_millis);

 private:
  struct Source {
    int fd;
    Handler handler;
  };

  base::UniqueFd epoll_;
  // Events carry ids that are never used again: an event of a descriptor that was closed and whose
  // number was given out anew finds nobody.
  uint64_t next_id_ = 1;
  std::unordered_map<uint64_t, std::shared_ptr<Source>> sources_;  // shared with a running handler
};

}  // namespace caudal::supervisor::internal
