#pragma once

/// Runs attempts as processes of this machine: admission, environment, staging, supervisor,
/// collecting.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "executor/executor.h"
#include "pyenv/pyenv.h"

namespace caudal::executor {

struct LocalOptions {
  std::string data_dir;               ///< absolute
  std::string executable;             ///< this binary, which also is the supervisor
  std::string isolation = "process";  ///< "sandbox" or "process", where the attempt does not say
  std::string no_sandbox_reason;      ///< why this machine has no sandboxes; empty: it has
  int64_t cores_milli = 0;            ///< for all steps together; 0: the whole machine
  int64_t memory_bytes = 0;           ///< likewise
  int64_t kill_grace_millis = 10'000;
  int64_t log_limit_bytes = 1LL << 30;
  int staging_threads = 8;
  int collecting_threads = 4;
  std::string kfp_package;          ///< replaces the kfp that steps pin, where the run does not say
  bool require_secrets = false;     ///< a step without its secrets or config maps fails
  int step_uid = -1;                ///< who sandboxed steps are on the host; -1: we ourselves
  std::vector<std::string> mounts;  ///< "HOST[:PATH][:rw]", for sandboxed steps
};

/// How Python environments are to be built for an executor with these options.
pyenv::Options EnvironmentOptions(const LocalOptions& options);

/// The executor of a laptop and of a single server.
///
/// Files: `work/<key>/` has attempt.pb, provenance.pb, step.pb (in this order, before the start),
/// exit.pb (the supervisor's) and outcome.pb (before it is reported), so that Adopt finds each
/// attempt where a crash left it.
class LocalExecutor final : public Executor {
 public:
  /// `environments` outlives the executor, whose Stop stops them. Errors: kInvalidArgument for a
  /// mount or isolation that makes no sense.
  static base::Result<std::unique_ptr<LocalExecutor>> Make(LocalOptions options,
                                                           pyenv::Environments& environments);
  ~LocalExecutor() override;

  void Adopt(const std::vector<int64_t>& current, Reporter* reporter) override;
  void Launch(const v1::AttemptSpec& spec) override;
  void Kill(int64_t attempt_key, const std::string& token, bool now) override;
  void Forget(int64_t attempt_key) override;
  /// Asks an interpreter once for each Python version that images name; else from memory.
  std::string Realm(const v1::AttemptSpec& spec) override;
  bool HasBlob(const std::string& blob) override;
  /// Waits for staging and collecting that run now; steps go on.
  void Stop() override;

 private:
  struct Impl;
  explicit LocalExecutor(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace caudal::executor
