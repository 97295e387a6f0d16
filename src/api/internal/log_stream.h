#pragma once

/// A log file as a response body that can follow it while it grows.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"
#include "http/server.h"
#include "service/method.h"

namespace caudal::api::internal {

/// What a followed log and the thread that watches it share.
struct FollowedLog {
  std::string path;
  std::function<bool()> is_complete;  ///< may block on the database: asked by the watcher only
  std::function<void()> wake;
  std::atomic<int64_t> sent = 0;  ///< bytes from the start of the file
  std::atomic<bool> is_known_complete = false;
};

/// Looks at followed logs a few times a second and wakes the streams of those that grew or ended.
///
/// Polls, because inotify does not see what a splice writes on the kernels of Debian 12. Its one
/// thread sleeps while nothing is followed. Thread-safe.
class LogWatcher {
 public:
  LogWatcher();
  ~LogWatcher();

  /// `log->wake` must be set and callable for as long as the log is followed, and a moment longer.
  void Follow(std::shared_ptr<FollowedLog> log);
  void Unfollow(const FollowedLog* log);

 private:
  void Work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::shared_ptr<FollowedLog>> logs_;
  bool is_stopped_ = false;
  std::thread thread_;
};

/// Sends `source` from byte `offset` on. With a watcher it stays open until the log is complete;
/// without, it ends with the file. The watcher must outlive it.
class LogStream final : public http::BodyStream {
 public:
  LogStream(service::LogSource source, int64_t offset, LogWatcher* watcher);
  ~LogStream() override;
  void SetWaker(std::function<void()> wake) override;
  State Next(std::string* chunk) override;

 private:
  std::shared_ptr<FollowedLog> log_;  // co-owned by the watcher while followed
  LogWatcher* watcher_;               // null: do not follow
  int64_t offset_;
  base::UniqueFd file_;
};

}  // namespace caudal::api::internal
