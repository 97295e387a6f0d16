#include "supervisor/internal/event_loop.h"

#include <sys/epoll.h>

#include <array>

namespace caudal::supervisor::internal {

EventLoop::EventLoop() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  CAUDAL_CHECK(epoll_.valid(), "no epoll descriptor");
}

uint64_t EventLoop::Add(int fd, uint32_t events, Handler handler) {
  const uint64_t id = next_id_++;
  epoll_event event{};
  event.events = events;
  event.data.u64 = id;
  CAUDAL_CHECK(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0, "cannot watch descriptor");
  sources_.emplace(id, std::make_shared<Source>(Source{fd, std::move(handler)}));
  return id;
}

void EventLoop::Change(uint64_t id, uint32_t events) {
  const auto found = sources_.find(id);
  if (found == sources_.end()) return;
  epoll_event event{};
  event.events = events;
  event.data.u64 = id;
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, found->second->fd, &event);
}

void EventLoop::Remove(uint64_t id) {
  const auto found = sources_.find(id);
  if (found == sources_.end()) return;
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, found->second->fd, nullptr);
  sources_.erase(found);
}

void EventLoop::RunOnce(int timeout_millis) {
  std::array<epoll_event, 64> events;
  const int ready =
      epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout_millis);
  for (int i = 0; i < ready; ++i) {
    const auto found = sources_.find(events[static_cast<size_t>(i)].data.u64);
    if (found == sources_.end()) continue;
    const std::shared_ptr<Source> source = found->second;
    source->handler(events[static_cast<size_t>(i)].events);
  }
}

}  // namespace caudal::supervisor::internal
