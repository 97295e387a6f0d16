#include "supervisor/client.h"

#include <sys/socket.h>

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "supervisor/internal/channel.h"
#include "supervisor/internal/connection.h"
#include "supervisor/internal/marks.h"

namespace caudal::supervisor {

using base::Result;
using base::Status;
using internal::Connection;
using internal::Received;
using Hello = v1::SupervisorReport::Hello;

namespace {

constexpr auto kSupervisorMayTake = std::chrono::seconds(30);
constexpr int kTries = 5;

Result<std::string> RealPath(const std::string& path) {
  std::error_code error;
  const std::filesystem::path real = std::filesystem::canonical(path, error);
  if (error) return base::FromErrno(error.value(), "cannot resolve " + path);
  return real.string();
}

/// The exit that the step's supervisor wrote before it died, if it did.
std::optional<v1::StepExit> ExitOnDisk(const std::string& step_path) {
  v1::StepSpec step;
  v1::StepExit exit;
  const Result<std::string> step_bytes = base::ReadFile(step_path);
  if (!step_bytes.ok() || !step.ParseFromString(*step_bytes)) return std::nullopt;
  const Result<std::string> exit_bytes = base::ReadFile(step.exit_path());
  if (!exit_bytes.ok() || !exit.ParseFromString(*exit_bytes)) return std::nullopt;
  return exit;
}

}  // namespace

/// The reader thread alone receives, calls back and closes; any thread sends, under `mutex`.
struct Client::Impl {
  enum class State {
    kConnected,
    kDisconnected,  // the supervisor died and its loss has been dealt with
    kReplaced,      // the supervisor listens to another server now
  };

  ClientOptions options;
  Callbacks callbacks;
  std::string data_dir_id;

  std::mutex mutex;
  std::condition_variable changed;
  State state = State::kDisconnected;
  bool stopping = false;
  Connection connection;
  int64_t connections = 0;  // made so far: tells one that was closed from the one that came after
  std::map<int64_t, std::string> live;  // attempt key → step file
  std::deque<v1::StepExit> unheard;     // exits that a later Hello told
  std::thread reader;

  Status Reopen(Hello* hello);
  Status Request(const v1::SupervisorRequest& request, int64_t start_key,
                 const std::string& step_path);
  Status WaitUntilClosed(std::unique_lock<std::mutex>& lock, int64_t number);

