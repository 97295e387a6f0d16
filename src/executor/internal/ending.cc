#include "executor/internal/local_impl.h"

#include "base/log.h"
#include "executor/internal/outcome.h"

namespace caudal::executor {

using internal::MakeOutcome;
using internal::NowMicros;
using internal::Staged;
using v1::AttemptOutcome;
using v1::AttemptSpec;

void LocalExecutor::Impl::TellWaiting(int64_t key, const std::string& reason) {
  Reporter* to = nullptr;
  {
    const std::lock_guard<std::mutex> lock(mutex);
    const auto it = attempts.find(key);
    if (it != attempts.end()) it->second.waiting_reason = reason;
    to = reporter;
  }
  if (to != nullptr) to->Waiting(key, reason);
}

void LocalExecutor::Impl::OnStarted(int64_t key, int64_t at) {
  Reporter* to = nullptr;
  {
    const std::lock_guard<std::mutex> lock(mutex);
    const auto it = attempts.find(key);
    if (it == attempts.end()) return;
    it->second.started_at = at;
    to = reporter;
  }
  if (to != nullptr) to->Started(key, at);
}

void LocalExecutor::Impl::OnExit(const v1::StepExit& exit) {
  const int64_t key = exit.attempt_key();
  const std::lock_guard<std::mutex> lock(mutex);
  if (foreign.erase(key) > 0) {
    foreign_gone.notify_all();
    return;
  }
  const auto it = attempts.find(key);
  if (it == attempts.end()) {
    if (adopting) exited_early[key] = exit;  // between the hello and its adoption
    return;
  }
  TakeExitLocked(key, &it->second, exit);
}

void LocalExecutor::Impl::TakeExitLocked(int64_t key, Attempt* attempt, const v1::StepExit& exit) {
  if (attempt->phase != Phase::kStarting && attempt->phase != Phase::kRunning) return;
  attempt->phase = Phase::kCollecting;
  attempt->exit = exit;
  admission.Release(key);
  AdmitLocked();
  collecting.Post([this, key] { Collect(key); });
}

void LocalExecutor::Impl::OnLost(const std::vector<int64_t>& keys) {
  const std::lock_guard<std::mutex> lock(mutex);
  for (const int64_t key : keys) {
    if (foreign.erase(key) > 0) foreign_gone.notify_all();
    const auto it = attempts.find(key);
    if (it == attempts.end()) continue;
    Attempt& attempt = it->second;
    if (attempt.phase != Phase::kStarting && attempt.phase != Phase::kRunning) continue;
    if (const auto exit = files.ReadExit(key)) {
      TakeExitLocked(key, &attempt, *exit);
      continue;
    }
    attempt.phase = Phase::kCollecting;
    collecting.Post([this, key] { FinishLost(key); });
  }
}

void LocalExecutor::Impl::Collect(int64_t key) {
  AttemptSpec spec;
  Staged staged;
  v1::StepExit exit;
  {
    const std::lock_guard<std::mutex> lock(mutex);
    const auto it = attempts.find(key);
    if (it == attempts.end()) return;
    spec = it->second.spec;
    staged = it->second.staged;
    exit = it->second.exit;
  }
  AttemptOutcome outcome = launcher::Collect(layout, spec, staged.view, exit);
  outcome.set_version(1);
  outcome.set_attempt_key(key);
  outcome.set_token(spec.token());
  *outcome.mutable_provenance() = staged.provenance;
  if (!exit.started() && outcome.error_code() == "START") {
    const std::string program = staged.view.argv.empty() ? "" : staged.view.argv.front();
    outcome.set_error(internal::StartError(spec, exit, program, staged.provenance.isolation()));
  }
  Finish(key, std::move(outcome));
}

void LocalExecutor::Impl::FinishKilled(int64_t key) {
  FinishWith(key, AttemptOutcome::KILLED, "KILLED", "ended on request before it started");
}

void LocalExecutor::Impl::FinishLost(int64_t key) {
  FinishWith(key, AttemptOutcome::LOST, "LOST",
             "the supervisor of this step went away, and the step with it");
}

void LocalExecutor::Impl::FinishUnstarted(int64_t key, const base::Status& why) {
  {
    const std::lock_guard<std::mutex> lock(mutex);
    const auto it = attempts.find(key);
    if (it == attempts.end() || it->second.phase != Phase::kStarting) return;  // found lost already
    it->second.phase = Phase::kCollecting;
  }
  if (IsKillRequested(key)) {
    FinishKilled(key);
  } else {
    FinishWith(key, AttemptOutcome::FAILED, "START",
               "the step could not be handed to a supervisor: " + why.message());
  }
}

void LocalExecutor::Impl::FinishWith(int64_t key, AttemptOutcome::Result result,
                                     const std::string& code, const std::string& error) {
  AttemptOutcome outcome;
  {
    const std::lock_guard<std::mutex> lock(mutex);
    const auto it = attempts.find(key);
    if (it == attempts.end() || it->second.phase == Phase::kEnded) return;
    it->second.phase = Phase::kCollecting;
    outcome = MakeOutcome(it->second.spec, result, code, error, NowMicros());
    outcome.set_started_at(it->second.started_at);
    *outcome.mutable_provenance() = it->second.staged.provenance;
  }
  Finish(key, std::move(outcome));
}

void LocalExecutor::Impl::Finish(int64_t key, AttemptOutcome outcome) {
  files.RemovePrivate(key);
  KeepOutcome(key, outcome);
  Reporter* to = nullptr;
  {
    const std::lock_guard<std::mutex> lock(mutex);
    const auto it = attempts.find(key);
    if (it == attempts.end()) return;
    it->second.phase = Phase::kEnded;
    it->second.outcome = outcome;
    admission.Release(key);
    AdmitLocked();
    to = reporter;
  }
  if (to != nullptr) to->Finished(outcome);
}

void LocalExecutor::Impl::KeepOutcome(int64_t key, const AttemptOutcome& outcome) {
  base::Status written = files.WriteOutcome(outcome);
  // A success keeps its files until it is committed: should the outcome be lost, it is collected
  // again.
  if (outcome.result() != AttemptOutcome::SUCCEEDED) files.RemoveScratch(key);
  if (!written.ok()) written = files.WriteOutcome(outcome);
  if (!written.ok()) base::LogWarning("outcome is reported but not kept: " + written.message());
}

void LocalExecutor::Impl::ReportKnown(int64_t key) {
  Reporter* to = nullptr;
  Attempt attempt;
  {
    const std::lock_guard<std::mutex> lock(mutex);
    const auto it = attempts.find(key);
    if (it == attempts.end() || reporter == nullptr) return;
    attempt = it->second;
    to = reporter;
  }
  if (attempt.phase == Phase::kEnded) {
    to->Finished(attempt.outcome);
  } else if (attempt.started_at > 0) {
    to->Started(key, attempt.started_at);
  }
}

}  // namespace caudal::executor
