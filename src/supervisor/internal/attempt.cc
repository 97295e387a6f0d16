#include "supervisor/internal/attempt.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/clock.h"
#include "sandbox/sandbox.h"
#include "supervisor/internal/channel.h"
#include "supervisor/internal/keeper.h"
#include "supervisor/internal/memory.h"

namespace caudal::supervisor::internal {
namespace {

using base::FromErrno;
using base::Status;
using base::UniqueFd;

constexpr int64_t kReadAtOnce = 256 * 1024;  // per event, so that no step starves the others
constexpr auto kKeeperMayTake = std::chrono::seconds(5);

int64_t NowMicros() { return base::ToMicros(base::SystemClock().Now()); }

/// A fork that may put the child into new namespaces. It must not run the library's fork handlers
/// late, so everything before it is single-threaded.
pid_t ForkKeeper(bool sandbox) {
  if (!sandbox) return fork();
  return static_cast<pid_t>(
      syscall(SYS_clone, sandbox::CloneFlags() | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
}

}  // namespace

Attempt::Attempt(EventLoop& loop, v1::StepSpec spec, std::string mark,
                 std::function<void(const v1::SupervisorReport::Started&)> on_started)
    : loop_(loop), spec_(std::move(spec)), on_started_(std::move(on_started)) {
  spec_.add_env(std::move(mark));
}

Attempt::~Attempt() {
  StopWatching(&channel_source_);
  StopWatching(&output_source_);
}

Status Attempt::Start() {
  CAUDAL_ASSIGN(log_, LogFile::Open(spec_.log_path(), spec_.log_limit_bytes()));
  int pipe[2];
  if (pipe2(pipe, O_CLOEXEC) != 0) return FromErrno(errno, "cannot make a pipe");
  output_.Reset(pipe[0]);
  UniqueFd write_end(pipe[1]);
  fcntl(output_.get(), F_SETFL, O_NONBLOCK);
  // A step that opens /dev/stdout opens the pipe by name: its user must own it.
  if (spec_.sandbox() && geteuid() == 0 &&
      fchown(write_end.get(), sandbox::StepUid(), sandbox::StepGid()) != 0) {
    return FromErrno(errno, "cannot hand the log's pipe to the step's user");
  }
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return FromErrno(errno, "cannot make a socket pair");
  }
  channel_.Reset(ends[0]);
  UniqueFd keeper_end(ends[1]);
  fcntl(channel_.get(), F_SETFL, O_NONBLOCK);
  CAUDAL_TRY(Fork(std::move(keeper_end), std::move(write_end)));
  channel_source_ = loop_.Add(channel_.get(), EPOLLIN, [this](uint32_t) { ReadChannel(); });
  output_source_ = loop_.Add(output_.get(), EPOLLIN, [this](uint32_t) { ReadOutput(kReadAtOnce); });
  return {};
}

Status Attempt::Fork(UniqueFd keeper_channel, UniqueFd output) {
  keeper_ = ForkKeeper(spec_.sandbox());
  if (keeper_ < 0) {
    return FromErrno(errno,
                     spec_.sandbox() ? "cannot make namespaces for a sandbox" : "cannot fork");
  }
  if (keeper_ == 0) RunKeeper(spec_, keeper_channel.get(), output.get());
  if (spec_.sandbox()) {
    const Status mapped = sandbox::WriteIdMaps(keeper_);
    if (!mapped.ok()) {
      EndBecause("VIEW", mapped.message());
      kill(keeper_, SIGKILL);
      return {};
    }
  }
  Order(static_cast<char>(KeeperOrder::kGo));
  return {};
}

void Attempt::Order(char order) {
  [[maybe_unused]] const ssize_t sent = send(channel_.get(), &order, 1, MSG_NOSIGNAL);
}

void Attempt::Kill(bool now) {
  kill_requested_ = true;
  const auto grace = std::chrono::milliseconds(std::max<int64_t>(0, spec_.kill_grace_millis()));
  if (now || grace.count() == 0) {
    kill_at_.reset();
    if (keeper_kill_at_) return;
    Order(static_cast<char>(KeeperOrder::kKill));
    keeper_kill_at_ = std::chrono::steady_clock::now() + kKeeperMayTake;
    return;
  }
  if (kill_at_ || keeper_kill_at_) return;
  Order(static_cast<char>(KeeperOrder::kTerminate));
  kill_at_ = std::chrono::steady_clock::now() + grace;
}

void Attempt::EndBecause(std::string code, std::string message) {
  if (!end_code_.empty()) return;
  end_code_ = std::move(code);
  end_message_ = std::move(message);
  const bool asked = kill_requested_;
  Kill(true);
  kill_requested_ = asked;
}

std::optional<SteadyTime> Attempt::CheckDeadlines(SteadyTime now) {
  if (kill_at_ && *kill_at_ <= now) Kill(true);
  if (keeper_kill_at_ && *keeper_kill_at_ <= now) {
    // It hangs, or was stopped by its own step. Its death ends a sandbox; a plain tree is swept.
    kill(keeper_, SIGKILL);
    keeper_kill_at_ = now + kKeeperMayTake;
  }
  return kill_at_ ? kill_at_ : keeper_kill_at_;
}

void Attempt::CheckMemory(const process::Family& family) {
  if (spec_.memory_limit_bytes() <= 0 || !started_ || keeper_kill_at_) return;
  const int64_t used = TreeMemory(keeper_, family, spec_.memory_limit_bytes());
  if (used <= spec_.memory_limit_bytes()) return;
  EndBecause("OOM", "the step used " + std::to_string(used) +
                        " bytes of memory, which is over its limit of " +
                        std::to_string(spec_.memory_limit_bytes()) + " bytes");
}

void Attempt::ReadChannel() {
  while (true) {
    v1::SupervisorReport report;
    switch (Receive(channel_.get(), &report)) {
      case Received::kNothing:
        return;
      case Received::kClosed:
        StopWatching(&channel_source_);
        return;
      case Received::kMessage:
        break;
    }
    if (report.has_exited()) told_ = std::move(*report.mutable_exited());
    if (report.has_started() && !started_) {
      started_ = report.started();
      if (started_->pid() == 0) started_->set_pid(keeper_);
      on_started_(*started_);
    }
  }
}

void Attempt::ReadOutput(int64_t at_most) {
  std::array<char, 65536> buffer;
  while (at_most > 0) {
    const size_t want = std::min(buffer.size(), static_cast<size_t>(at_most));
    const ssize_t got = read(output_.get(), buffer.data(), want);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return;
    if (got == 0) {
      StopWatching(&output_source_);
      return;
    }
    log_->Append(std::string_view(buffer.data(), static_cast<size_t>(got)), NowMicros());
    at_most -= got;
    if (log_->over_limit()) {
      EndBecause("LOG_LIMIT", "the step wrote more than its log limit of " +
                                  std::to_string(spec_.log_limit_bytes()) + " bytes");
    }
  }
}

bool Attempt::KeeperDiedEarly() {
  ReadChannel();
  return !told_;
}

v1::StepExit Attempt::Finish() {
  // Not until the end of the pipe: the step may have given it to a process outside its tree, which
  // would hold it open. What the tree wrote is all in there now.
  int waiting = 0;
  if (ioctl(output_.get(), FIONREAD, &waiting) == 0) ReadOutput(waiting);
  v1::StepExit exit = told_ ? *told_ : WithoutKeeper();
  exit.set_kill_requested(kill_requested_);
  // A step that was out of the door before the kill came is what it is; a log cut short is not.
  const bool ended_by_us = exit.signal() != 0 || end_code_ == "LOG_LIMIT" || end_code_ == "VIEW";
  if (!end_code_.empty() && ended_by_us && exit.error_code().empty()) {
    exit.set_error_code(end_code_);
    exit.set_error(end_message_);
  }
  if (end_code_ == "VIEW") exit.clear_signal();  // no step was there to be signalled
  return exit;
}

v1::StepExit Attempt::WithoutKeeper() const {
  v1::StepExit exit;
  exit.set_version(1);
  exit.set_attempt_key(spec_.attempt_key());
  exit.set_started(started_.has_value());
  exit.set_signal(SIGKILL);
  exit.set_ended_at(NowMicros());
  exit.set_started_at(started_ ? started_->started_at() : exit.ended_at());
  if (end_code_.empty() && !kill_requested_) {
    exit.set_error(
        "the process that looks after the step was ended by signal 9 (SIGKILL), most likely "
        "because "
        "this machine ran out of memory");
  }
  return exit;
}

void Attempt::StopWatching(uint64_t* source) {
  if (*source != 0) loop_.Remove(*source);
  *source = 0;
}

}  // namespace caudal::supervisor::internal
