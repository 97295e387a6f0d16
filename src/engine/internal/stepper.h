#pragma once

/// One Step in progress: the event's own effect first, then what follows from every task that came
/// to an end.

#include <cstdint>
#include <deque>
#include <string>

#include "base/status.h"
#include "engine/internal/draft.h"

namespace caudal::engine {

/// Lives for one Step. `work_` holds tasks whose end has consequences still to be drawn, so that a
/// long chain of consequences needs no deep stack.
class Stepper {
 public:
  Stepper(const State& state, const v1::Event& event) : draft_(state, event) {}

  base::Result<v1::Delta> Run();

 private:
  // step.cc: what an event means by itself.
  base::Status Handle();
  base::Status OnRunCreated();
  base::Status OnAttemptStarted(const v1::Event::AttemptStarted& started);
  base::Status OnAttemptWaiting(const v1::Event::AttemptWaiting& waiting);
  base::Status OnAttemptFinished(const v1::Event::AttemptFinished& finished);
  base::Status OnTimerFired(const v1::Event::TimerFired& fired);
  base::Status OnCacheAnswered(const v1::Event::CacheAnswered& answer);
  base::Status OnImportAnswered(const v1::Event::ImportAnswered& answer);

  // attempts.cc: a step from ready to launched, and what its outcome means.
  void PrepareStep(int task);
  void PrepareImport(int task);
  base::Status FillRecord(int task);
  bool AskCache(int task);
  void LaunchAttempt(int task, int retry_index, const std::string& reason);
  void SucceedAttempt(int task, const v1::AttemptOutcome& outcome);
  void FailAttempt(int task, const v1::AttemptOutcome& outcome);
  void LoseAttempt(int task, const v1::AttemptOutcome& outcome);
  /// Whether the failed attempt is followed by another one; if not, `*why_not` may say why.
  bool RetryAttempt(int task, const std::string& after, std::string* why_not);
  /// "retry 1 of 3"; empty for a first attempt.
  std::string WhichRetry(int task) const;

  // groups.cc: DAGs and loops.
  void Ready(int task);
  bool IsTriggered(int task);
  void OpenDag(int dag);
  void OpenLoop(int loop);
  void OpenIterations(int loop);
  void OpenIteration(int loop, int i);
  void FinishDag(int dag);
  void FinishLoop(int loop);
  std::string WhatIsAwaited(int task) const;

  // consequences.cc: from the end of one task to the next.
  void Fail(int task, const std::string& code, const std::string& error);
  void Finish(int task, v1::TaskState state, const std::string& reason);
  void DrawConsequences();
  void TellDependents(int task);
  void TellDependent(int task, int dependent);
  void ChildFinished(int dag);
  void FinishRun(v1::TaskState root_state);

  // ending.cc: a run that is asked to end.
  base::Status OnTerminateRequested(const v1::Event::TerminateRequested& request);
  void End(const std::string& by, bool now, int64_t grace_micros);
  void EndTask(int task);
  /// Whether a task that is ready may start although the run is ending.
  bool MayStart(int task) const;
  /// Whether the task is one of those that the end of the run reaches: all but started exit tasks
  /// in their time of grace.
  bool IsToEnd(int task) const;
  bool IsOfExitTask(int task) const;
  bool HandlerStarted(int exit_task) const;

  // redo.cc: the next generation of a run.
  base::Status OnRetryRequested(const v1::Event::RetryRequested& request);
  void ResumeDag(int dag);
  void ResumeTask(int task);

  base::Status CheckTask(int task) const;
  bool IsLive(int task, int64_t attempt_key) const;
  bool is_canceling() const { return draft_.phase() == v1::RUN_CANCELING; }
  int64_t now() const { return draft_.event().at(); }

  Draft draft_;
  std::deque<int> work_;  // finished tasks whose consequences are to be drawn
};

}  // namespace caudal::engine
