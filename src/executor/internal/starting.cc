#include "executor/internal/local_impl.h"

#include "base/log.h"
#include "executor/internal/log_appender.h"
#include "executor/internal/operations.h"
#include "executor/internal/outcome.h"

namespace caudal::executor {

using internal::LogAppender;
using internal::MakeOutcome;
using internal::NowMicros;
using internal::PythonChoice;
using internal::Share;
using internal::Staged;
using internal::StepPython;
using v1::AttemptOutcome;
using v1::AttemptSpec;

void LocalExecutor::Impl::PreparePython(int64_t key) {
  AttemptSpec spec;
  {
    const std::lock_guard<std::mutex> lock(mutex);
    const auto it = attempts.find(key);
    if (it == attempts.end() || it->second.phase != Phase::kPreparing) return;
    spec = it->second.spec;
  }
  LogAppender log(options.data_dir + "/" + spec.log_path(), options.log_limit_bytes);
  auto python = internal::Choose(
      options.data_dir, spec, environments,
      [&] { TellWaiting(key, "building the Python environment"); },
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
  const bool is_code = python.status().code() == base::Code::kNotFound;
  AttemptOutcome outcome = MakeOutcome(spec, AttemptOutcome::FAILED, is_code ? "CODE" : "ENV",
                                       python.status().message(), NowMicros());
  ChooseIsolation(spec, outcome.mutable_provenance());
  Finish(key, std::move(outcome));
}

bool LocalExecutor::Impl::IsPreparing(int64_t key) {
  const std::lock_guard<std::mutex> lock(mutex);
  const auto it = attempts.find(key);
  return it != attempts.end() && it->second.phase == Phase::kPreparing;
}

void LocalExecutor::Impl::EnqueueLocked(int64_t key, Attempt* attempt) {
  attempt->phase = Phase::kQueued;
  const Share share = admission.ShareOf(attempt->spec.resources(), &attempt->admission_note);
  admission.Enqueue(key, share);
  AdmitLocked();
  if (attempt->phase != Phase::kQueued) return;
  const std::string reason = admission.WhyWaiting(share);
  if (reason == attempt->waiting_reason) return;
  collecting.Post([this, key, reason] { TellWaiting(key, reason); });
}

void LocalExecutor::Impl::AdmitLocked() {
  if (stopped) return;
  for (const int64_t key : admission.Admit()) {
    attempts.at(key).phase = Phase::kStaging;
    staging.Post([this, key] { StageAndStart(key); });
  }
}

void LocalExecutor::Impl::StageAndStart(int64_t key) {
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

void LocalExecutor::Impl::Operate(int64_t key) {
  AttemptSpec spec;
  {
    const std::lock_guard<std::mutex> lock(mutex);
    const auto it = attempts.find(key);
    if (stopped || it == attempts.end()) return;
    spec = it->second.spec;
  }
  if (IsKillRequested(key)) return FinishKilled(key);
  OnStarted(key, NowMicros());
  const base::Status noted = files.WriteAttempt(spec);
  if (!noted.ok()) return FinishWith(key, AttemptOutcome::FAILED, "DISK", noted.message());
  v1::Provenance ignored;
  const bool sandbox = ChooseIsolation(spec, &ignored);
  Finish(key,
         internal::Operate(
             layout, volumes, spec,
             [&](const std::string& path) { return surroundings.CheckReadable(path, sandbox); },
             NowMicros()));
  volumes.Free(key);
}

bool LocalExecutor::Impl::IsStopped() {
  const std::lock_guard<std::mutex> lock(mutex);
  return stopped;
}

bool LocalExecutor::Impl::IsKillRequested(int64_t key) {
  const std::lock_guard<std::mutex> lock(mutex);
  const auto it = attempts.find(key);
  return it != attempts.end() && it->second.kill_requested;
}

std::optional<AttemptOutcome> LocalExecutor::Impl::Prepare(const AttemptSpec& spec,
                                                           const base::Result<PythonChoice>& python,
                                                           Staged* staged) {
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
  for (const std::string& note : staged->view.notes) staged->provenance.add_notes(note);
  const base::Status ready = files.WriteStaged(
      spec, staged->provenance, surroundings.MakeStep(spec, staged->view, python->python, files),
      staged->view.private_env);
  staged->view.private_env.clear();
  if (!ready.ok()) return failed("DISK", ready.message());
  return std::nullopt;
}

void LocalExecutor::Impl::NotePython(const PythonChoice& choice, v1::Provenance* provenance) {
  if (!choice.note.empty()) provenance->add_notes(choice.note);
  const StepPython& python = choice.python;
  if (python.interpreter) provenance->set_interpreter(python.interpreter->path);
  if (python.environment) provenance->set_environment(python.environment->id);
}

bool LocalExecutor::Impl::ChooseIsolation(const AttemptSpec& spec,
                                          v1::Provenance* provenance) const {
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

void LocalExecutor::Impl::Start(int64_t key, Staged staged) {
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
  const base::Status started = supervisor == nullptr ? base::Unavailable("no supervisor runs")
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

void LocalExecutor::Impl::KillRunning(supervisor::Client& supervisor, int64_t key, bool now) {
  const base::Status killed = supervisor.Kill(key, now);
  if (!killed.ok()) base::LogWarning("kill did not reach the supervisor: " + killed.message());
}

}  // namespace caudal::executor
