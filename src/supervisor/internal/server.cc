#include "supervisor/internal/server.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <thread>

#include "base/clock.h"
#include "base/log.h"
#include "process/process.h"
#include "supervisor/internal/channel.h"
#include "supervisor/internal/marks.h"

namespace caudal::supervisor::internal {
namespace {

using base::Result;
using base::Status;
using base::UniqueFd;
using std::chrono::steady_clock;

constexpr size_t kHelloBytes = 60'000;  // well inside what one datagram may hold
constexpr auto kSampleEvery = std::chrono::milliseconds(200);

Result<UniqueFd> WatchSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGCHLD);
  sigaddset(&signals, SIGTERM);
  if (sigprocmask(SIG_BLOCK, &signals, nullptr) != 0) {
    return base::FromErrno(errno, "cannot block signals");
  }
  UniqueFd fd(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.valid()) return base::FromErrno(errno, "cannot watch signals");
  return fd;
}

Result<v1::StepSpec> ReadStep(int64_t key, const std::string& path) {
  CAUDAL_ASSIGN(const std::string bytes, base::ReadFile(path));
  v1::StepSpec spec;
  if (!spec.ParseFromString(bytes)) return base::InvalidArgument(path + " is no step");
  if (spec.version() != 1 && spec.version() != 2) {
    return base::InvalidArgument(path + " has version " + std::to_string(spec.version()) +
                                 ", and only 1 and 2 are known here");
  }
  if (spec.attempt_key() != key) {
    return base::InvalidArgument(path + " is of attempt " + std::to_string(spec.attempt_key()) +
                                 ", not " + std::to_string(key));
  }
  return spec;
}

/// Variables that were kept out of the step's file, and the end of the file that has them.
Status AddPrivateEnv(v1::StepSpec* spec) {
  if (spec->env_path().empty()) return {};
  const Result<std::string> bytes = base::ReadFile(spec->env_path());
  unlink(spec->env_path().c_str());
  if (!bytes.ok()) return bytes.status();
  for (size_t start = 0; start < bytes->size();) {
    const size_t end = std::min(bytes->find('\0', start), bytes->size());
    spec->add_env(bytes->substr(start, end - start));
    start = end + 1;
  }
  return {};
}

v1::StepExit NotStarted(int64_t key, const std::string& code, const std::string& message) {
  v1::StepExit exit;
  exit.set_version(1);
  exit.set_attempt_key(key);
  exit.set_error_code(code);
  exit.set_error(message);
  exit.set_started_at(base::ToMicros(base::SystemClock().Now()));
  exit.set_ended_at(exit.started_at());
  return exit;
}

}  // namespace

Server::Server(Options options)
    : options_(std::move(options)),
      data_dir_id_(DataDirId(options_.data_dir)),
      client_left_(steady_clock::now()),
      next_sample_(steady_clock::now()) {}

Server::~Server() = default;

Status Server::Run() {
  const std::string work = options_.data_dir + "/work";
  CAUDAL_ASSIGN(signals_, WatchSignals());
  CAUDAL_ASSIGN(listener_, Listen(work, "supervisor.sock"));
  loop_.Add(signals_.get(), EPOLLIN, [this](uint32_t) { ReadSignals(); });
  loop_.Add(listener_.get(), EPOLLIN, [this](uint32_t) { AcceptClient(); });
  while (true) {
    const int wait = HandleDeadlines();
    if (ending_ && attempts_.empty()) break;
    loop_.RunOnce(wait);
    FinishEnded();
  }
  FlushAtEnd();
  unlink((work + "/supervisor.sock").c_str());
  return {};
}

// Clients

void Server::AcceptClient() {
  UniqueFd client(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!client.valid()) return;
  ucred peer{};
  socklen_t size = sizeof peer;
  if (getsockopt(client.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 ||
      (peer.uid != geteuid() && peer.uid != 0)) {
    base::LogWarning("refused a client with uid " + std::to_string(peer.uid));
    return;
  }
  DropClient();
  client_ = std::move(client);
  client_source_ = loop_.Add(client_.get(), EPOLLIN, [this](uint32_t events) {
    if ((events & EPOLLOUT) != 0) FlushClient();
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) ReadClient();
  });
  SayHello();
}