  void Read();
  bool AwaitConnection();
  void Dispatch(const v1::SupervisorReport& report);
  void HandleClosed();
  void ReportLoss(const std::map<int64_t, std::string>& lost);
};

/// With `mutex` held, or before the reader exists.
Status Client::Impl::Reopen(Hello* hello) {
  CAUDAL_ASSIGN(connection, internal::OpenOrSpawn(options.executable, options.data_dir, hello));
  live.clear();
  for (const int64_t key : hello->live()) {
    live[key] = options.data_dir + "/work/" + std::to_string(key) + "/step.pb";
  }
  for (const v1::StepExit& exit : hello->finished()) live.erase(exit.attempt_key());
  internal::KillStrays(data_dir_id, [this](int64_t key) { return live.count(key) > 0; });
  state = State::kConnected;
  ++connections;
  changed.notify_all();
  return {};
}

Status Client::Impl::Request(const v1::SupervisorRequest& request, int64_t start_key,
                             const std::string& step_path) {
  std::unique_lock<std::mutex> lock(mutex);
  for (int tries = 0; tries < kTries; ++tries) {
    if (state == State::kReplaced) {
      return base::Aborted("another server has taken over the steps of " + options.data_dir);
    }
    if (state == State::kDisconnected) {
      Hello hello;
      CAUDAL_TRY(Reopen(&hello));
      for (const v1::StepExit& exit : hello.finished()) unheard.push_back(exit);
    }
    if (start_key != 0) live[start_key] = step_path;
    const Status sent = internal::Send(connection.socket.get(), request);
    if (sent.ok()) return {};
    if (start_key != 0) live.erase(start_key);
    if (sent.code() != base::Code::kUnavailable) return sent;
    CAUDAL_TRY(WaitUntilClosed(lock, connections));
  }
  return base::Unavailable("supervisors of steps end as soon as they start; see " +
                           options.data_dir + "/supervisor.log");
}

/// After a failed send on connection `number`: until the reader has dealt with the loss, which it
/// cannot when it is us. Another thread may have connected again by the time this one wakes up.
Status Client::Impl::WaitUntilClosed(std::unique_lock<std::mutex>& lock, int64_t number) {
  const auto gone = base::Unavailable("the supervisor of steps has just ended; try again");
  if (std::this_thread::get_id() == reader.get_id()) return gone;
  const bool closed = changed.wait_for(lock, kSupervisorMayTake, [this, number] {
    return state != State::kConnected || connections != number || stopping;
  });
  return closed && !stopping ? base::OkStatus() : gone;
}

bool Client::Impl::AwaitConnection() {
  std::unique_lock<std::mutex> lock(mutex);
  changed.wait(lock, [this] { return stopping || state == State::kConnected; });
  std::deque<v1::StepExit> exits = std::exchange(unheard, {});
  const bool go_on = !stopping;
  lock.unlock();
  for (const v1::StepExit& exit : exits) callbacks.on_exit(exit);
  return go_on;
}

void Client::Impl::Read() {
  while (AwaitConnection()) {
    v1::SupervisorReport report;
    switch (internal::Receive(connection.socket.get(), &report)) {
      case Received::kMessage:
        Dispatch(report);
        break;
      case Received::kNothing:
        break;
      case Received::kClosed:
        HandleClosed();
        break;
    }
  }
}

void Client::Impl::Dispatch(const v1::SupervisorReport& report) {
  if (report.has_started() && callbacks.on_started) {
    callbacks.on_started(report.started().attempt_key(), report.started().started_at());
  }
  if (report.has_exited()) {
    {
      const std::lock_guard<std::mutex> lock(mutex);
      live.erase(report.exited().attempt_key());
    }
    if (callbacks.on_exit) callbacks.on_exit(report.exited());
  }
}

void Client::Impl::HandleClosed() {
  {
    const std::lock_guard<std::mutex> lock(mutex);
    if (stopping) return;
  }
  // A supervisor closes a living connection only for another client; a dying one takes a moment.
  const bool died = internal::HasEnded(connection, std::chrono::seconds(2));
  if (died) internal::KillStrays(data_dir_id, [](int64_t) { return false; });
  std::map<int64_t, std::string> lost;
  {
    const std::lock_guard<std::mutex> lock(mutex);
    state = died ? State::kDisconnected : State::kReplaced;
    connection.socket.Reset();
    if (died) lost = std::exchange(live, {});
  }
  changed.notify_all();
  if (died) {
    ReportLoss(lost);
  } else {
    base::LogError("another server has taken over the steps of " + options.data_dir);
  }
}

void Client::Impl::ReportLoss(const std::map<int64_t, std::string>& lost) {
  std::vector<int64_t> keys;
  for (const auto& [key, step_path] : lost) {
    const std::optional<v1::StepExit> exit = ExitOnDisk(step_path);
    if (!exit) {
      keys.push_back(key);
    } else if (callbacks.on_exit) {
      callbacks.on_exit(*exit);
    }
  }
  if (!keys.empty() && callbacks.on_lost) callbacks.on_lost(keys);
}

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<Client>> Client::Connect(ClientOptions options, Callbacks callbacks,
                                                Hello* hello) {
  CAUDAL_TRY(base::MakeDirs(options.data_dir + "/work"));
  auto impl = std::make_unique<Impl>();
  // The supervisor works in "/": relative paths would mean something else there.
  CAUDAL_ASSIGN(options.data_dir, RealPath(options.data_dir));
  CAUDAL_ASSIGN(options.executable, RealPath(options.executable));
  impl->options = std::move(options);
  impl->callbacks = std::move(callbacks);
  impl->data_dir_id = internal::DataDirId(impl->options.data_dir);
  CAUDAL_TRY(impl->Reopen(hello));
  impl->reader = std::thread([raw = impl.get()] { raw->Read(); });
  return std::unique_ptr<Client>(new Client(std::move(impl)));
}

Client::~Client() {
  {
    const std::lock_guard<std::mutex> lock(impl_->mutex);
    impl_->stopping = true;
    if (impl_->connection.socket.valid()) shutdown(impl_->connection.socket.get(), SHUT_RDWR);
  }
  impl_->changed.notify_all();
  impl_->reader.join();
}

Status Client::Start(int64_t attempt_key, const std::string& step_path) {
  v1::SupervisorRequest request;
  request.mutable_start()->set_attempt_key(attempt_key);
  request.mutable_start()->set_step_path(step_path);
  return impl_->Request(request, attempt_key, step_path);
}

Status Client::Kill(int64_t attempt_key, bool now) {
  v1::SupervisorRequest request;
  request.mutable_kill()->set_attempt_key(attempt_key);
  request.mutable_kill()->set_now(now);
  return impl_->Request(request, 0, "");
}

Status Client::Forget(int64_t attempt_key) {
  v1::SupervisorRequest request;
  request.mutable_forget()->set_attempt_key(attempt_key);
  return impl_->Request(request, 0, "");
}

Status Client::ShutDown() {
  v1::SupervisorRequest request;
  request.mutable_shutdown();
  std::unique_lock<std::mutex> lock(impl_->mutex);
  if (impl_->state != Impl::State::kConnected) return {};
  const Status sent = internal::Send(impl_->connection.socket.get(), request);
  if (!sent.ok() && sent.code() != base::Code::kUnavailable) return sent;
  const bool gone = impl_->changed.wait_for(
      lock, kSupervisorMayTake, [this] { return impl_->state != Impl::State::kConnected; });
  if (gone) return {};
  return Status(base::Code::kDeadlineExceeded, "the supervisor of steps does not end");
}

}  // namespace caudal::supervisor
