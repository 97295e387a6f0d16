#pragma once

/// The state and the threads of a local executor. Its methods stand in local_executor.cc,
/// adopting.cc, starting.cc and ending.cc, by what they are about.

#include <condition_variable>
#include <mutex>
#include <optional>
#include <set>

#include "async/pool.h"
#include "base/clock.h"
#include "executor/internal/local_parts.h"
#include "executor/internal/realm.h"
#include "executor/internal/volumes.h"
#include "supervisor/client.h"

namespace caudal::executor {
namespace internal {

/// What staging decided and collecting needs.
struct Staged {
  launcher::View view;
  v1::Provenance provenance;
  std::shared_ptr<const void> environment{};  // in use; of an adopted attempt
};

inline int64_t NowMicros() { return base::ToMicros(base::SystemClock().Now()); }

}  // namespace internal

struct LocalExecutor::Impl {
  using AttemptOutcome = v1::AttemptOutcome;
  using AttemptSpec = v1::AttemptSpec;
  using PythonChoice = internal::PythonChoice;
  using Staged = internal::Staged;
  using SupervisorReport = v1::SupervisorReport;

  // How many steps can wait for environments at once; others' are not even looked at meanwhile.
  static constexpr int kPreparingThreads = 16;

  enum class Phase { kPreparing, kQueued, kStaging, kStarting, kRunning, kCollecting, kEnded };

  struct Attempt {
    AttemptSpec spec;
    Phase phase = Phase::kPreparing;
    std::optional<base::Result<PythonChoice>> python;  // from kQueued on
    std::string admission_note;
    // Why it has not started, as far as that was told; the engine begins with this one.
    std::string waiting_reason = "waiting for a core";
    bool kill_requested = false;
    bool kill_now = false;
    int64_t started_at = 0;  // 0: not started
    Staged staged;
    v1::StepExit exit;
    AttemptOutcome outcome;
  };

  Impl(LocalOptions given, pyenv::Environments& shared)
      : options(std::move(given)),
        layout{options.data_dir, options.step_uid, options.require_secrets},
        files(layout),
        volumes(layout),
        environments(shared),
        realms(options.data_dir, shared),
        admission(internal::MachineShare(options)),
        preparing("preparing", kPreparingThreads),
        staging("staging", options.staging_threads),
        collecting("collecting", options.collecting_threads) {}

  // --- Executor, in the order of its interface.

  void Adopt(const std::vector<int64_t>& current, Reporter* new_reporter);
  void Launch(const AttemptSpec& spec);
  void Kill(int64_t key, const std::string& token, bool now);
  void Forget(int64_t key);
  std::string Realm(const AttemptSpec& spec) { return realms.Of(spec); }
  bool HasBlob(const std::string& blob) const;
  void Stop();

  // --- Adopting.

  base::Status Connect(SupervisorReport::Hello* hello);
  // Kills and waits for what the store does not know as alive.
  void EndForeign(const SupervisorReport::Hello& hello, const std::set<int64_t>& keep);
  void AdoptOne(int64_t key, const SupervisorReport::Hello& hello);
  std::optional<Staged> RestoreStaged(int64_t key, const std::optional<AttemptSpec>& spec) const;
  void AdoptEnded(AttemptSpec spec, AttemptOutcome outcome);

  // --- Python first, on the preparing pool: who waits for an environment holds no cores.

  void PreparePython(int64_t key);
  bool IsPreparing(int64_t key);
  void EnqueueLocked(int64_t key, Attempt* attempt);

  // --- From admission to start, on the staging pool.

  void AdmitLocked();
  void StageAndStart(int64_t key);
  // An attempt without a process: neither Python nor a share of the machine.
  void Operate(int64_t key);
  bool IsStopped();
  bool IsKillRequested(int64_t key);
  // Everything up to step.pb on disk. The outcome says what failed.
  std::optional<AttemptOutcome> Prepare(const AttemptSpec& spec,
                                        const base::Result<PythonChoice>& python, Staged* staged);
  static void NotePython(const PythonChoice& choice, v1::Provenance* provenance);
  // True for a sandbox. What the attempt asks for, else the default, and never what is impossible.
  bool ChooseIsolation(const AttemptSpec& spec, v1::Provenance* provenance) const;
  void Start(int64_t key, Staged staged);
  void KillRunning(supervisor::Client& supervisor, int64_t key, bool now);

  // --- From the supervisor, on its client's thread.

  void TellWaiting(int64_t key, const std::string& reason);
  void OnStarted(int64_t key, int64_t at);
  void OnExit(const v1::StepExit& exit);
  void TakeExitLocked(int64_t key, Attempt* attempt, const v1::StepExit& exit);
  // An exit that the dead supervisor still wrote down counts.
  void OnLost(const std::vector<int64_t>& keys);

  // --- Ending, on the collecting pool (or the staging pool, for what never started).

  void Collect(int64_t key);
  void FinishKilled(int64_t key);
  void FinishLost(int64_t key);
  void FinishUnstarted(int64_t key, const base::Status& why);
  void FinishWith(int64_t key, AttemptOutcome::Result result, const std::string& code,
                  const std::string& error);
  void Finish(int64_t key, AttemptOutcome outcome);
  // On disk before it is told. A disk that the step itself has filled gets its space back first: a
  // full disk could keep neither this outcome nor the commit that follows.
  void KeepOutcome(int64_t key, const AttemptOutcome& outcome);
  void ReportKnown(int64_t key);

  const LocalOptions options;
  const launcher::Layout layout;
  const internal::WorkFiles files;
  const internal::Volumes volumes;
  internal::Surroundings surroundings;
  pyenv::Environments& environments;
  internal::Realms realms;

  std::mutex mutex;  // guards all that follows but the pools
  Reporter* reporter = nullptr;
  bool stopped = false;
  bool adopting = false;
  internal::Admission admission;
  std::map<int64_t, Attempt> attempts;
  std::set<int64_t> foreign;  // abandoned attempts whose exits Adopt waits for
  std::map<int64_t, v1::StepExit> exited_early;
  std::condition_variable foreign_gone;
  // Shared with calls that are under way while Stop lets go of it.
  std::shared_ptr<supervisor::Client> client;

  async::Pool preparing;
  async::Pool staging;
  async::Pool collecting;
};

}  // namespace caudal::executor
