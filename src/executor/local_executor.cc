#include "executor/local_executor.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "async/pool.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "executor/internal/admission.h"
#include "executor/internal/local_parts.h"
#include "executor/internal/log_appender.h"
#include "executor/internal/outcome.h"
#include "executor/internal/step_python.h"
#include "executor/internal/surroundings.h"
#include "executor/internal/work_files.h"
#include "launcher/launcher.h"
#include "pyenv/pyenv.h"
#include "supervisor/client.h"

namespace caudal::executor {

using internal::Admission;
using internal::LogAppender;
using internal::MakeOutcome;
using internal::PythonChoice;
using internal::Share;
using internal::StepPython;
using internal::Surroundings;
using internal::WorkFiles;
using v1::AttemptOutcome;
using v1::AttemptSpec;
using v1::SupervisorReport;

namespace {

/// What staging decided and collecting needs.
struct Staged {
  launcher::View view;
  v1::Provenance provenance;
  std::shared_ptr<const void> environment;  // in use; of an adopted attempt
};

// How long Adopt waits for processes of abandoned attempts to die after SIGKILL.
constexpr std::chrono::seconds kForeignDeadline{20};
// How many steps can wait for environments at once; others' are not even looked at meanwhile.
constexpr int kPreparingThreads = 16;

int64_t NowMicros() { return base::ToMicros(base::SystemClock().Now()); }

}  // namespace

struct LocalExecutor::Impl {
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
        layout{options.data_dir, options.step_uid},
        files(layout),
        environments(shared),
        admission(internal::MachineShare(options)),
        preparing("preparing", kPreparingThreads),
        staging("staging", options.staging_threads),
        collecting("collecting", options.collecting_threads) {}

  // --- Executor, in the order of its interface.

  void Adopt(const std::vector<int64_t>& current, Reporter* new_reporter) {
    {
      const std::lock_guard<std::mutex> lock(mutex);
      reporter = new_reporter;
      adopting = true;
    }
    SupervisorReport::Hello hello;
    const std::set<int64_t> keep(current.begin(), current.end());
    const base::Status connected = Connect(&hello);
    if (!connected.ok()) base::LogError("steps cannot run: " + connected.message());
    EndForeign(hello, keep);
    for (const int64_t key : files.List()) {
      if (keep.count(key) == 0) files.Remove(key);
    }
    for (const int64_t key : keep) AdoptOne(key, hello);
    const std::lock_guard<std::mutex> lock(mutex);
    adopting = false;
    exited_early.clear();
  }

  void Launch(const AttemptSpec& spec) {
    const int64_t key = spec.attempt_key();
    {
      const std::lock_guard<std::mutex> lock(mutex);
      if (stopped) return;
      const auto [it, is_new] = attempts.try_emplace(key);
      if (is_new) {
        it->second.spec = spec;
        it->second.python = internal::ChooseFromMemory(spec, environments);
        if (it->second.python) {
          EnqueueLocked(key, &it->second);
        } else {
          preparing.Post([this, key] { PreparePython(key); });
        }
        return;
      }
    }
    collecting.Post([this, key] { ReportKnown(key); });
  }

  void Kill(int64_t key, const std::string& token, bool now) {
    std::shared_ptr<supervisor::Client> supervisor;
    {
      const std::lock_guard<std::mutex> lock(mutex);
      if (stopped) return;
      const auto [it, is_new] = attempts.try_emplace(key);
      Attempt& attempt = it->second;
      if (is_new) {
        attempt.spec.set_attempt_key(key);
        attempt.spec.set_token(token);
      }
      attempt.kill_requested = true;
      attempt.kill_now = attempt.kill_now || now;
      if (attempt.phase == Phase::kRunning) supervisor = client;
      if (attempt.phase == Phase::kPreparing || attempt.phase == Phase::kQueued) {
        attempt.phase = Phase::kCollecting;  // nobody else ends it now
        admission.Release(key);
        collecting.Post([this, key] { FinishKilled(key); });
      } else if (attempt.phase == Phase::kEnded) {
        collecting.Post([this, key] { ReportKnown(key); });
      }
    }
    if (supervisor != nullptr) KillRunning(*supervisor, key, now);
  }

  void Forget(int64_t key) {
    const std::lock_guard<std::mutex> lock(mutex);
    admission.Release(key);
    attempts.erase(key);
    AdmitLocked();
    collecting.Post([this, key, supervisor = client] {
      if (supervisor != nullptr) {
        const base::Status forgotten = supervisor->Forget(key);
        if (!forgotten.ok()) base::LogDebug("supervisor keeps an exit: " + forgotten.message());
      }
      files.Remove(key);
    });
  }

