#include "orchestrator/orchestrator.h"

#include <algorithm>
#include <future>
#include <set>

#include "base/log.h"
#include "base/uuid.h"
#include "engine/attempt.h"
#include "engine/step.h"
#include "model/task.h"

namespace caudal::orchestrator {

using base::Result;
using base::Status;

namespace {

constexpr auto kRetryCommitAfter = std::chrono::milliseconds(500);

// Of a run that exists no more, or has ended.
bool IsGone(const Status& status) {
  return status.code() == base::Code::kNotFound || status.code() == base::Code::kFailedPrecondition;
}

// Of a run whose stored form cannot be understood, now or later.
bool IsDamage(const Status& status) {
  return status.code() == base::Code::kDataLoss || status.code() == base::Code::kInvalidArgument;
}

}  // namespace

/// What one turn has gathered, until it is committed or rolled back.
struct Orchestrator::Turn {
  std::vector<store::RunChange> changes;
  std::set<int64_t> touched;  // run keys whose memory is ahead of the disk
  int64_t next_key = 0;

  // Runs created in this turn have no key yet: they carry a negative stand-in until the commit.
  struct Created {
    store::Run row;
    std::unique_ptr<OpenRun> run;
    std::function<void(Result<int64_t>)> done;
    Status refused;  // by the database: a taken id fails its own request only
  };
  std::map<int64_t, Created> created;
  std::vector<int64_t> deleted;  // run keys, removed after all changes of the turn
  std::vector<std::pair<std::function<void(Status)>, Status>> answers;
  std::vector<int64_t> finished_attempts;
  Status failure;  // of reading what a message needs; nothing is committed then
};

Orchestrator::Orchestrator(store::Store& store, executor::Executor& executor,
                           const base::Clock& clock, std::function<std::string()> random)
    : store_(store), executor_(executor), clock_(clock), random_(std::move(random)) {}

Orchestrator::~Orchestrator() { Stop(); }

Status Orchestrator::Recover() {
  std::vector<int64_t> open;
  std::vector<store::OutboxEntry> outbox;
  CAUDAL_TRY(store_.Read([&](sql::Database& database) -> Status {
    CAUDAL_ASSIGN(next_key_, store::GetNextKey(database));
    CAUDAL_ASSIGN(open, store::ListOpenRuns(database));
    CAUDAL_ASSIGN(outbox, store::ListOutbox(database));
    return {};
  }));
  for (const int64_t run_key : open) {
    // One damaged run must not keep the others from going on.
    const Status loaded = Load(run_key);
    if (!loaded.ok()) base::LogError("run not resumed: " + loaded.ToString());
  }
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

// An attempt that had started is in no outbox any more. The executor knows it and starts nothing,
// or has lost every trace of it, and then this is what keeps its task from waiting for ever.
void Orchestrator::LaunchLive(int64_t run_key, const engine::State& state) {
  for (const v1::Task& task : state.tasks()) {
    if (task.live_attempt() == 0 || model::IsFinal(task.state())) continue;
    v1::Command command;
    v1::Command::Launch& launch = *command.mutable_launch();
    launch.set_task(task.index());
    launch.set_attempt_key(task.live_attempt());
    launch.set_attempt_number(task.attempts() - 1);
    launch.set_token(task.live_token());
    Dispatch(run_key, state, command);
  }
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
    {
      std::unique_lock lock(mailbox_mutex_);
      mailbox_filled_.wait(lock, [&] { return is_stopping_ || !mailbox_.empty(); });
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
  for (Message& message : left) {
    if (auto* create = std::get_if<Create>(&message)) {
      create->done(base::Unavailable("the server is stopping"));
    } else if (auto* terminating = std::get_if<Terminating>(&message)) {
      terminating->done(base::Unavailable("the server is stopping"));
    } else if (auto* deletion = std::get_if<Delete>(&message)) {
      deletion->done(base::Unavailable("the server is stopping"));
    }
  }
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
  auto answer = std::make_shared<std::promise<Result<int64_t>>>();  // shared with the turn
  auto future = answer->get_future();
  PostCreate(std::move(run), [answer](Result<int64_t> key) { answer->set_value(std::move(key)); });
  return future.get();
}

Status Orchestrator::Terminate(int64_t run_key, const std::string& by, bool now) {
  auto answer = std::make_shared<std::promise<Status>>();  // shared with the turn
  auto future = answer->get_future();
  PostTerminate(run_key, by, now,
                [answer](Status status) { answer->set_value(std::move(status)); });
  return future.get();
}

Status Orchestrator::DeleteRun(int64_t run_key) {
  auto answer = std::make_shared<std::promise<Status>>();  // shared with the turn
  auto future = answer->get_future();
  PostDelete(run_key, [answer](Status status) { answer->set_value(std::move(status)); });
  return future.get();
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
  if (messages.empty()) return false;
  Turn turn;
  turn.next_key = next_key_;
  for (Message& message : messages) {
    std::visit([&](auto& m) { Handle(turn, m); }, message);
  }
  const Status committed = turn.failure.ok() ? Commit(turn) : turn.failure;
  if (!committed.ok()) {
    RollBack(turn, std::move(messages), committed);
    return committed;
  }
  Settle(turn);
  return true;
}

v1::Event Orchestrator::MakeEvent() const {
  v1::Event event;
  event.set_at(base::ToMicros(clock_.Now()));
  event.set_salt(random_());
  return event;
}

Status Orchestrator::StepRun(Turn& turn, OpenRun& run, int64_t run_key, v1::Event event) {
  event.set_first_key(turn.next_key);
  CAUDAL_ASSIGN(v1::Delta delta, engine::Step(run.state, event));
  if (engine::IsEmpty(delta)) return {};
  turn.next_key += delta.keys_used();
  engine::Apply(run.state, event, delta);
  ++run.seq;
  turn.touched.insert(run_key);
  turn.changes.push_back({run_key, run.seq, std::move(event), std::move(delta), &run.state});
  return {};
}

void Orchestrator::Handle(Turn& turn, Create& create) {
  auto run = std::make_unique<OpenRun>(engine::State(create.run.plan));
  v1::Event event = MakeEvent();
  *event.mutable_run_created()->mutable_info() = std::move(create.run.info);
  const int64_t stand_in = -1 - static_cast<int64_t>(turn.created.size());
  const Status stepped = StepRun(turn, *run, stand_in, std::move(event));
  if (!stepped.ok()) return create.done(stepped);
  turn.created[stand_in] = {std::move(create.run.row), std::move(run), std::move(create.done), {}};
}

void Orchestrator::Handle(Turn& turn, const Terminating& terminating) {
  const auto answer = [&](Status status) {
    turn.answers.emplace_back(terminating.done, std::move(status));
  };
  auto run = Find(terminating.run_key);
  if (!run.ok()) return answer(run.status());
  if (model::IsFinal((*run)->state.run().phase())) {
    return answer(base::FailedPrecondition("run has ended already"));
  }
  v1::Event event = MakeEvent();
  event.mutable_terminate_requested()->set_by(terminating.by);
  event.mutable_terminate_requested()->set_now(terminating.now);
  answer(StepRun(turn, **run, terminating.run_key, std::move(event)));
}

void Orchestrator::Handle(Turn& turn, const Delete& deletion) {
  // An open run is needed in memory, so that its steps can be ended.
  const Status found = Find(deletion.run_key).status();
  const bool has_ended = found.code() == base::Code::kFailedPrecondition;
  const bool may_go = found.ok() || has_ended || IsDamage(found);
  if (may_go) turn.deleted.push_back(deletion.run_key);
  turn.answers.emplace_back(deletion.done, may_go ? Status() : found);
}

void Orchestrator::Handle(Turn& turn, const AttemptWaiting& waiting) {
  const auto place = attempts_.find(waiting.attempt_key);
  if (place == attempts_.end()) return;
  auto run = Find(place->second.run_key);
  if (!run.ok()) return;  // only words: not worth trying again
  v1::Event event = MakeEvent();
  event.mutable_attempt_waiting()->set_task(place->second.task);
  event.mutable_attempt_waiting()->set_attempt_key(waiting.attempt_key);
  event.mutable_attempt_waiting()->set_reason(waiting.reason);
  const Status stepped = StepRun(turn, **run, place->second.run_key, std::move(event));
  if (!stepped.ok()) base::LogError("wait of an attempt refused: " + stepped.ToString());
}

void Orchestrator::Handle(Turn& turn, const AttemptStarted& started) {
  const auto place = attempts_.find(started.attempt_key);
  if (place == attempts_.end()) return;
  auto run = Find(place->second.run_key);
  if (!run.ok()) return NoteMissing(turn, run.status());
  v1::Event event = MakeEvent();
  event.set_at(started.at);
  event.mutable_attempt_started()->set_task(place->second.task);
  event.mutable_attempt_started()->set_attempt_key(started.attempt_key);
  const Status stepped = StepRun(turn, **run, place->second.run_key, std::move(event));
  if (!stepped.ok()) base::LogError("start of an attempt refused: " + stepped.ToString());
}

void Orchestrator::Handle(Turn& turn, const AttemptFinished& finished) {
  const int64_t attempt_key = finished.outcome.attempt_key();
  const auto place = attempts_.find(attempt_key);
  if (place == attempts_.end()) return turn.finished_attempts.push_back(attempt_key);
  auto run = Find(place->second.run_key);
  if (!run.ok()) {
    if (IsGone(run.status())) turn.finished_attempts.push_back(attempt_key);
    return NoteMissing(turn, run.status());
  }
  v1::Event event = MakeEvent();
  event.mutable_attempt_finished()->set_task(place->second.task);
  v1::AttemptOutcome& outcome = *event.mutable_attempt_finished()->mutable_outcome();
  outcome = finished.outcome;
  for (auto& [name, list] : *outcome.mutable_artifacts()) {
    for (v1::Artifact& artifact : *list.mutable_artifacts()) {
      artifact.set_key(turn.next_key++);
      artifact.set_id(base::NewUuid7(base::TimeFromMicros(event.at())));
    }
  }
  const Status stepped = StepRun(turn, **run, place->second.run_key, std::move(event));
  if (!stepped.ok()) base::LogError("outcome of an attempt refused: " + stepped.ToString());
  // One with a wrong token says nothing of the attempt, which lives on.
  const v1::Task& task = (*run)->state.task(place->second.task);
  if (task.live_attempt() != attempt_key) turn.finished_attempts.push_back(attempt_key);
}

Status Orchestrator::Commit(Turn& turn) {
  if (turn.changes.empty() && turn.deleted.empty()) return {};
  return store_.Write([&](sql::Database& database) -> Status {
    for (auto& [stand_in, created] : turn.created) {
      created.refused = store::InsertRun(database, &created.row);
      const bool is_taken = created.refused.code() == base::Code::kAlreadyExists;
      if (!created.refused.ok() && !is_taken) return created.refused;
    }
    for (store::RunChange change : turn.changes) {
      if (change.run_key < 0) {
        const Turn::Created& created = turn.created.at(change.run_key);
        if (!created.refused.ok()) continue;
        change.run_key = created.row.key;
      }
      CAUDAL_TRY(store::CommitRunChange(database, change));
    }
    for (const int64_t run_key : turn.deleted) {
      CAUDAL_TRY(store::DeleteRun(database, run_key));
    }
    return store::SetNextKey(database, turn.next_key);
  });
}

void Orchestrator::Settle(Turn& turn) {
  next_key_ = turn.next_key;
  for (auto& [stand_in, created] : turn.created) {
    if (!created.refused.ok()) continue;
    runs_[created.row.key] = std::move(created.run);
    Publish(created.row.key, runs_[created.row.key]->seq, true);
  }
  for (const int64_t attempt_key : turn.finished_attempts) {
    attempts_.erase(attempt_key);
    executor_.Forget(attempt_key);
  }
  for (const int64_t run_key : turn.deleted) DropRun(run_key);
  for (const store::RunChange& change : turn.changes) {
    const int64_t run_key =
        change.run_key < 0 ? turn.created.at(change.run_key).row.key : change.run_key;
    if (runs_.count(run_key) == 0) continue;  // refused or deleted
    for (const v1::Command& command : change.delta.commands()) {
      Dispatch(run_key, *change.after, command);
    }
  }
  for (const store::RunChange& change : turn.changes) {
    if (change.run_key < 0) continue;
    const auto run = runs_.find(change.run_key);
    if (run == runs_.end()) continue;
    const bool is_open = !model::IsFinal(run->second->state.run().phase());
    Publish(change.run_key, run->second->seq, is_open);
    if (!is_open) runs_.erase(run);
  }
  for (auto& [stand_in, created] : turn.created) {
    if (!created.refused.ok()) {
      created.done(created.refused);
      continue;
    }
    const auto run = runs_.find(created.row.key);
    if (run != runs_.end() && model::IsFinal(run->second->state.run().phase())) {
      Publish(created.row.key, run->second->seq, false);
      runs_.erase(run);
    }
    created.done(created.row.key);
  }
  for (auto& [done, status] : turn.answers) done(status);
}

// Of a run that exists no more: its steps end at once, and nobody waits for them.
void Orchestrator::DropRun(int64_t run_key) {
  Publish(run_key, 0, false);
  const auto found = runs_.find(run_key);
  if (found == runs_.end()) return;
  for (const v1::Task& task : found->second->state.tasks()) {
    if (task.live_attempt() == 0 || model::IsFinal(task.state())) continue;
    attempts_.erase(task.live_attempt());
    executor_.Kill(task.live_attempt(), task.live_token(), true);
  }
  runs_.erase(found);
}

// A report that cannot be handed over now must be later. One of a run that is gone, has ended or is
// damaged must not hold up the other runs; its outcome stays with the executor.
void Orchestrator::NoteMissing(Turn& turn, const Status& why) {
  if (IsGone(why)) return;
  if (!IsDamage(why)) turn.failure = why;
  base::LogError("report of an attempt not handed over: " + why.ToString());
}

void Orchestrator::RollBack(Turn& turn, std::vector<Message> messages, const Status& why) {
  // Memory is ahead of the disk: drop it, it is read again when next needed.
  for (const int64_t run_key : turn.touched) {
    if (run_key >= 0) runs_.erase(run_key);
  }
  // Callers are told now rather than kept until the disk has room again. Reports are handled again.
  for (auto& [stand_in, created] : turn.created) created.done(why);
  for (auto& [done, status] : turn.answers) done(status.ok() ? why : status);
  const auto is_request = [](const Message& m) {
    return std::holds_alternative<Create>(m) || std::holds_alternative<Terminating>(m) ||
           std::holds_alternative<Delete>(m);
  };
  messages.erase(std::remove_if(messages.begin(), messages.end(), is_request), messages.end());
  const std::lock_guard lock(mailbox_mutex_);
  mailbox_.insert(mailbox_.begin(), std::make_move_iterator(messages.begin()),
                  std::make_move_iterator(messages.end()));
}

void Orchestrator::Dispatch(int64_t run_key, const engine::State& state,
                            const v1::Command& command) {
  if (command.has_kill()) {
    const v1::Task& task = state.task(command.kill().task());
    if (task.live_attempt() != command.kill().attempt_key()) return;
    executor_.Kill(task.live_attempt(), task.live_token(), command.kill().now());
    return;
  }
  const v1::Command::Launch& launch = command.launch();
  if (state.task(launch.task()).live_attempt() != launch.attempt_key()) return;
  attempts_[launch.attempt_key()] = {run_key, launch.task()};
  const auto spec = engine::MakeAttemptSpec(state, launch);
  if (spec.ok()) return executor_.Launch(*spec);
  v1::AttemptOutcome outcome;
  outcome.set_version(1);
  outcome.set_attempt_key(launch.attempt_key());
  outcome.set_token(launch.token());
  outcome.set_result(v1::AttemptOutcome::FAILED);
  outcome.set_error_code("INPUT");
  outcome.set_error(spec.status().message());
  Finished(outcome);
}

Result<Orchestrator::OpenRun*> Orchestrator::Find(int64_t run_key) {
  const auto found = runs_.find(run_key);
  if (found != runs_.end()) return found->second.get();
  CAUDAL_TRY(Load(run_key));
  return runs_.at(run_key).get();
}

Status Orchestrator::Load(int64_t run_key) {
  std::unique_ptr<OpenRun> run;
  CAUDAL_TRY(store_.Read([&](sql::Database& database) -> Status {
    CAUDAL_ASSIGN(const store::Run row, store::GetRunByKey(database, run_key));
    if (model::IsFinal(static_cast<v1::RunPhase>(row.phase))) {
      return base::FailedPrecondition("run " + row.id + " has ended already");
    }
    CAUDAL_ASSIGN(spec::Package package, spec::LoadPackage(row.spec));
    CAUDAL_ASSIGN(auto plan, spec::MakePlan(std::move(package)));
    CAUDAL_ASSIGN(store::LoadedRun loaded, store::LoadRun(database, run_key, std::move(plan)));
    run = std::make_unique<OpenRun>(std::move(loaded.state));
    run->seq = loaded.seq;
    return {};
  }));
  for (const v1::Task& task : run->state.tasks()) {
    if (task.live_attempt() != 0 && !model::IsFinal(task.state())) {
      attempts_[task.live_attempt()] = {run_key, task.index()};
    }
  }
  Publish(run_key, run->seq, true);
  runs_[run_key] = std::move(run);
  return {};
}

}  // namespace caudal::orchestrator
