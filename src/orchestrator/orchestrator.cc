#include "orchestrator/orchestrator.h"

#include <algorithm>
#include <future>

#include "base/log.h"
#include "model/task.h"
#include "orchestrator/internal/turn.h"

namespace caudal::orchestrator {

using base::Result;
using base::Status;

namespace {

constexpr auto kRetryCommitAfter = std::chrono::milliseconds(500);
// A turn that has brought so many events leaves the rest to the next one.
constexpr int kEventsPerTurn = 500;
// Waits for a timer are no longer than this, so that a wall clock that was set is noticed.
constexpr base::Duration kLongestWait = std::chrono::seconds(30);

/// Waits for the answer to what `post` posts.
template <typename T, typename Post>
T Await(const Post& post) {
  auto answer = std::make_shared<std::promise<T>>();  // shared with the turn
  auto future = answer->get_future();
  post([answer](T value) { answer->set_value(std::move(value)); });
  return future.get();
}

}  // namespace

Orchestrator::Orchestrator(store::Store& store, executor::Executor& executor,
                           const base::Clock& clock, std::function<std::string()> random,
                           Options options)
    : store_(store),
      executor_(executor),
      clock_(clock),
      random_(std::move(random)),
      options_(options) {}

Orchestrator::~Orchestrator() { Stop(); }

Status Orchestrator::Recover() {
  std::vector<int64_t> open;
  std::vector<store::OutboxEntry> outbox;
  CAUDAL_TRY(store_.Read([&](sql::Database& database) -> Status {
    CAUDAL_ASSIGN(next_key_, store::GetNextKey(database));
    CAUDAL_ASSIGN(open, store::ListOpenRuns(database));
    CAUDAL_ASSIGN(outbox, store::ListOutbox(database));
    for (const int64_t run_key : open) {
      // One damaged run must not keep the others from going on.
      const Status loaded = Load(database, run_key);
      if (!loaded.ok()) base::LogError("run not resumed: " + loaded.ToString());
    }
    return {};
  }));
  std::vector<int64_t> current;
  for (const auto& [attempt_key, place] : attempts_) current.push_back(attempt_key);
  executor_.Adopt(current, this);
  for (const store::OutboxEntry& entry : outbox) {
    const auto run = runs_.find(entry.run_key);
    if (run != runs_.end()) Dispatch(entry.run_key, run->second->state, entry.command);
  }
  for (const auto& [run_key, run] : runs_) LaunchLive(run_key, run->state);
  return {};
}

void Orchestrator::Start() {
  thread_ = std::thread([this] { Loop(); });
}

void Orchestrator::Stop() {
  {
    const std::lock_guard lock(mailbox_mutex_);
    is_stopping_ = true;
  }
  mailbox_filled_.notify_all();
  StopWaits();
  if (thread_.joinable()) thread_.join();
}

void Orchestrator::Loop() {
  while (true) {
    WaitForWork();
    {
      const std::lock_guard lock(mailbox_mutex_);
      if (is_stopping_) break;
    }
    const Result<bool> turned = Pump();
    if (turned.ok()) continue;
    base::LogError("commit failed, trying again: " + turned.status().ToString());
    std::unique_lock lock(mailbox_mutex_);
    mailbox_filled_.wait_for(lock, kRetryCommitAfter, [&] { return is_stopping_; });
  }
  // Callers still waiting must not wait for ever. What executors reported is told again at restart.
  std::vector<Message> left;
  {
    const std::lock_guard lock(mailbox_mutex_);
    left.swap(mailbox_);
  }
  for (const Message& message : left) Refuse(message, base::Unavailable("the server is stopping"));
}

void Orchestrator::WaitForWork() {
  std::unique_lock lock(mailbox_mutex_);
  while (!is_stopping_ && mailbox_.empty()) {
    const std::optional<base::Time> next = NextTimer();
    if (!next) {
      mailbox_filled_.wait(lock);
      continue;
    }
    const base::Duration left = *next - clock_.Now();
    if (left.count() <= 0) return;
    mailbox_filled_.wait_for(lock, std::min(left, kLongestWait));
  }
}

std::optional<base::Time> Orchestrator::NextTimer() const {
  if (timers_.empty()) return std::nullopt;
  return base::TimeFromMicros(timers_.begin()->at);
}

void Orchestrator::Post(Message message) {
  {
    const std::lock_guard lock(mailbox_mutex_);
    mailbox_.push_back(std::move(message));
  }
  mailbox_filled_.notify_one();
}

void Orchestrator::PostCreate(NewRun run, std::function<void(Result<int64_t>)> done) {
  Post(Create{std::move(run), std::move(done)});
}

void Orchestrator::PostTerminate(int64_t run_key, std::string by, bool now,
                                 std::function<void(Status)> done) {
  Post(Terminating{run_key, std::move(by), now, std::move(done)});
}

void Orchestrator::PostRetry(int64_t run_key, std::string by, std::function<void(Status)> done) {
  Post(Retrying{run_key, std::move(by), std::move(done)});
}

void Orchestrator::PostDelete(int64_t run_key, std::function<void(Status)> done) {
  Post(Delete{run_key, std::move(done)});
}

void Orchestrator::Waiting(int64_t attempt_key, const std::string& reason) {
  Post(AttemptWaiting{attempt_key, reason});
}

void Orchestrator::Started(int64_t attempt_key, int64_t at_micros) {
  Post(AttemptStarted{attempt_key, at_micros});
}

void Orchestrator::Finished(const v1::AttemptOutcome& outcome) { Post(AttemptFinished{outcome}); }

Result<int64_t> Orchestrator::CreateRun(NewRun run) {
  return Await<Result<int64_t>>([&](auto done) { PostCreate(std::move(run), done); });
}

Status Orchestrator::Terminate(int64_t run_key, const std::string& by, bool now) {
  return Await<Status>([&](auto done) { PostTerminate(run_key, by, now, done); });
}

Status Orchestrator::Retry(int64_t run_key, const std::string& by) {
  return Await<Status>([&](auto done) { PostRetry(run_key, by, done); });
}

Status Orchestrator::DeleteRun(int64_t run_key) {
  return Await<Status>([&](auto done) { PostDelete(run_key, done); });
}

void Orchestrator::WaitForChange(int64_t run_key, int64_t after,
                                 std::chrono::milliseconds timeout) {
  std::unique_lock lock(watch_mutex_);
  sequence_moved_.wait_for(lock, timeout, [&] {
    const auto found = sequences_.find(run_key);
    return waits_are_over_ || found == sequences_.end() || found->second > after;
  });
}

void Orchestrator::StopWaits() {
  {
    const std::lock_guard lock(watch_mutex_);
    waits_are_over_ = true;
  }
  sequence_moved_.notify_all();
}

void Orchestrator::Publish(int64_t run_key, int64_t seq, bool is_open) {
  {
    const std::lock_guard lock(watch_mutex_);
    if (is_open) {
      sequences_[run_key] = seq;
    } else {
      sequences_.erase(run_key);
    }
  }
  sequence_moved_.notify_all();
}

Result<bool> Orchestrator::Pump() {
  std::vector<Message> messages;
  {
    const std::lock_guard lock(mailbox_mutex_);
    messages.swap(mailbox_);
  }
  Turn turn;
  turn.due = TakeDueTimers();
  if (messages.empty() && turn.due.empty()) return false;
  turn.next_key = next_key_;
  const Status committed = store_.Write([&](sql::Database& database) {
    turn.database = &database;
    return Work(turn, messages);
  });
  if (!committed.ok()) {
    RollBack(turn, std::move(messages), committed);
    return committed;
  }
  Settle(turn, std::move(messages));
  return true;
}

// Those of tasks that have since been woken, or ended, or whose run has, mean nothing any more.
std::vector<Orchestrator::Timer> Orchestrator::TakeDueTimers() {
  const int64_t now = base::ToMicros(clock_.Now());
  std::vector<Timer> due;
  while (!timers_.empty() && timers_.begin()->at <= now) {
    const Timer timer = *timers_.begin();
    timers_.erase(timers_.begin());
    const auto run = runs_.find(timer.run_key);
    const bool is_current = run == runs_.end()
                                ? put_out_.count(timer.run_key) > 0
                                : run->second->state.task(timer.task).wake_at() == timer.at;
    if (is_current) due.push_back(timer);
  }
  return due;
}

Status Orchestrator::Work(Turn& turn, const std::vector<Message>& messages) {
  while (turn.fired < turn.due.size() && turn.events < kEventsPerTurn) {
    Handle(turn, turn.due[turn.fired++]);
    CAUDAL_TRY(turn.failure);
  }
  // One message at least, whatever timers are due: none waits for ever.
  const auto goes_on = [&] { return turn.handled == 0 || turn.events < kEventsPerTurn; };
  while (turn.handled < messages.size() && goes_on()) {
    std::visit([&](const auto& m) { Handle(turn, m); }, messages[turn.handled++]);
    CAUDAL_TRY(turn.failure);
  }
  CAUDAL_TRY(Flush(turn));
  for (const int64_t run_key : turn.deleted) {
    CAUDAL_TRY(store::DeleteRun(*turn.database, run_key));
  }
  return turn.next_key == next_key_ ? Status() : store::SetNextKey(*turn.database, turn.next_key);
}

void Orchestrator::Settle(Turn& turn, std::vector<Message> messages) {
  next_key_ = turn.next_key;
  timers_.insert(turn.timers.begin(), turn.timers.end());
  timers_.insert(turn.due.begin() + static_cast<int64_t>(turn.fired), turn.due.end());
  for (const int64_t attempt_key : turn.finished_attempts) {
    attempts_.erase(attempt_key);
    executor_.Forget(attempt_key);
  }
  for (const int64_t run_key : turn.deleted) DropRun(run_key);
  for (const auto& [run_key, command] : turn.commands) {
    const auto run = runs_.find(run_key);
    if (run != runs_.end()) Dispatch(run_key, run->second->state, command);
  }
  for (const int64_t run_key : turn.touched) {
    const auto run = runs_.find(run_key);
    if (run == runs_.end()) continue;  // deleted
    const bool is_open = !model::IsFinal(run->second->state.run().phase());
    Publish(run_key, run->second->seq, is_open);
    if (!is_open) runs_.erase(run);
  }
  for (const auto& answer : turn.answers) answer(Status());
  messages.erase(messages.begin(), messages.begin() + static_cast<int64_t>(turn.handled));
  PutBack(std::move(messages));
}

void Orchestrator::RollBack(Turn& turn, std::vector<Message> messages, const Status& why) {
  // Memory is ahead of the disk: drop it, it is read again when next needed.
  for (const int64_t run_key : turn.touched) {
    runs_.erase(run_key);
    put_out_.insert(run_key);
  }
  timers_.insert(turn.due.begin(), turn.due.end());
  // Callers are told now rather than kept until the disk has room again. Reports are handled again.
  for (const auto& answer : turn.answers) answer(why);
  for (size_t i = turn.handled; i < messages.size(); ++i) Refuse(messages[i], why);
  std::erase_if(messages, IsRequest);
  PutBack(std::move(messages));
}

// A caller waits for a request; nobody for a report.
bool Orchestrator::IsRequest(const Message& message) {
  return std::visit(
      [](const auto& m) {
        return requires { m.done; };
      },
      message);
}

void Orchestrator::Refuse(const Message& message, const Status& why) {
  std::visit(
      [&](const auto& m) {
        if constexpr (requires { m.done; }) m.done(why);
      },
      message);
}

void Orchestrator::PutBack(std::vector<Message> messages) {
  const std::lock_guard lock(mailbox_mutex_);
  mailbox_.insert(mailbox_.begin(), std::make_move_iterator(messages.begin()),
                  std::make_move_iterator(messages.end()));
}

}  // namespace caudal::orchestrator
