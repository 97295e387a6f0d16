#include <vector>

#include "engine/internal/stepper.h"
#include "model/task.h"

namespace caudal::engine {
namespace {

using base::FailedPrecondition;
using base::Status;

bool IsUndone(v1::TaskState state) { return state == v1::FAILED || state == v1::CANCELED; }

// Whether a group has children of its current start, which then need not all be done again.
bool WasOpened(const Draft& draft, int task) {
  if (draft.is_loop(task)) return draft.opened_in(task) != 0;
  return draft.is_dag(task) && draft.started_at(task) != 0 && draft.child_count(task) > 0;
}

/// Which children of a DAG are done again: those that failed or were canceled, and all that follows
/// one of them, unless something else still keeps it from running.
class Redo {
 public:
  Redo(const Draft& draft, int dag)
      : draft_(draft),
        first_(draft.first_child(dag)),
        tasks_(draft.component(dag).tasks),
        is_redone_(tasks_.size(), false) {
    std::vector<size_t> missing(tasks_.size());
    std::vector<size_t> ready;
    for (size_t i = 0; i < tasks_.size(); ++i) {
      missing[i] = tasks_[i].upstream.size();
      if (missing[i] == 0) ready.push_back(i);
    }
    while (!ready.empty()) {
      const size_t i = ready.back();
      ready.pop_back();
      is_redone_[i] = Decide(i);
      for (const int dependent : tasks_[i].dependents) {
        if (--missing[static_cast<size_t>(dependent)] == 0) {
          ready.push_back(static_cast<size_t>(dependent));
        }
      }
    }
  }

  bool IsRedone(size_t i) const { return is_redone_[i]; }
  int RedoneUpstream(size_t i) const {
    int count = 0;
    for (const int up : tasks_[i].upstream) count += is_redone_[static_cast<size_t>(up)] ? 1 : 0;
    return count;
  }

 private:
  v1::TaskState StateOf(int position) const { return draft_.task_state(first_ + position); }

  bool Decide(size_t i) const {
    bool follows = IsUndone(StateOf(static_cast<int>(i)));
    for (const int up : tasks_[i].upstream) {
      const bool is_redone = is_redone_[static_cast<size_t>(up)];
      if (!is_redone && !model::IsSuccess(StateOf(up)) && !tasks_[i].runs_always) return false;
      follows = follows || is_redone;
    }
    return follows;
  }

  const Draft& draft_;
  const int first_;
  const std::vector<spec::TaskPlan>& tasks_;
  std::vector<bool> is_redone_;
};

}  // namespace

Status Stepper::OnRetryRequested(const v1::Event::RetryRequested&) {
  const v1::RunPhase phase = draft_.phase();
  if (phase == v1::RUN_SUCCEEDED) return FailedPrecondition("run succeeded: nothing is left to do");
  if (!model::IsFinal(phase)) return FailedPrecondition("run has not ended yet");
  v1::Run& run = draft_.ChangeRun();
  run.set_phase(v1::RUN_RUNNING);
  run.set_generation(draft_.generation() + 1);
  run.set_error("");
  run.set_ended_at(0);
  run.set_terminated_by("");
  run.set_terminate_now(false);
  run.set_deadline_passed(false);
  const int64_t deadline = draft_.state().plan().deadline_seconds;
  if (deadline > 0) draft_.Change(0).set_wake_at(now() + deadline * 1'000'000);
  ResumeDag(0);
  return {};
}

void Stepper::ResumeDag(int dag) {
  const Redo redo(draft_, dag);
  const int first = draft_.first_child(dag);
  const int count = draft_.child_count(dag);
  v1::Task& change = draft_.Change(dag);
  change.set_state(v1::RUNNING);
  change.set_reason("");
  change.set_error("");
  change.set_error_code("");
  change.set_ended_at(0);
  std::vector<int> resumed;
  std::vector<int> ready;
  int open = 0;
  for (int i = 0; i < count; ++i) {
    if (!redo.IsRedone(static_cast<size_t>(i))) continue;
    ++open;
    const int child = first + i;
    const int unmet = redo.RedoneUpstream(static_cast<size_t>(i));
    if (unmet == 0 && WasOpened(draft_, child)) {
      resumed.push_back(child);
      continue;
    }
    v1::Task& fresh = draft_.Refresh(child);
    fresh.set_state(v1::PENDING);
    fresh.set_unmet(unmet);
    if (unmet == 0) ready.push_back(child);
  }
  draft_.Change(dag).set_open_children(open);
  for (const int child : resumed) ResumeTask(child);
  for (int i = 0; i < count; ++i) {
    const int child = first + i;
    if (draft_.task_state(child) != v1::PENDING || draft_.unmet(child) == 0) continue;
    draft_.Change(child).set_reason("waiting for " + WhatIsAwaited(child));
  }
  for (const int child : ready) Ready(child);
  if (open == 0) FinishDag(dag);
}

void Stepper::ResumeTask(int task) {
  if (!draft_.is_loop(task)) return ResumeDag(task);
  v1::Task& change = draft_.Change(task);
  change.set_state(v1::RUNNING);
  change.set_reason("");
  change.set_error("");
  change.set_error_code("");
  change.set_ended_at(0);
  change.set_iterations_opened(0);
  change.set_open_children(0);
  OpenIterations(task);
}

}  // namespace caudal::engine
