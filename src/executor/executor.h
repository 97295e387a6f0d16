#pragma once

/// "Run this attempt, tell me its fate": the one face of everything that can run a step.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "caudal/v1/attempt.pb.h"

namespace caudal::executor {

/// What an executor tells the orchestrator. Called from the executor's threads, any number of times
/// for the same attempt: the orchestrator drops what it has heard already.
class Reporter {
 public:
  virtual ~Reporter() = default;
  /// What an attempt that has not started yet is waiting for, in words for people: said once, when
  /// it takes longer than a moment.
  virtual void Waiting(int64_t attempt_key, const std::string& reason) = 0;
  virtual void Started(int64_t attempt_key, int64_t at_micros) = 0;
  virtual void Finished(const caudal::v1::AttemptOutcome& outcome) = 0;
};

/// Idempotent by attempt key: launching an attempt that is running, or that has ended, starts
/// nothing and reports what is known. Thread-safe; no call blocks on user code.
class Executor {
 public:
  virtual ~Executor() = default;

  /// Called once, before anything else. `current` are the attempts the store believes alive; every
  /// process of any other attempt is gone when this returns. What is known of the current ones is
  /// reported; those never launched are not mentioned.
  virtual void Adopt(const std::vector<int64_t>& current, Reporter* reporter) = 0;

  /// Admits (waiting for cores and memory), stages, starts. Faults of staging are reported as
  /// FAILED outcomes.
  virtual void Launch(const caudal::v1::AttemptSpec& spec) = 0;

  /// Ends the attempt's whole tree: SIGTERM, SIGKILL after the grace; `now` skips the grace.
  /// Reports KILLED, also for an attempt that still waited for admission or was never launched.
  virtual void Kill(int64_t attempt_key, const std::string& token, bool now) = 0;

  /// The attempt's outcome is committed: its work directory may go.
  virtual void Forget(int64_t attempt_key) = 0;

  /// What a step of this spec runs on here, as far as it may change what comes out of it: two runs
  /// with the same inputs and the same realm may share outputs. The key of its Python environment
  /// and its code, or "image". Makes nothing and blocks on nothing; cheap enough for every launch.
  virtual std::string Realm(const caudal::v1::AttemptSpec& spec) = 0;

  /// Whether the bytes of a blob ("<xx>/<attempt>/<output>") are still there.
  virtual bool HasBlob(const std::string& blob) = 0;

  /// Stops accepting and reporting. Running steps go on under their supervisor.
  virtual void Stop() = 0;
};

}  // namespace caudal::executor