  void Stop() {
    {
      const std::lock_guard<std::mutex> lock(mutex);
      stopped = true;
      reporter = nullptr;
    }
    // A build that pip works on may take minutes: it is ended, and begun again after the restart.
    environments.Stop();
    preparing.Stop(async::Leftovers::kDrop);
    staging.Stop(async::Leftovers::kDrop);
    collecting.Stop(async::Leftovers::kDrop);
    std::shared_ptr<supervisor::Client> last;
    {
      const std::lock_guard<std::mutex> lock(mutex);
      last.swap(client);
    }
  }

  // --- Adopting.

  base::Status Connect(SupervisorReport::Hello* hello) {
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

  // Kills and waits for what the store does not know as alive.
  void EndForeign(const SupervisorReport::Hello& hello, const std::set<int64_t>& keep) {
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

  void AdoptOne(int64_t key, const SupervisorReport::Hello& hello) {
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

  std::optional<Staged> RestoreStaged(int64_t key, const std::optional<AttemptSpec>& spec) const {
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

  void AdoptEnded(AttemptSpec spec, AttemptOutcome outcome) {
    const int64_t key = spec.attempt_key();
    const std::lock_guard<std::mutex> lock(mutex);
    Attempt& attempt = attempts[key];
    attempt.phase = Phase::kEnded;
    attempt.spec = std::move(spec);
    attempt.outcome = std::move(outcome);
    collecting.Post([this, key] { ReportKnown(key); });
  }

  // --- Python first, on the preparing pool: who waits for an environment holds no cores.

  void PreparePython(int64_t key) {
    AttemptSpec spec;
    {
      const std::lock_guard<std::mutex> lock(mutex);
      const auto it = attempts.find(key);
      if (it == attempts.end() || it->second.phase != Phase::kPreparing) return;
      spec = it->second.spec;
    }
    LogAppender log(options.data_dir + "/" + spec.log_path(), options.log_limit_bytes);
    auto python = internal::Choose(
        spec, environments, [&] { TellWaiting(key, "building the Python environment"); },
        // Nobody reads the log of who was canceled meanwhile; its place may be gone.
        [&](std::string_view text) {
          if (IsPreparing(key)) log.Append(text);
        });
    {
      const std::lock_guard<std::mutex> lock(mutex);
      const auto it = attempts.find(key);
      const bool is_wanted = it != attempts.end() && it->second.phase == Phase::kPreparing;
      // A build that was ended with the server is the next server's to begin again.
      const bool is_ended = stopped || (!python.ok() && environments.IsStopped());
      if (is_ended || !is_wanted) return;
      if (python.ok()) {
        it->second.python = std::move(python);
        EnqueueLocked(key, &it->second);
        return;
      }
      it->second.phase = Phase::kCollecting;
    }
    AttemptOutcome outcome =
        MakeOutcome(spec, AttemptOutcome::FAILED, "ENV", python.status().message(), NowMicros());
    ChooseIsolation(spec, outcome.mutable_provenance());
    Finish(key, std::move(outcome));
  }

  bool IsPreparing(int64_t key) {
    const std::lock_guard<std::mutex> lock(mutex);
    const auto it = attempts.find(key);
    return it != attempts.end() && it->second.phase == Phase::kPreparing;
  }

  void EnqueueLocked(int64_t key, Attempt* attempt) {
    attempt->phase = Phase::kQueued;
    const Share share = admission.ShareOf(attempt->spec.resources(), &attempt->admission_note);
    admission.Enqueue(key, share);
    AdmitLocked();
    if (attempt->phase != Phase::kQueued) return;
    const std::string reason = admission.WhyWaiting(share);
    if (reason == attempt->waiting_reason) return;
    collecting.Post([this, key, reason] { TellWaiting(key, reason); });
  }

  // --- From admission to start, on the staging pool.

  void AdmitLocked() {
    if (stopped) return;
    for (const int64_t key : admission.Admit()) {
      attempts.at(key).phase = Phase::kStaging;
      staging.Post([this, key] { StageAndStart(key); });
    }
  }

  void StageAndStart(int64_t key) {
    AttemptSpec spec;
    Staged staged;
    std::optional<base::Result<PythonChoice>> python;
    {
      const std::lock_guard<std::mutex> lock(mutex);
      const auto it = attempts.find(key);
      if (it == attempts.end()) return;
      spec = it->second.spec;
      python = it->second.python;
      if (!it->second.admission_note.empty()) {
        staged.provenance.add_notes(it->second.admission_note);
      }
    }
    std::optional<AttemptOutcome> failed;
    if (!IsKillRequested(key)) failed = Prepare(spec, *python, &staged);
    if (IsStopped()) {
      files.RemoveStep(key);  // the next server stages it again
    } else if (IsKillRequested(key)) {
      FinishKilled(key);
    } else if (failed) {
      *failed->mutable_provenance() = staged.provenance;
      Finish(key, *std::move(failed));
    } else {
      Start(key, std::move(staged));
    }
  }

  bool IsStopped() {
    const std::lock_guard<std::mutex> lock(mutex);
    return stopped;
  }

  bool IsKillRequested(int64_t key) {
    const std::lock_guard<std::mutex> lock(mutex);
    const auto it = attempts.find(key);
    return it != attempts.end() && it->second.kill_requested;
  }

  // Everything up to step.pb on disk. The outcome says what failed.
  std::optional<AttemptOutcome> Prepare(const AttemptSpec& spec,
                                        const base::Result<PythonChoice>& python, Staged* staged) {
    const auto failed = [&](const std::string& code, const std::string& message) {
      return MakeOutcome(spec, AttemptOutcome::FAILED, code, message, NowMicros());
    };
    const bool sandbox = ChooseIsolation(spec, &staged->provenance);
    if (spec.container().command().empty() && spec.container().args().empty()) {
      return failed("START", internal::StartError(spec, {}, "", staged->provenance.isolation()));
    }
    if (!python.ok()) return failed("ENV", python.status().message());
    NotePython(*python, &staged->provenance);
    const base::Status code = surroundings.CheckCode(spec);
    if (!code.ok()) return failed("CODE", code.message());
    AttemptSpec unwrapped = spec;
    unwrapped.mutable_container()->mutable_command()->Assign(python->command.begin(),
                                                             python->command.end());
    auto view = launcher::Stage(layout, unwrapped, sandbox);
    if (!view.ok()) {
      return failed(internal::StagingErrorCode(view.status().code()), view.status().message());
    }
    staged->view = std::move(view).value();
    const base::Status ready = files.WriteStaged(
        spec, staged->provenance, surroundings.MakeStep(spec, staged->view, python->python, files));
    if (!ready.ok()) return failed("DISK", ready.message());
    return std::nullopt;
  }

  static void NotePython(const PythonChoice& choice, v1::Provenance* provenance) {
    if (!choice.note.empty()) provenance->add_notes(choice.note);
    const StepPython& python = choice.python;
    if (python.interpreter) provenance->set_interpreter(python.interpreter->path);
    if (python.environment) provenance->set_environment(python.environment->id);
  }

  // True for a sandbox. What the attempt asks for, else the default, and never what is impossible.
  bool ChooseIsolation(const AttemptSpec& spec, v1::Provenance* provenance) const {
    const std::string& asked = spec.settings().isolation();
    const std::string& wanted = asked.empty() ? options.isolation : asked;
    const bool sandbox = wanted == "sandbox" && options.no_sandbox_reason.empty();
    provenance->set_isolation(sandbox ? "sandbox" : "process");
    if (!sandbox && !options.no_sandbox_reason.empty()) {
      provenance->add_notes("no sandbox: " + options.no_sandbox_reason);
    }
    if (spec.resources().accelerator_count() > 0) {
      provenance->add_notes("asks for " + std::to_string(spec.resources().accelerator_count()) +
                            " of '" + spec.resources().accelerator_type() +
                            "', which this executor does not hand out");
    }
    return sandbox;
  }

  void Start(int64_t key, Staged staged) {
    std::shared_ptr<supervisor::Client> supervisor;
    {
      const std::lock_guard<std::mutex> lock(mutex);
      const auto it = attempts.find(key);
      if (stopped || it == attempts.end()) {
        files.RemoveStep(key);
        return;
      }
      it->second.staged = std::move(staged);
      it->second.phase = Phase::kStarting;
      supervisor = client;
    }
    const base::Status started = supervisor == nullptr
                                     ? base::Unavailable("no supervisor runs")
                                     : supervisor->Start(key, files.StepPath(key));
    if (!started.ok()) {
      FinishUnstarted(key, started);
      return;
    }
    bool kill = false;
    bool now = false;
    {
      const std::lock_guard<std::mutex> lock(mutex);
      const auto it = attempts.find(key);
      if (it == attempts.end() || it->second.phase != Phase::kStarting) return;
      it->second.phase = Phase::kRunning;
      kill = it->second.kill_requested;
      now = it->second.kill_now;
    }
    if (kill) KillRunning(*supervisor, key, now);
  }

  void KillRunning(supervisor::Client& supervisor, int64_t key, bool now) {
    const base::Status killed = supervisor.Kill(key, now);
    if (!killed.ok()) base::LogWarning("kill did not reach the supervisor: " + killed.message());
  }

  // --- From the supervisor, on its client's thread.

  void TellWaiting(int64_t key, const std::string& reason) {
    Reporter* to = nullptr;
    {
      const std::lock_guard<std::mutex> lock(mutex);
      const auto it = attempts.find(key);
      if (it != attempts.end()) it->second.waiting_reason = reason;
      to = reporter;
    }
    if (to != nullptr) to->Waiting(key, reason);
  }

  void OnStarted(int64_t key, int64_t at) {
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

  void OnExit(const v1::StepExit& exit) {
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

  void TakeExitLocked(int64_t key, Attempt* attempt, const v1::StepExit& exit) {
    if (attempt->phase != Phase::kStarting && attempt->phase != Phase::kRunning) return;
    attempt->phase = Phase::kCollecting;
    attempt->exit = exit;
    admission.Release(key);
    AdmitLocked();
    collecting.Post([this, key] { Collect(key); });
  }

  // An exit that the dead supervisor still wrote down counts.
  void OnLost(const std::vector<int64_t>& keys) {
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

  // --- Ending, on the collecting pool (or the staging pool, for what never started).

  void Collect(int64_t key) {
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

  void FinishKilled(int64_t key) {
    FinishWith(key, AttemptOutcome::KILLED, "KILLED", "ended on request before it started");
  }

  void FinishLost(int64_t key) {
    FinishWith(key, AttemptOutcome::LOST, "LOST",
               "the supervisor of this step went away, and the step with it");
  }

  void FinishUnstarted(int64_t key, const base::Status& why) {
    {
      const std::lock_guard<std::mutex> lock(mutex);
      const auto it = attempts.find(key);
      if (it == attempts.end() || it->second.phase != Phase::kStarting)
        return;  // found lost already
      it->second.phase = Phase::kCollecting;
    }
    if (IsKillRequested(key)) {
      FinishKilled(key);
    } else {
      FinishWith(key, AttemptOutcome::FAILED, "START",
                 "the step could not be handed to a supervisor: " + why.message());
    }
  }

  void FinishWith(int64_t key, AttemptOutcome::Result result, const std::string& code,
                  const std::string& error) {
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

  void Finish(int64_t key, AttemptOutcome outcome) {
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

  // On disk before it is told. A disk that the step itself has filled gets its space back first: a
  // full disk could keep neither this outcome nor the commit that follows.
  void KeepOutcome(int64_t key, const AttemptOutcome& outcome) {
    base::Status written = files.WriteOutcome(outcome);
    // A success keeps its files until it is committed: should the outcome be lost, it is collected
    // again.
    if (outcome.result() != AttemptOutcome::SUCCEEDED) files.RemoveScratch(key);
    if (!written.ok()) written = files.WriteOutcome(outcome);
    if (!written.ok()) base::LogWarning("outcome is reported but not kept: " + written.message());
  }

  void ReportKnown(int64_t key) {
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

  const LocalOptions options;
  const launcher::Layout layout;
  const WorkFiles files;
  Surroundings surroundings;
  pyenv::Environments& environments;

  std::mutex mutex;  // guards all that follows but the pools
  Reporter* reporter = nullptr;
  bool stopped = false;
  bool adopting = false;
  Admission admission;
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

base::Result<std::unique_ptr<LocalExecutor>> LocalExecutor::Make(
    LocalOptions options, pyenv::Environments& environments) {
  CAUDAL_ASSIGN(Surroundings surroundings, internal::MakeSurroundings(options));
  auto impl = std::make_unique<Impl>(std::move(options), environments);
  impl->surroundings = std::move(surroundings);
  return std::unique_ptr<LocalExecutor>(new LocalExecutor(std::move(impl)));
}

LocalExecutor::LocalExecutor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LocalExecutor::~LocalExecutor() { impl_->Stop(); }

void LocalExecutor::Adopt(const std::vector<int64_t>& current, Reporter* reporter) {
  impl_->Adopt(current, reporter);
}
void LocalExecutor::Launch(const AttemptSpec& spec) { impl_->Launch(spec); }
void LocalExecutor::Kill(int64_t attempt_key, const std::string& token, bool now) {
  impl_->Kill(attempt_key, token, now);
}
void LocalExecutor::Forget(int64_t attempt_key) { impl_->Forget(attempt_key); }
void LocalExecutor::Stop() { impl_->Stop(); }

}  // namespace caudal::executor
