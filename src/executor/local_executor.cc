#include "executor/internal/local_impl.h"

#include "base/file.h"
#include "base/log.h"
#include "executor/internal/local_parts.h"
#include "executor/internal/operations.h"

namespace caudal::executor {

using v1::AttemptOutcome;
using v1::AttemptSpec;
using v1::SupervisorReport;

void LocalExecutor::Impl::Adopt(const std::vector<int64_t>& current, Reporter* new_reporter) {
  {
    const std::lock_guard<std::mutex> lock(mutex);
    reporter = new_reporter;
    adopting = true;
  }
  // The first step should not wait for it, nor the scheduler that asks for a realm.
  preparing.Post([this] {
    std::string note;
    if (!environments.ForImage("", &note).ok()) base::LogDebug("no Python for steps here");
  });
  SupervisorReport::Hello hello;
  const std::set<int64_t> keep(current.begin(), current.end());
  const base::Status connected = Connect(&hello);
  if (!connected.ok()) base::LogError("steps cannot run: " + connected.message());
  EndForeign(hello, keep);
  for (const int64_t key : files.List()) {
    if (keep.count(key) == 0) files.Remove(key);
  }
  volumes.FreeOthers(keep);
  for (const int64_t key : keep) AdoptOne(key, hello);
  const std::lock_guard<std::mutex> lock(mutex);
  adopting = false;
  exited_early.clear();
}

void LocalExecutor::Impl::Launch(const AttemptSpec& spec) {
  const int64_t key = spec.attempt_key();
  {
    const std::lock_guard<std::mutex> lock(mutex);
    if (stopped) return;
    const auto [it, is_new] = attempts.try_emplace(key);
    if (is_new) {
      it->second.spec = spec;
      if (spec.kind() != AttemptSpec::CONTAINER) {
        it->second.phase = Phase::kStaging;
        staging.Post([this, key] { Operate(key); });
        return;
      }
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

void LocalExecutor::Impl::Kill(int64_t key, const std::string& token, bool now) {
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

void LocalExecutor::Impl::Forget(int64_t key) {
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

bool LocalExecutor::Impl::HasBlob(const std::string& blob) const {
  return !blob.empty() && base::PathExists(layout.BlobPath(blob));
}

void LocalExecutor::Impl::Stop() {
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

base::Result<std::unique_ptr<LocalExecutor>> LocalExecutor::Make(
    LocalOptions options, pyenv::Environments& environments) {
  CAUDAL_ASSIGN(internal::Surroundings surroundings, internal::MakeSurroundings(options));
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
std::string LocalExecutor::Realm(const AttemptSpec& spec) { return impl_->Realm(spec); }
bool LocalExecutor::HasBlob(const std::string& blob) { return impl_->HasBlob(blob); }
void LocalExecutor::Stop() { impl_->Stop(); }

}  // namespace caudal::executor
