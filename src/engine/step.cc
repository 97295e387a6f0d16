#include "engine/step.h"

#include "engine/internal/stepper.h"
#include "model/task.h"

namespace caudal::engine {

using base::FailedPrecondition;
using base::Result;
using base::Status;

namespace {

// What exit tasks get, in microseconds, when the pipeline's own time limit ends its run.
constexpr int64_t kDeadlineGrace = 300'000'000;

}  // namespace

Result<v1::Delta> Stepper::Run() {
  CAUDAL_TRY(Handle());
  DrawConsequences();
  return draft_.Finish();
}

Status Stepper::Handle() {
  const v1::Event& event = draft_.event();
  switch (event.kind_case()) {
    case v1::Event::kRunCreated:
      return OnRunCreated();
    case v1::Event::kAttemptStarted:
      return OnAttemptStarted(event.attempt_started());
    case v1::Event::kAttemptWaiting:
      return OnAttemptWaiting(event.attempt_waiting());
    case v1::Event::kAttemptFinished:
      return OnAttemptFinished(event.attempt_finished());
    case v1::Event::kTerminateRequested:
      return OnTerminateRequested(event.terminate_requested());
    case v1::Event::kTimerFired:
      return OnTimerFired(event.timer_fired());
    case v1::Event::kCacheAnswered:
      return OnCacheAnswered(event.cache_answered());
    case v1::Event::kImportAnswered:
      return OnImportAnswered(event.import_answered());
    case v1::Event::kRetryRequested:
      return OnRetryRequested(event.retry_requested());
    case v1::Event::KIND_NOT_SET:
      break;
  }
  return FailedPrecondition("event without a kind");
}

Status Stepper::OnRunCreated() {
  if (draft_.state().task_count() > 0) return FailedPrecondition("run was created before");
  v1::Run& run = draft_.ChangeRun();
  run.set_phase(v1::RUN_PENDING);
  run.set_generation(1);
  const int root = draft_.Add();
  v1::Task& task = draft_.Change(root);
  task.set_name("");
  task.set_created_at(now());
  *task.mutable_parameters() = draft_.info().parameters();
  const int64_t deadline = draft_.state().plan().deadline_seconds;
  if (deadline > 0) task.set_wake_at(now() + deadline * 1'000'000);
  OpenDag(root);
  return {};
}

Status Stepper::CheckTask(int task) const {
  if (task >= 0 && task < draft_.state().task_count()) return {};
  return FailedPrecondition("run has no task " + std::to_string(task));
}

bool Stepper::IsLive(int task, int64_t attempt_key) const {
  return draft_.live_attempt(task) == attempt_key && !model::IsFinal(draft_.task_state(task));
}

Status Stepper::OnAttemptStarted(const v1::Event::AttemptStarted& started) {
  const int task = started.task();
  CAUDAL_TRY(CheckTask(task));
  if (!IsLive(task, started.attempt_key())) return {};
  if (draft_.task_state(task) == v1::RUNNING) return {};
  v1::Task& change = draft_.Change(task);
  change.set_state(v1::RUNNING);
  if (!IsToEnd(task)) change.set_reason(WhichRetry(task));  // else it says who ends it
  change.set_started_at(now());
  if (draft_.first_started_at(task) == 0) change.set_first_started_at(now());
  const int64_t timeout = draft_.surroundings(task).timeout_micros();
  if (timeout > 0) change.set_wake_at(now() + timeout);
  if (draft_.phase() == v1::RUN_PENDING) {
    draft_.ChangeRun().set_phase(v1::RUN_RUNNING);
    draft_.ChangeRun().set_started_at(now());
  }
  return {};
}

Status Stepper::OnAttemptWaiting(const v1::Event::AttemptWaiting& waiting) {
  const int task = waiting.task();
  CAUDAL_TRY(CheckTask(task));
  if (!IsLive(task, waiting.attempt_key())) return {};
  // A cancellation has the last word.
  if (draft_.task_state(task) != v1::PENDING || IsToEnd(task)) return {};
  const std::string retry = WhichRetry(task);
  draft_.Change(task).set_reason(retry.empty() ? waiting.reason()
                                               : retry + ", " + waiting.reason());
  return {};
}

Status Stepper::OnAttemptFinished(const v1::Event::AttemptFinished& finished) {
  const int task = finished.task();
  const v1::AttemptOutcome& outcome = finished.outcome();
  CAUDAL_TRY(CheckTask(task));
  if (!IsLive(task, outcome.attempt_key())) return {};
  if (draft_.state().task(task).live_token() != outcome.token()) return {};
  v1::Task& change = draft_.Change(task);
  change.set_live_attempt(0);
  if (draft_.wake_at(task) != 0) change.set_wake_at(0);
  if (outcome.has_provenance()) *change.mutable_provenance() = outcome.provenance();
  switch (outcome.result()) {
    case v1::AttemptOutcome::SUCCEEDED:
      SucceedAttempt(task, outcome);
      break;
    case v1::AttemptOutcome::LOST:
      LoseAttempt(task, outcome);
      break;
    case v1::AttemptOutcome::KILLED:
      if (!draft_.timed_out(task) || IsToEnd(task)) {
        change.set_error_code("CANCELED");
        change.set_error(outcome.error());
        Finish(task, v1::CANCELED, "canceled while it ran");
        break;
      }
      [[fallthrough]];
    default:
      FailAttempt(task, outcome);
  }
  return {};
}

Status Stepper::OnTimerFired(const v1::Event::TimerFired& fired) {
  const int task = fired.task();
  CAUDAL_TRY(CheckTask(task));
  const int64_t wake_at = draft_.wake_at(task);
  if (wake_at == 0 || wake_at > now()) return {};
  draft_.Change(task).set_wake_at(0);
  if (task == 0) {
    if (model::IsFinal(draft_.phase())) return {};
    const bool grace_is_over = is_canceling();
    if (!grace_is_over) draft_.ChangeRun().set_deadline_passed(true);
    End(grace_is_over ? draft_.terminated_by() : "its time limit", grace_is_over, kDeadlineGrace);
  } else if (draft_.is_loop(task)) {
    OpenIterations(task);
  } else if (draft_.task_state(task) == v1::RETRYING) {
    const std::string& reason = draft_.state().task(task).reason();
    LaunchAttempt(task, draft_.retry_index(task) + 1, reason.substr(0, reason.rfind(", waits ")));
  } else if (draft_.live_attempt(task) != 0) {
    draft_.Change(task).set_timed_out(true);
    draft_.Change(task).set_reason("being ended: its time limit is over");
    auto& kill = *draft_.AddCommand().mutable_kill();
    kill.set_task(task);
    kill.set_attempt_key(draft_.live_attempt(task));
  }
  return {};
}

Status Stepper::OnCacheAnswered(const v1::Event::CacheAnswered& answer) {
  const int task = answer.task();
  CAUDAL_TRY(CheckTask(task));
  const bool is_open = draft_.task_state(task) == v1::PENDING && draft_.live_attempt(task) == 0;
  if (!is_open || draft_.cache(task).fingerprint().empty()) return {};
  v1::CacheRecord cache = draft_.cache(task);
  cache.set_realm(answer.realm());
  cache.set_miss(answer.miss());
  v1::Task& change = draft_.Change(task);
  if (!answer.has_hit()) {
    *change.mutable_cache() = std::move(cache);
    LaunchAttempt(task, 0, "waiting for a core");
    return {};
  }
  cache.set_hit_run_id(answer.hit().run_id());
  cache.set_hit_task_id(answer.hit().task_id());
  *change.mutable_cache() = std::move(cache);
  *change.mutable_output_parameters() = answer.hit().parameters();
  *change.mutable_output_artifacts() = answer.hit().artifacts();
  change.set_started_at(now());
  Finish(task, v1::CACHED, "outputs of run " + answer.hit().run_id());
  return {};
}

Status Stepper::OnImportAnswered(const v1::Event::ImportAnswered& answer) {
  const int task = answer.task();
  CAUDAL_TRY(CheckTask(task));
  const bool is_open = draft_.task_state(task) == v1::PENDING && draft_.live_attempt(task) == 0;
  if (!is_open || draft_.component(task).kind != spec::ComponentKind::kImporter) return {};
  if (!answer.error().empty()) {
    Fail(task, "IMPORT", answer.error());
    return {};
  }
  v1::Task& change = draft_.Change(task);
  auto& outputs = *change.mutable_output_artifacts();
  *outputs[answer.artifact().name()].add_artifacts() = answer.artifact();
  if (draft_.component(task).executor.importer().download_to_workspace()) {
    LaunchAttempt(task, 0, "waiting to be copied into the workspace");
    return {};
  }
  change.set_started_at(now());
  Finish(task, v1::SUCCEEDED, answer.is_known() ? "known already: the same artifact" : "");
  return {};
}

Result<v1::Delta> Step(const State& state, const v1::Event& event) {
  return Stepper(state, event).Run();
}

bool IsEmpty(const v1::Delta& delta) {
  return delta.tasks().empty() && !delta.has_run() && delta.commands().empty() &&
         delta.queries().empty();
}

}  // namespace caudal::engine