void Server::DropClient() {
  if (!client_.valid()) return;
  loop_.Remove(client_source_);
  client_.Reset();
  outgoing_.clear();
  client_left_ = steady_clock::now();
}

void Server::SayHello() {
  v1::SupervisorReport report;
  v1::SupervisorReport::Hello* hello = report.mutable_hello();
  const auto turn_page = [&] {
    hello->set_pid(getpid());
    if (hello->ByteSizeLong() < kHelloBytes) return;
    hello->set_more(true);
    Report(report);
    hello->Clear();
    hello->set_pid(getpid());
  };
  turn_page();
  for (const auto& [key, attempt] : attempts_) {
    hello->add_live(key);
    if (hello->live_size() % 1000 == 0) turn_page();
  }
  for (const auto& [key, exit] : finished_) {
    *hello->add_finished() = exit;
    turn_page();
  }
  Report(report);
}

void Server::ReadClient() {
  while (client_.valid()) {
    v1::SupervisorRequest request;
    switch (Receive(client_.get(), &request)) {
      case Received::kNothing:
        return;
      case Received::kClosed:
        DropClient();
        return;
      case Received::kMessage:
        Obey(request);
        break;
    }
  }
}

void Server::Report(const v1::SupervisorReport& report) {
  if (!client_.valid()) return;
  outgoing_.push_back(report);
  FlushClient();
}

void Server::FlushClient() {
  while (!outgoing_.empty()) {
    const Status sent = Send(client_.get(), outgoing_.front());
    if (sent.code() == base::Code::kResourceExhausted) {
      loop_.Change(client_source_, EPOLLIN | EPOLLOUT);
      return;
    }
    outgoing_.pop_front();
    // A dead client is noticed by reading: dropping it here would be under its own handler's feet.
    if (!sent.ok()) outgoing_.clear();
  }
  loop_.Change(client_source_, EPOLLIN);
}

void Server::FlushAtEnd() {
  if (!client_.valid()) return;
  const timeval patience{2, 0};
  setsockopt(client_.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  fcntl(client_.get(), F_SETFL, 0);
  for (const v1::SupervisorReport& report : outgoing_) {
    if (!Send(client_.get(), report).ok()) return;  // it finds the exits on disk
  }
}

// Requests

void Server::Obey(const v1::SupervisorRequest& request) {
  switch (request.request_case()) {
    case v1::SupervisorRequest::kStart:
      Start(request.start().attempt_key(), request.start().step_path());
      return;
    case v1::SupervisorRequest::kKill: {
      const int64_t key = request.kill().attempt_key();
      const auto live = attempts_.find(key);
      if (live != attempts_.end()) live->second->Kill(request.kill().now());
      const auto done = finished_.find(key);
      if (done != finished_.end()) ReportExit(done->second);
      return;
    }
    case v1::SupervisorRequest::kForget:
      finished_.erase(request.forget().attempt_key());
      return;
    case v1::SupervisorRequest::kShutdown:
      EndAll();
      return;
    case v1::SupervisorRequest::REQUEST_NOT_SET:
      return;
  }
}

void Server::Start(int64_t key, const std::string& step_path) {
  // While ending, silence is the answer: the client sees us go and the attempt as lost.
  if (ending_) return;
  const auto live = attempts_.find(key);
  const auto done = finished_.find(key);
  if (live != attempts_.end()) {
    if (live->second->started() == nullptr) return;
    v1::SupervisorReport report;
    *report.mutable_started() = *live->second->started();
    Report(report);
  } else if (done != finished_.end()) {
    ReportExit(done->second);
  } else {
    StartFresh(key, step_path);
  }
}

void Server::StartFresh(int64_t key, const std::string& step_path) {
  Result<v1::StepSpec> spec = ReadStep(key, step_path);
  if (!spec.ok()) return Record(NotStarted(key, "START", spec.status().message()), "");
  const std::string exit_path = spec->exit_path();
  if (const Result<std::string> before = base::ReadFile(exit_path); before.ok()) {
    // It ended under a supervisor that is gone: it must not run again.
    v1::StepExit exit;
    if (exit.ParseFromString(*before)) {
      finished_[key] = exit;
      return ReportExit(exit);
    }
  }
  const Status added = AddPrivateEnv(&*spec);
  if (!added.ok()) return Record(NotStarted(key, "START", added.message()), exit_path);
  const bool sandbox = spec->sandbox();
  auto attempt = std::make_unique<Attempt>(loop_, *std::move(spec), MakeMark(data_dir_id_, key),
                                           [this](const v1::SupervisorReport::Started& started) {
                                             v1::SupervisorReport report;
                                             *report.mutable_started() = started;
                                             Report(report);
                                           });
  const Status started = attempt->Start();
  if (!started.ok()) {
    return Record(NotStarted(key, sandbox ? "VIEW" : "START", started.message()), exit_path);
  }
  attempts_.emplace(key, std::move(attempt));
}

void Server::ReportExit(const v1::StepExit& exit) {
  v1::SupervisorReport report;
  *report.mutable_exited() = exit;
  Report(report);
}

// Ends

void Server::ReadSignals() {
  signalfd_siginfo info{};
  while (read(signals_.get(), &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGTERM) EndAll();
  }
  Reap();
}

void Server::Reap() {
  int status = 0;
  pid_t pid;
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
    for (const auto& [key, attempt] : attempts_) {
      if (attempt->keeper() == pid) ended_.push_back(key);
    }
  }
}

