#include "engine/internal/stepper.h"
#include "model/task.h"

namespace caudal::engine {

using base::Status;

Status Stepper::OnTerminateRequested(const v1::Event::TerminateRequested& request) {
  if (model::IsFinal(draft_.phase())) return {};
  const bool is_news = !is_canceling() || (request.now() && !draft_.terminate_now());
  if (is_news) End(request.by(), request.now(), request.grace_micros());
  return {};
}

void Stepper::End(const std::string& by, bool now, int64_t grace_micros) {
  v1::Run& run = draft_.ChangeRun();
  run.set_phase(v1::RUN_CANCELING);
  run.set_terminated_by(by);
  run.set_terminate_now(now);
  if (!now && grace_micros > 0) draft_.Change(0).set_wake_at(this->now() + grace_micros);
  for (int task = 1; task < draft_.state().task_count(); ++task) {
    if (!model::IsFinal(draft_.task_state(task)) && IsToEnd(task)) EndTask(task);
  }
}

void Stepper::EndTask(int task) {
  const v1::TaskState state = draft_.task_state(task);
  if (draft_.live_attempt(task) != 0) {
    auto& kill = *draft_.AddCommand().mutable_kill();
    kill.set_task(task);
    kill.set_attempt_key(draft_.live_attempt(task));
    kill.set_now(draft_.terminate_now());
    draft_.Change(task).set_reason("being canceled by " + draft_.terminated_by());
  } else if (draft_.is_loop(task) && state == v1::RUNNING) {
    // It ends with its open iterations, or at once when the rest was left to its timer.
    if (draft_.open_children(task) == 0) FinishLoop(task);
  } else if (draft_.child_count(task) == 0 || state != v1::RUNNING) {
    // Neither running nor opened: it never will be. Opened DAGs end with their children.
    Finish(task, v1::CANCELED,
           state == v1::RETRYING ? "canceled between two attempts" : "canceled before it started");
  }
}

bool Stepper::MayStart(int task) const { return !is_canceling() || !IsToEnd(task); }

bool Stepper::IsToEnd(int task) const {
  return is_canceling() && (draft_.terminate_now() || !IsOfExitTask(task));
}

bool Stepper::IsOfExitTask(int task) const {
  for (int i = task; i > 0; i = draft_.parent(i)) {
    if (draft_.is_iteration(i) || !draft_.plan(i).runs_always) continue;
    if (HandlerStarted(i)) return true;
  }
  return false;
}

bool Stepper::HandlerStarted(int exit_task) const {
  const int first = draft_.first_child(draft_.parent(exit_task));
  for (const int position : draft_.plan(exit_task).upstream) {
    if (draft_.started_at(first + position) != 0) return true;
  }
  return draft_.plan(exit_task).upstream.empty();
}

}  // namespace caudal::engine
