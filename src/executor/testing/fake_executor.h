#pragma once

/// An executor without processes, whose every step the test decides: for simulation.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "executor/executor.h"

namespace caudal::executor {

/// Attempts move launched → live → ended only when the test says so, always in order of launch, so
/// equal scripts give equal histories.
///
/// Nothing is reported from inside Launch, Kill or Adopt: reports queue up until Deliver, as real
/// ones come later and from elsewhere. The fake outlives the orchestrator's crashes: destroy the
/// orchestrator, call Disconnect (undelivered reports are lost, attempts go on), build a new one,
/// and Adopt re-attaches. Thread-safe.
class FakeExecutor final : public Executor {
 public:
  /// What became of one attempt of one task.
  struct Record {
    int starts = 0;
    int successes = 0;
    int kills = 0;
  };
  using AttemptId = std::pair<std::string, int>;  ///< task id, attempt number

  void Adopt(const std::vector<int64_t>& current, Reporter* reporter) override;
  void Launch(const v1::AttemptSpec& spec) override;
  void Kill(int64_t attempt_key, const std::string& token, bool now) override;
  void Forget(int64_t attempt_key) override;
  std::string Realm(const v1::AttemptSpec& spec) override;
  bool HasBlob(const std::string& blob) override;
  void Stop() override { Disconnect(); }

  /// The next attempt of the task ends so; the last of several answers holds for all that follow.
  /// Key and token are filled in. Without a script an attempt succeeds with DefaultOutcome.
  void Script(const std::string& task_path, const v1::AttemptOutcome& outcome);
  /// Shorthand: FAILED with code "EXIT".
  void ScriptFailure(const std::string& task_path, int exit_code = 1);

  /// What steps without a script do: their outcome, or nothing when they go on until they are
  /// killed.
  using Program = std::function<std::optional<v1::AttemptOutcome>(const v1::AttemptSpec&)>;
  void SetProgram(Program program);

  /// Keys of attempts that are launched but not started, and of live ones, in order of launch.
  std::vector<int64_t> Queued() const;
  std::vector<int64_t> Live() const;
  /// What Launch was given. The attempt must be known.
  v1::AttemptSpec SpecOf(int64_t attempt_key) const;

  void Start(int64_t attempt_key);
  /// Ends a live attempt by its script or program, or as KILLED when that was asked for. Whether it
  /// ended.
  bool Finish(int64_t attempt_key);
  void FinishWith(int64_t attempt_key, v1::AttemptOutcome outcome);
  /// The machine lost it: LOST.
  void Lose(int64_t attempt_key);

  /// What Realm answers for every step from now on; "image" unless set.
  void SetRealm(const std::string& realm);
  /// The bytes of a blob are gone: HasBlob says so.
  void LoseBlob(const std::string& blob);

  /// Hands over reports queued so far, oldest first; true when there was one.
  bool Deliver();
  /// Starts what is queued, finishes what is live and delivers, until nothing moves any more.
  void RunUntilIdle();
  /// As if the server were gone: no reporter, no queued reports.
  void Disconnect();

  std::map<AttemptId, Record> Ledger() const;
  /// Most attempts of any one task that were live at the same time.
  int MaxLivePerTask() const;

  /// SUCCEEDED with a value of the declared type for every declared output.
  static v1::AttemptOutcome DefaultOutcome(const v1::AttemptSpec& spec);

 private:
  enum class Phase { kQueued, kLive, kEnded };
  struct Attempt {
    v1::AttemptSpec spec;
    Phase phase = Phase::kQueued;
    bool kill_requested = false;
    int64_t started_at = 0;
    v1::AttemptOutcome outcome;
  };
  struct Report {
    bool is_final = false;
    int64_t attempt_key = 0;
    int64_t started_at = 0;
    v1::AttemptOutcome outcome;
  };

  std::vector<int64_t> KeysIn(Phase phase) const;
  void EndLocked(int64_t key, Attempt* attempt, v1::AttemptOutcome outcome);
  void ReportLocked(int64_t key, const Attempt& attempt);
  std::optional<v1::AttemptOutcome> NextScriptedLocked(const v1::AttemptSpec& spec);

  mutable std::mutex mutex_;
  Reporter* reporter_ = nullptr;
  std::map<int64_t, Attempt> attempts_;
  std::vector<int64_t> order_;
  std::string realm_ = "image";
  Program program_ = DefaultOutcome;
  std::set<std::string> lost_blobs_;
  std::map<std::string, std::deque<v1::AttemptOutcome>> scripts_;
  std::deque<Report> reports_;
  std::map<AttemptId, Record> ledger_;
  std::map<std::string, int> live_per_task_;
  int max_live_per_task_ = 0;
  int64_t now_micros_ = 1'767'322'800'000'000;
};

}  // namespace caudal::executor
