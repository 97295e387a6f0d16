#include <algorithm>
#include <chrono>

#include "executor/internal/local_impl.h"

#include "base/log.h"

namespace caudal::executor {

using internal::NowMicros;
using internal::Staged;
using v1::AttemptOutcome;
using v1::AttemptSpec;
using v1::SupervisorReport;

namespace {
// How long Adopt waits for processes of abandoned attempts to die after SIGKILL.
constexpr std::chrono::seconds kForeignDeadline{20};
}  // namespace

base::Status LocalExecutor::Impl::Connect(SupervisorReport::Hello* hello) {
  supervisor::Client::Callbacks callbacks;
  callbacks.on_started = [this](int64_t key, int64_t at) { OnStarted(key, at); };
  callbacks.on_exit = [this](const v1::StepExit& exit) { OnExit(exit); };
  callbacks.on_lost = [this](const std::vector<int64_t>& keys) { OnLost(keys); };
  auto connected = supervisor::Client::Connect({options.data_dir, options.executable},
                                               std::move(callbacks), hello);
  if (!connected.ok()) return connected.status();
  const std::lock_guard<std::mutex> lock(mutex);
  client = std::move(connected).value();
  return base::OkStatus();
}

void LocalExecutor::Impl::EndForeign(const SupervisorReport::Hello& hello,
                                     const std::set<int64_t>& keep) {
  std::vector<int64_t> killed;
  for (const int64_t key : hello.live()) {
    if (keep.count(key) == 0) killed.push_back(key);
  }
  {
    const std::lock_guard<std::mutex> lock(mutex);
    for (const int64_t key : killed) {
      if (exited_early.count(key) == 0) foreign.insert(key);
    }
  }
  for (const int64_t key : killed) KillRunning(*client, key, true);
  std::unique_lock<std::mutex> lock(mutex);
  if (!foreign_gone.wait_for(lock, kForeignDeadline, [this] { return foreign.empty(); })) {
    base::LogError("processes of " + std::to_string(foreign.size()) +
                   " abandoned attempts survive SIGKILL");
  }
  foreign.clear();
  lock.unlock();
  for (const v1::StepExit& exit : hello.finished()) {
    if (keep.count(exit.attempt_key()) == 0) killed.push_back(exit.attempt_key());
  }
  for (const int64_t key : killed) {
    const base::Status forgotten = client->Forget(key);
    if (!forgotten.ok()) base::LogDebug("supervisor keeps an exit: " + forgotten.message());
  }
}

void LocalExecutor::Impl::AdoptOne(int64_t key, const SupervisorReport::Hello& hello) {
  std::optional<AttemptSpec> spec = files.ReadAttempt(key);
  std::optional<Staged> staged = RestoreStaged(key, spec);
  if (auto outcome = files.ReadOutcome(key)) {
    if (spec) AdoptEnded(*std::move(spec), *std::move(outcome));
    return;
  }
  if (!spec || !staged) {  // never started: the orchestrator launches it again, from nothing
    files.Remove(key);
    return;
  }
  std::optional<v1::StepExit> exit = files.ReadExit(key);
  for (const v1::StepExit& finished : hello.finished()) {
    if (finished.attempt_key() == key) exit = finished;
  }
  const bool is_live =
      std::find(hello.live().begin(), hello.live().end(), key) != hello.live().end();
  const std::lock_guard<std::mutex> lock(mutex);
  Attempt& attempt = attempts[key];
  attempt.spec = *std::move(spec);
  attempt.staged = *std::move(staged);
  attempt.started_at = files.StagedAtMicros(key);
  if (const auto early = exited_early.find(key); early != exited_early.end()) {
    exit = early->second;
  }
  if (exit) {
    attempt.exit = *std::move(exit);
    attempt.phase = Phase::kCollecting;
    collecting.Post([this, key] { Collect(key); });
  } else if (is_live) {
    attempt.phase = Phase::kRunning;
    std::string ignored;
    admission.Occupy(key, admission.ShareOf(attempt.spec.resources(), &ignored));
    collecting.Post([this, key] { ReportKnown(key); });
  } else {
    attempt.phase = Phase::kCollecting;
    collecting.Post([this, key] { FinishLost(key); });
  }
}

std::optional<Staged> LocalExecutor::Impl::RestoreStaged(
    int64_t key, const std::optional<AttemptSpec>& spec) const {
  auto provenance = files.ReadProvenance(key);
  const auto step = files.ReadStep(key);
  if (!spec || !provenance || !step) return std::nullopt;
  auto view = launcher::MakeView(layout, *spec, step->sandbox());
  if (!view.ok()) return std::nullopt;
  view->argv.assign(step->argv().begin(), step->argv().end());
  Staged staged{std::move(view).value(), *std::move(provenance), nullptr};
  const auto held = environments.Hold(staged.provenance.environment());
  if (held.ok()) staged.environment = held->use;
  return staged;
}

void LocalExecutor::Impl::AdoptEnded(AttemptSpec spec, AttemptOutcome outcome) {
  const int64_t key = spec.attempt_key();
  const std::lock_guard<std::mutex> lock(mutex);
  Attempt& attempt = attempts[key];
  attempt.phase = Phase::kEnded;
  attempt.spec = std::move(spec);
  attempt.outcome = std::move(outcome);
  collecting.Post([this, key] { ReportKnown(key); });
}

}  // namespace caudal::executor