void Server::FinishEnded() {
  while (!ended_.empty()) {
    const int64_t key = ended_.back();
    ended_.pop_back();
    const auto found = attempts_.find(key);
    if (found == attempts_.end()) continue;
    const std::unique_ptr<Attempt> attempt = std::move(found->second);
    attempts_.erase(found);
    if (attempt->KeeperDiedEarly()) EndOrphans();
    Record(attempt->Finish(), attempt->spec().exit_path());
  }
}

/// Ends what a dead keeper left to us: every child that is no live keeper.
void Server::EndOrphans() {
  while (true) {
    Reap();
    bool left = false;
    for (const pid_t child : process::Children(getpid())) {
      const bool is_keeper =
          std::any_of(attempts_.begin(), attempts_.end(),
                      [child](const auto& entry) { return entry.second->keeper() == child; });
      if (is_keeper) continue;
      left = true;
      process::KillDescendants(child, [this] { Reap(); });
      kill(child, SIGKILL);
    }
    if (!left) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void Server::Record(v1::StepExit exit, const std::string& exit_path) {
  if (!exit_path.empty()) {
    const Status written = base::WriteFileAtomic(exit_path, exit.SerializeAsString());
    if (!written.ok()) base::LogError("an exit is kept in memory only: " + written.message());
  }
  ReportExit(exit);
  finished_[exit.attempt_key()] = std::move(exit);
}

void Server::EndAll() {
  ending_ = true;
  for (const auto& [key, attempt] : attempts_) attempt->Kill(true);
}

void Server::SampleMemory() {
  std::optional<process::Family> family;
  for (const auto& [key, attempt] : attempts_) {
    if (attempt->spec().memory_limit_bytes() <= 0) continue;
    if (!family) family = process::ReadFamily();
    attempt->CheckMemory(*family);
  }
}

/// Does what is due and returns the milliseconds until something else is, -1 for never.
int Server::HandleDeadlines() {
  const SteadyTime now = steady_clock::now();
  std::optional<SteadyTime> next;
  const auto consider = [&next](std::optional<SteadyTime> time) {
    if (time && (!next || *time < *next)) next = time;
  };
  if (now >= next_sample_) {
    SampleMemory();
    next_sample_ = now + kSampleEvery;
  }
  for (const auto& [key, attempt] : attempts_) {
    if (attempt->spec().memory_limit_bytes() > 0) consider(next_sample_);
    consider(attempt->CheckDeadlines(now));
  }
  if (!client_.valid() && !ending_) {
    const auto limit = std::chrono::seconds(attempts_.empty() ? options_.idle_seconds
                                                              : options_.unclaimed_seconds);
    if (now - client_left_ >= limit) {
      EndAll();
      return 0;
    }
    consider(client_left_ + limit);
  }
  if (!next) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*next - now).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, INT_MAX));
}

}  // namespace caudal::supervisor::internal
