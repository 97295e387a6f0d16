#include "engine/step.h"

#include <deque>
#include <string>

#include "base/uuid.h"
#include "engine/attempt.h"
#include "engine/internal/draft.h"
#include "engine/internal/inputs.h"
#include "engine/internal/run_root.h"
#include "model/task.h"

namespace caudal::engine {
namespace {

using base::FailedPrecondition;
using base::Result;
using base::Status;

// A task that keeps being lost is at fault itself (it may be what takes the machine down).
constexpr int kMaxLostAttempts = 20;

/// One Step in progress. `work_` holds tasks whose end has consequences still to be drawn, so that
/// a long chain of consequences needs no deep stack.
class Stepper {
 public:
  Stepper(const State& state, const v1::Event& event) : draft_(state, event) {}

  Result<v1::Delta> Run();

 private:
  Status OnRunCreated();
  Status OnAttemptStarted(const v1::Event::AttemptStarted& started);
  Status OnAttemptWaiting(const v1::Event::AttemptWaiting& waiting);
  Status OnAttemptFinished(const v1::Event::AttemptFinished& finished);
  Status OnTerminateRequested(const v1::Event::TerminateRequested& request);

  void OpenDag(int dag);
  void Ready(int task);
  void LaunchAttempt(int task, int retry_index);
  void Fail(int task, const std::string& code, const std::string& error);
  void Finish(int task, v1::TaskState state, const std::string& reason);
  void DrawConsequences();
  void TellDependents(int task);
  void ChildFinished(int dag);
  void FinishDag(int dag);
  void FinishRun(v1::TaskState root_state);

  Status CheckTask(int task) const;
  bool IsLive(int task, int64_t attempt_key) const;
  bool is_canceling() const { return draft_.phase() == v1::RUN_CANCELING; }
  int64_t now() const { return draft_.event().at(); }
  std::string WhatIsAwaited(int task) const;

