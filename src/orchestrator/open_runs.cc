// Runs in memory, and commands about their attempts.

#include "engine/attempt.h"
#include "model/task.h"
#include "orchestrator/orchestrator.h"
#include "store/run_log.h"

namespace caudal::orchestrator {

using base::Result;
using base::Status;

Result<Orchestrator::OpenRun*> Orchestrator::Find(sql::Database& database, int64_t run_key) {
  const auto found = runs_.find(run_key);
  if (found != runs_.end()) return found->second.get();
  CAUDAL_TRY(Load(database, run_key));
  return runs_.at(run_key).get();
}

Status Orchestrator::Load(sql::Database& database, int64_t run_key) {
  CAUDAL_ASSIGN(const store::Run row, store::GetRunByKey(database, run_key));
  if (model::IsFinal(static_cast<v1::RunPhase>(row.phase))) {
    return base::FailedPrecondition("run " + row.id + " has ended already");
  }
  CAUDAL_ASSIGN(std::unique_ptr<OpenRun> run, Read(database, row));
  for (const v1::Task& task : run->state.tasks()) {
    if (task.live_attempt() != 0 && !model::IsFinal(task.state())) {
      attempts_[task.live_attempt()] = {run_key, task.index()};
    }
  }
  AddTimers(run_key, run->state);
  Publish(run_key, run->seq, true);
  runs_[run_key] = std::move(run);
  put_out_.erase(run_key);
  return {};
}

Result<std::unique_ptr<Orchestrator::OpenRun>> Orchestrator::Read(sql::Database& database,
                                                                  const store::Run& row) const {
  CAUDAL_ASSIGN(spec::Package package, spec::LoadPackage(row.spec));
  CAUDAL_ASSIGN(auto plan, spec::MakePlan(std::move(package)));
  CAUDAL_ASSIGN(store::LoadedRun loaded, store::LoadRun(database, row.key, std::move(plan)));
  auto run = std::make_unique<OpenRun>(std::move(loaded.state));
  run->seq = loaded.seq;
  return run;
}

void Orchestrator::AddTimers(int64_t run_key, const engine::State& state) {
  for (const v1::Task& task : state.tasks()) {
    if (task.wake_at() > 0) timers_.insert({task.wake_at(), run_key, task.index()});
  }
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

}  // namespace caudal::orchestrator
