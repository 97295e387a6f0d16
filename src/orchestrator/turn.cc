// What messages and timers mean: events to step, within the turn's transaction.

#include "orchestrator/internal/turn.h"
#include "base/log.h"
#include "base/uuid.h"
#include "engine/step.h"
#include "model/task.h"
#include "orchestrator/internal/answers.h"

namespace caudal::orchestrator {

using base::Result;
using base::Status;

namespace {

// Changes kept in memory before they are written.
constexpr size_t kLargestBatch = 1000;

// Of a run that exists no more, or has ended.
bool IsGone(const Status& status) {
  return status.code() == base::Code::kNotFound || status.code() == base::Code::kFailedPrecondition;
}

// Of a run whose stored form cannot be understood, now or later.
bool IsDamage(const Status& status) {
  return status.code() == base::Code::kDataLoss || status.code() == base::Code::kInvalidArgument;
}

// Whether the commit of this change brings what a later query may find: outputs or an artifact.
bool IsFindable(const v1::Event& event) {
  return event.has_attempt_finished() ||
         (event.has_import_answered() && !event.import_answered().is_known());
}

// Whether the task has the artifact already: an importer's attempt only moves its bytes.
bool HasOutput(const v1::Task& task, const v1::Artifact& artifact) {
  for (const auto& [name, list] : task.output_artifacts()) {
    for (const v1::Artifact& known : list.artifacts()) {
      if (known.key() == artifact.key() && known.id() == artifact.id()) return true;
    }
  }
  return false;
}

}  // namespace

v1::Event Orchestrator::MakeEvent() const {
  v1::Event event;
  event.set_at(base::ToMicros(clock_.Now()));
  event.set_salt(random_());
  return event;
}

// One event with all that follows from it: the engine's questions are answered until there are no
// more. Errors: the engine's refusal of the event itself, or the turn's failure.
Status Orchestrator::StepRun(Turn& turn, OpenRun& run, int64_t run_key, v1::Event event) {
  CAUDAL_TRY(StepOnce(turn, run, run_key, std::move(event)));
  while (!turn.queries.empty()) {
    const v1::Query query = std::move(turn.queries.front());
    turn.queries.pop_front();
    Result<v1::Event> answer = Answer(turn, run, query);
    if (!answer.ok()) return turn.Fail(answer.status());
    const Status stepped = StepOnce(turn, run, run_key, *std::move(answer));
    if (!turn.failure.ok()) return turn.failure;
    NoteRefused(turn, "answer", stepped);
  }
  return {};
}

Status Orchestrator::StepOnce(Turn& turn, OpenRun& run, int64_t run_key, v1::Event event) {
  event.set_first_key(turn.next_key);
  CAUDAL_ASSIGN(v1::Delta delta, engine::Step(run.state, event));
  if (engine::IsEmpty(delta)) return {};
  turn.next_key += delta.keys_used();
  engine::Apply(run.state, event, delta);
  ++run.seq;
  ++turn.events;
  turn.touched.insert(run_key);
  for (const v1::Task& task : delta.tasks()) {
    if (task.wake_at() > 0) turn.timers.push_back({task.wake_at(), run_key, task.index()});
  }
  for (const v1::Command& command : delta.commands()) turn.commands.emplace_back(run_key, command);
  for (const v1::Query& query : delta.queries()) turn.queries.push_back(query);
  turn.hides_from_queries = turn.hides_from_queries || IsFindable(event);
  turn.unwritten.push_back({run_key, run.seq, std::move(event), std::move(delta), &run.state});
  return turn.unwritten.size() < kLargestBatch ? Status() : Flush(turn);
}

Status Orchestrator::Flush(Turn& turn) {
  const Status written = store::CommitRunChanges(*turn.database, turn.unwritten);
  turn.unwritten.clear();
  turn.hides_from_queries = false;
  return written.ok() ? written : turn.Fail(written);
}

Result<v1::Event> Orchestrator::Answer(Turn& turn, const OpenRun& run, const v1::Query& query) {
  if (turn.hides_from_queries) CAUDAL_TRY(Flush(turn));
  v1::Event event = MakeEvent();
  if (query.has_cache_lookup()) {
    CAUDAL_ASSIGN(*event.mutable_cache_answered(),
                  AnswerCacheLookup(*turn.database, executor_, run.state,
                                    query.cache_lookup().task(), event.at()));
  } else {
    CAUDAL_ASSIGN(*event.mutable_import_answered(),
                  AnswerImport(*turn.database, run.state.info(), query.import(), turn.next_key++,
                               event.at()));
  }
  return event;
}

void Orchestrator::Handle(Turn& turn, const Timer& timer) {
  auto run = Find(*turn.database, timer.run_key);
  if (!run.ok()) return NoteMissing(turn, run.status());
  v1::Event event = MakeEvent();
  event.mutable_timer_fired()->set_task(timer.task);
  const Status stepped = StepRun(turn, **run, timer.run_key, std::move(event));
  NoteRefused(turn, "timer of a task", stepped);
}

void Orchestrator::Handle(Turn& turn, const Create& create) {
  const Result<int64_t> opened = Open(turn, create.run);
  turn.answers.push_back([done = create.done, opened](const Status& committed) {
    done(committed.ok() ? opened : Result<int64_t>(committed));
  });
}

Result<int64_t> Orchestrator::Open(Turn& turn, const NewRun& created) {
  store::Run row = created.row;
  const Status inserted = store::InsertRun(*turn.database, &row);
  // A taken id fails its own request only.
  if (inserted.code() == base::Code::kAlreadyExists) return inserted;
  if (!inserted.ok()) return turn.Fail(inserted);
  auto run = std::make_unique<OpenRun>(engine::State(created.plan));
  v1::Event event = MakeEvent();
  *event.mutable_run_created()->mutable_info() = created.info;
  const Status stepped = StepRun(turn, *run, row.key, std::move(event));
  if (!stepped.ok()) {
    if (!turn.failure.ok()) return stepped;
    const Status removed = store::DeleteRun(*turn.database, row.key);
    return removed.ok() ? stepped : turn.Fail(removed);
  }
  runs_[row.key] = std::move(run);
  return row.key;
}

void Orchestrator::Handle(Turn& turn, const Terminating& terminating) {
  const Status asked = AskToEnd(turn, terminating);
  turn.answers.push_back([done = terminating.done, asked](const Status& committed) {
    done(asked.ok() ? committed : asked);
  });
}

Status Orchestrator::AskToEnd(Turn& turn, const Terminating& terminating) {
  CAUDAL_ASSIGN(OpenRun * run, Find(*turn.database, terminating.run_key));
  if (model::IsFinal(run->state.run().phase())) {
    return base::FailedPrecondition("run has ended already");
  }
  v1::Event event = MakeEvent();
  v1::Event::TerminateRequested& request = *event.mutable_terminate_requested();
  request.set_by(terminating.by);
  request.set_now(terminating.now);
  request.set_grace_micros(options_.terminate_grace.count());
  return StepRun(turn, *run, terminating.run_key, std::move(event));
}

void Orchestrator::Handle(Turn& turn, const Retrying& retrying) {
  const Status opened = OpenAgain(turn, retrying);
  turn.answers.push_back([done = retrying.done, opened](const Status& committed) {
    done(opened.ok() ? committed : opened);
  });
}

Status Orchestrator::OpenAgain(Turn& turn, const Retrying& retrying) {
  CAUDAL_ASSIGN(const store::Run row, store::GetRunByKey(*turn.database, retrying.run_key));
  v1::Event event = MakeEvent();
  event.mutable_retry_requested()->set_by(retrying.by);
  const auto found = runs_.find(retrying.run_key);
  if (found != runs_.end()) {  // open, or it has ended in this very turn
    return StepRun(turn, *found->second, retrying.run_key, std::move(event));
  }
  CAUDAL_ASSIGN(std::unique_ptr<OpenRun> run, Read(*turn.database, row));
  CAUDAL_TRY(StepRun(turn, *run, retrying.run_key, std::move(event)));
  runs_[retrying.run_key] = std::move(run);
  return {};
}

void Orchestrator::Handle(Turn& turn, const Delete& deletion) {
  // An open run is needed in memory, so that its steps can be ended.
  const Status found = Find(*turn.database, deletion.run_key).status();
  const bool has_ended = found.code() == base::Code::kFailedPrecondition;
  const bool may_go = found.ok() || has_ended || IsDamage(found);
  if (may_go) turn.deleted.push_back(deletion.run_key);
  turn.answers.push_back([done = deletion.done, may_go, found](const Status& committed) {
    done(may_go ? committed : found);
  });
}

void Orchestrator::Handle(Turn& turn, const AttemptWaiting& waiting) {
  const auto place = attempts_.find(waiting.attempt_key);
  if (place == attempts_.end()) return;
  auto run = Find(*turn.database, place->second.run_key);
  if (!run.ok()) return;  // only words: not worth trying again
  v1::Event event = MakeEvent();
  event.mutable_attempt_waiting()->set_task(place->second.task);
  event.mutable_attempt_waiting()->set_attempt_key(waiting.attempt_key);
  event.mutable_attempt_waiting()->set_reason(waiting.reason);
  const Status stepped = StepRun(turn, **run, place->second.run_key, std::move(event));
  NoteRefused(turn, "wait of an attempt", stepped);
}

void Orchestrator::Handle(Turn& turn, const AttemptStarted& started) {
  const auto place = attempts_.find(started.attempt_key);
  if (place == attempts_.end()) return;
  auto run = Find(*turn.database, place->second.run_key);
  if (!run.ok()) return NoteMissing(turn, run.status());
  v1::Event event = MakeEvent();
  event.set_at(started.at);
  event.mutable_attempt_started()->set_task(place->second.task);
  event.mutable_attempt_started()->set_attempt_key(started.attempt_key);
  const Status stepped = StepRun(turn, **run, place->second.run_key, std::move(event));
  NoteRefused(turn, "start of an attempt", stepped);
}

void Orchestrator::Handle(Turn& turn, const AttemptFinished& finished) {
  const int64_t attempt_key = finished.outcome.attempt_key();
  const auto place = attempts_.find(attempt_key);
  if (place == attempts_.end()) return turn.finished_attempts.push_back(attempt_key);
  auto run = Find(*turn.database, place->second.run_key);
  if (!run.ok()) {
    if (IsGone(run.status())) turn.finished_attempts.push_back(attempt_key);
    return NoteMissing(turn, run.status());
  }
  v1::Event event = MakeEvent();
  event.mutable_attempt_finished()->set_task(place->second.task);
  v1::AttemptOutcome& outcome = *event.mutable_attempt_finished()->mutable_outcome();
  outcome = finished.outcome;
  const v1::Task& before = (*run)->state.task(place->second.task);
  for (auto& [name, list] : *outcome.mutable_artifacts()) {
    for (v1::Artifact& artifact : *list.mutable_artifacts()) {
      if (HasOutput(before, artifact)) continue;
      artifact.set_key(turn.next_key++);
      artifact.set_id(base::NewUuid7(base::TimeFromMicros(event.at())));
    }
  }
  const Status stepped = StepRun(turn, **run, place->second.run_key, std::move(event));
  NoteRefused(turn, "outcome of an attempt", stepped);
  // One with a wrong token says nothing of the attempt, which lives on.
  const v1::Task& task = (*run)->state.task(place->second.task);
  if (task.live_attempt() != attempt_key) turn.finished_attempts.push_back(attempt_key);
}

// The engine refuses what cannot happen. That the database has failed is said once, by the loop.
void Orchestrator::NoteRefused(const Turn& turn, const std::string& what, const Status& why) {
  if (!why.ok() && turn.failure.ok()) base::LogError(what + " refused: " + why.ToString());
}

// A report that cannot be handed over now must be later. One of a run that is gone, has ended or is
// damaged must not hold up the other runs; its outcome stays with the executor.
void Orchestrator::NoteMissing(Turn& turn, const Status& why) {
  if (IsGone(why)) return;
  if (!IsDamage(why)) turn.failure = why;
  base::LogError("report of an attempt not handed over: " + why.ToString());
}

}  // namespace caudal::orchestrator
