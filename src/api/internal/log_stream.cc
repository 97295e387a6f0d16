#include "api/internal/log_stream.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/log.h"

namespace caudal::api::internal {
namespace {

constexpr size_t kChunkBytes = 64 << 10;
constexpr auto kSizeInterval = std::chrono::milliseconds(20);
constexpr int kSizesPerCompletion = 5;  // completion costs a query, so it is asked for less often

void Look(FollowedLog* log, bool asks_completion) {
  if (asks_completion && !log->is_known_complete && log->is_complete()) {
    log->is_known_complete = true;
    log->wake();
    return;
  }
  struct stat info;
  if (stat(log->path.c_str(), &info) == 0 && info.st_size > log->sent) log->wake();
}

}  // namespace

LogWatcher::LogWatcher() : thread_([this] { Work(); }) {}

LogWatcher::~LogWatcher() {
  {
    std::lock_guard lock(mutex_);
    is_stopped_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

void LogWatcher::Follow(std::shared_ptr<FollowedLog> log) {
  std::lock_guard lock(mutex_);
  logs_.push_back(std::move(log));
  changed_.notify_all();
}

void LogWatcher::Unfollow(const FollowedLog* log) {
  std::lock_guard lock(mutex_);
  std::erase_if(logs_, [log](const auto& followed) { return followed.get() == log; });
}

void LogWatcher::Work() {
  std::unique_lock lock(mutex_);
  for (int round = 0; true; ++round) {
    changed_.wait(lock, [this] { return is_stopped_ || !logs_.empty(); });
    if (is_stopped_) return;
    const std::vector<std::shared_ptr<FollowedLog>> logs = logs_;
    lock.unlock();
    for (const auto& log : logs) Look(log.get(), round % kSizesPerCompletion == 0);
    lock.lock();
    changed_.wait_for(lock, kSizeInterval, [this] { return is_stopped_; });
  }
}

LogStream::LogStream(service::LogSource source, int64_t offset, LogWatcher* watcher)
    : log_(std::make_shared<FollowedLog>()), watcher_(watcher), offset_(offset) {
  log_->path = std::move(source.path);
  log_->is_complete = std::move(source.is_complete);
  log_->sent = offset;
}

LogStream::~LogStream() {
  if (watcher_ != nullptr) watcher_->Unfollow(log_.get());
}

void LogStream::SetWaker(std::function<void()> wake) {
  log_->wake = std::move(wake);
  if (watcher_ != nullptr) watcher_->Follow(log_);
}

http::BodyStream::State LogStream::Next(std::string* chunk) {
  // Asked before reading: what is written before completion is read after it.
  const bool is_over = watcher_ == nullptr || log_->is_known_complete;
  if (!file_.valid()) file_.Reset(open(log_->path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file_.valid()) return is_over ? State::kEnd : State::kWait;
  chunk->resize(kChunkBytes);
  const ssize_t count = pread(file_.get(), chunk->data(), chunk->size(), offset_);
  chunk->resize(static_cast<size_t>(std::max<ssize_t>(count, 0)));
  if (count > 0) {
    offset_ += count;
    log_->sent = offset_;
    return State::kData;
  }
  if (count < 0) base::LogWarning(base::FromErrno(errno, "reading " + log_->path).message());
  return is_over || count < 0 ? State::kEnd : State::kWait;
}

}  // namespace caudal::api::internal