  Draft draft_;
  std::deque<int> work_;  // finished tasks whose consequences are to be drawn
};

Result<v1::Delta> Stepper::Run() {
  const v1::Event& event = draft_.event();
  switch (event.kind_case()) {
    case v1::Event::kRunCreated:
      CAUDAL_TRY(OnRunCreated());
      break;
    case v1::Event::kAttemptStarted:
      CAUDAL_TRY(OnAttemptStarted(event.attempt_started()));
      break;
    case v1::Event::kAttemptWaiting:
      CAUDAL_TRY(OnAttemptWaiting(event.attempt_waiting()));
      break;
    case v1::Event::kAttemptFinished:
      CAUDAL_TRY(OnAttemptFinished(event.attempt_finished()));
      break;
    case v1::Event::kTerminateRequested:
      CAUDAL_TRY(OnTerminateRequested(event.terminate_requested()));
      break;
    case v1::Event::KIND_NOT_SET:
      return FailedPrecondition("event without a kind");
  }
  DrawConsequences();
  return draft_.Finish();
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
  if (!is_canceling()) change.set_reason("");  // else it says who ends it
  change.set_started_at(now());
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
  if (draft_.task_state(task) != v1::PENDING || is_canceling()) return {};
  draft_.Change(task).set_reason(waiting.reason());
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
  if (outcome.has_provenance()) *change.mutable_provenance() = outcome.provenance();
  switch (outcome.result()) {
    case v1::AttemptOutcome::SUCCEEDED:
      *change.mutable_output_parameters() = outcome.parameters();
      *change.mutable_output_artifacts() = outcome.artifacts();
      Finish(task, v1::SUCCEEDED, "");
      break;
    case v1::AttemptOutcome::KILLED:
      change.set_error_code("CANCELED");
      change.set_error(outcome.error());
      Finish(task, v1::CANCELED, "canceled while it ran");
      break;
    case v1::AttemptOutcome::LOST:
      if (is_canceling()) {
        Finish(task, v1::CANCELED, "canceled while it ran");
      } else if (draft_.lost_attempts(task) >= kMaxLostAttempts) {
        Fail(task, "LOST",
             "lost " + std::to_string(kMaxLostAttempts) + " times: " + outcome.error());
      } else {
        change.set_lost_attempts(draft_.lost_attempts(task) + 1);
        LaunchAttempt(task, draft_.state().task(task).retry_index());
      }
      break;
    default:
      *change.mutable_output_artifacts() = outcome.artifacts();  // logs, if anything
      if (outcome.has_traceback()) *change.mutable_traceback() = outcome.traceback();
      Fail(task, outcome.error_code(), outcome.error());
  }
  return {};
}

Status Stepper::OnTerminateRequested(const v1::Event::TerminateRequested& request) {
  if (model::IsFinal(draft_.phase())) return {};
  v1::Run& run = draft_.ChangeRun();
  run.set_phase(v1::RUN_CANCELING);
  run.set_terminated_by(request.by());
  run.set_terminate_now(request.now());
  for (int task = 1; task < draft_.state().task_count(); ++task) {
    if (model::IsFinal(draft_.task_state(task))) continue;
    if (draft_.live_attempt(task) != 0) {
      auto& kill = *draft_.AddCommand().mutable_kill();
      kill.set_task(task);
      kill.set_attempt_key(draft_.live_attempt(task));
      kill.set_now(request.now());
      draft_.Change(task).set_reason("being canceled by " + request.by());
    } else if (draft_.child_count(task) == 0) {
      // Neither running nor opened: it never will be. Opened DAGs end with their children.
      Finish(task, v1::CANCELED, "canceled before it started");
    }
  }
  return {};
}

void Stepper::OpenDag(int dag) {
  const spec::Component& component = draft_.component(dag);
  const int first = draft_.task_count();
  for (size_t i = 0; i < component.tasks.size(); ++i) {
    v1::Task& child = draft_.Change(draft_.Add());
    child.set_parent(dag);
    child.set_position(static_cast<int>(i));
    child.set_name(component.tasks[i].name);
    child.set_state(v1::PENDING);
    child.set_unmet(static_cast<int>(component.tasks[i].upstream.size()));
    child.set_created_at(now());
  }
  const int count = static_cast<int>(component.tasks.size());
  v1::Task& change = draft_.Change(dag);
  change.set_state(v1::RUNNING);
  change.set_reason("");
  change.set_started_at(now());
  change.set_execution_key(draft_.TakeKey());
  change.set_first_child(first);
  change.set_child_count(count);
  change.set_open_children(count);
  for (int child = first; child < first + count; ++child) {
    if (draft_.unmet(child) == 0) {
      Ready(child);
    } else {
      draft_.Change(child).set_reason("waiting for " + WhatIsAwaited(child));
    }
  }
}

std::string Stepper::WhatIsAwaited(int task) const {
  // Names only when few are left: a join of thousands must not be looked through at each arrival.
  constexpr int kNamed = 3;
  if (draft_.unmet(task) > kNamed) return std::to_string(draft_.unmet(task)) + " tasks";
  const int first = draft_.first_child(draft_.parent(task));
  std::string names;
  for (const int position : draft_.plan(task).upstream) {
    if (model::IsFinal(draft_.task_state(first + position))) continue;
    names += (names.empty() ? "" : ", ") + draft_.name(first + position);
  }
  return names;
}

void Stepper::Ready(int task) {
  if (is_canceling()) return Finish(task, v1::CANCELED, "canceled before it started");
  const Status resolved = ResolveInputs(draft_, task);
  if (!resolved.ok()) return Fail(task, "INPUT", resolved.message());
  const spec::Component& component = draft_.component(task);
  if (component.kind == spec::ComponentKind::kDag) return OpenDag(task);
  const auto resources = ResolveResources(component.executor.container(), draft_.parameters(task));
  if (!resources.ok()) return Fail(task, "INPUT", resources.status().message());
  v1::Task& change = draft_.Change(task);
  change.set_execution_key(draft_.TakeKey());
  change.set_task_root(TaskRoot(draft_.info(), draft_.name(task),
                                base::Uuid5("6f2c1d0e-7a53-5b0c-9f4b-3d9a2e61c7a8",
                                            draft_.Derive("root" + std::to_string(task)))));
  LaunchAttempt(task, 0);
}

void Stepper::LaunchAttempt(int task, int retry_index) {
  const int number = draft_.attempts(task);
  const int64_t key = draft_.TakeKey();
  const std::string token = draft_.Derive("token" + std::to_string(key));
  v1::Task& change = draft_.Change(task);
  change.set_state(v1::PENDING);
  change.set_reason("waiting for a core");
  change.set_attempts(number + 1);
  change.set_retry_index(retry_index);
  change.set_live_attempt(key);
  change.set_last_attempt(key);
  change.set_live_token(token);
  auto& launch = *draft_.AddCommand().mutable_launch();
  launch.set_task(task);
  launch.set_attempt_key(key);
  launch.set_attempt_number(number);
  launch.set_token(token);
}

void Stepper::Fail(int task, const std::string& code, const std::string& error) {
  v1::Task& change = draft_.Change(task);
  change.set_error_code(code);
  change.set_error(error);
  Finish(task, v1::FAILED, error);
}

void Stepper::Finish(int task, v1::TaskState state, const std::string& reason) {
  v1::Task& change = draft_.Change(task);
  change.set_state(state);
  change.set_reason(reason);
  change.set_ended_at(now());
  work_.push_back(task);
}

void Stepper::DrawConsequences() {
  while (!work_.empty()) {
    const int task = work_.front();
    work_.pop_front();
    if (task == 0) {
      FinishRun(draft_.task_state(task));
      continue;
    }
    TellDependents(task);
    ChildFinished(draft_.parent(task));
  }
}

void Stepper::TellDependents(int task) {
  const int first = draft_.first_child(draft_.parent(task));
  const bool success = model::IsSuccess(draft_.task_state(task));
  for (const int position : draft_.plan(task).dependents) {
    const int dependent = first + position;
    if (model::IsFinal(draft_.task_state(dependent))) continue;
    if (!success) {
      const bool canceled = draft_.task_state(task) == v1::CANCELED;
      Finish(dependent, canceled ? v1::CANCELED : v1::OMITTED,
             canceled ? "'" + draft_.name(task) + "' was canceled" : "needs " + draft_.name(task));
      continue;
    }
    const int unmet = draft_.unmet(dependent) - 1;
    draft_.Change(dependent).set_unmet(unmet);
    if (unmet == 0) {
      Ready(dependent);
    } else {
      draft_.Change(dependent).set_reason("waiting for " + WhatIsAwaited(dependent));
    }
  }
}

void Stepper::ChildFinished(int dag) {
  const int open = draft_.open_children(dag) - 1;
  draft_.Change(dag).set_open_children(open);
  if (open == 0) FinishDag(dag);
}

void Stepper::FinishDag(int dag) {
  v1::TaskState state = v1::SUCCEEDED;
  int culprit = -1;
  for (int i = 0; i < draft_.child_count(dag); ++i) {
    const int child = draft_.first_child(dag) + i;
    const v1::TaskState child_state = draft_.task_state(child);
    const bool worse = child_state == v1::FAILED || (child_state == v1::CANCELED && culprit < 0);
    if (!worse || state == v1::FAILED) continue;
    state = child_state;
    culprit = child;
  }
  if (state == v1::SUCCEEDED) {
    ResolveDagOutputs(draft_, dag);
    return Finish(dag, state, "");
  }
  if (state == v1::CANCELED) return Finish(dag, state, "canceled");
  Fail(dag, "CHILD", "task '" + draft_.name(culprit) + "' failed: " + draft_.error(culprit));
}

void Stepper::FinishRun(v1::TaskState root_state) {
  v1::Run& run = draft_.ChangeRun();
  run.set_ended_at(now());
  if (is_canceling()) {
    const std::string by =
        run.has_terminated_by() ? run.terminated_by() : draft_.state().run().terminated_by();
    run.set_phase(v1::RUN_CANCELED);
    run.set_error("run was terminated by " + by);
  } else if (root_state == v1::SUCCEEDED) {
    run.set_phase(v1::RUN_SUCCEEDED);
  } else {
    run.set_phase(v1::RUN_FAILED);
    run.set_error(draft_.error(0));
  }
}

}  // namespace

Result<v1::Delta> Step(const State& state, const v1::Event& event) {
  return Stepper(state, event).Run();
}

bool IsEmpty(const v1::Delta& delta) {
  return delta.tasks().empty() && !delta.has_run() && delta.commands().empty();
}

}  // namespace caudal::engine
