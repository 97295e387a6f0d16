#include "engine/internal/stepper.h"
#include "model/task.h"

namespace caudal::engine {
namespace {

// "needs train", with what became of it unless it failed.
std::string Needs(const std::string& name, v1::TaskState state) {
  switch (state) {
    case v1::SKIPPED:
      return "needs " + name + ", which was skipped";
    case v1::OMITTED:
      return "needs " + name + ", which was not run";
    case v1::CANCELED:
      return "'" + name + "' was canceled";
    default:
      return "needs " + name;
  }
}

}  // namespace

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
  if (draft_.wake_at(task) != 0) change.set_wake_at(0);
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
    if (!draft_.is_iteration(task)) TellDependents(task);
    ChildFinished(draft_.parent(task));
  }
}

void Stepper::TellDependents(int task) {
  const int first = draft_.first_child(draft_.parent(task));
  for (const int position : draft_.plan(task).dependents) TellDependent(task, first + position);
}

void Stepper::TellDependent(int task, int dependent) {
  if (model::IsFinal(draft_.task_state(dependent))) return;
  const v1::TaskState state = draft_.task_state(task);
  if (!model::IsSuccess(state) && !draft_.plan(dependent).runs_always) {
    return Finish(dependent, state == v1::CANCELED ? v1::CANCELED : v1::OMITTED,
                  Needs(draft_.name(task), state));
  }
  const int unmet = draft_.unmet(dependent) - 1;
  draft_.Change(dependent).set_unmet(unmet);
  if (unmet == 0) {
    Ready(dependent);
  } else {
    draft_.Change(dependent).set_reason("waiting for " + WhatIsAwaited(dependent));
  }
}

void Stepper::ChildFinished(int dag) {
  const int open = draft_.open_children(dag) - 1;
  draft_.Change(dag).set_open_children(open);
  if (draft_.is_loop(dag)) return OpenIterations(dag);
  if (open == 0) FinishDag(dag);
}

void Stepper::FinishRun(v1::TaskState root_state) {
  v1::Run& run = draft_.ChangeRun();
  run.set_ended_at(now());
  if (is_canceling() && draft_.deadline_passed()) {
    run.set_phase(v1::RUN_FAILED);
    run.set_error("run took longer than its time limit of " +
                  std::to_string(draft_.state().plan().deadline_seconds) + " s");
  } else if (is_canceling()) {
    run.set_phase(v1::RUN_CANCELED);
    run.set_error("run was terminated by " + draft_.terminated_by());
  } else if (root_state == v1::SUCCEEDED) {
    run.set_phase(v1::RUN_SUCCEEDED);
  } else {
    run.set_phase(v1::RUN_FAILED);
    run.set_error(draft_.error(0));
  }
}

}  // namespace caudal::engine
