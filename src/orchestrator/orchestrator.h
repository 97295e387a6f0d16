#pragma once

/// Owns the runs: takes events, asks the engine what follows, commits it, then carries it out.

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "caudal/v1/engine.pb.h"
#include "engine/state.h"
#include "executor/executor.h"
#include "spec/plan.h"
#include "store/rows.h"
#include "store/store.h"

namespace caudal::orchestrator {

/// A run to be created: its row without key, its plan, and the facts of its first event.
struct NewRun {
  store::Run row;
  std::shared_ptr<const spec::Plan> plan;
  v1::RunInfo info;
};

struct Options {
  /// How long the exit tasks of a run that was asked to end may go on.
  base::Duration terminate_grace = std::chrono::minutes(5);
};

/// One loop for all runs of a data directory.
///
/// Each turn (`Pump`) is one transaction: it takes timers that are due and what is in the mailbox,
/// steps it, answers what the engine asks of the store, and commits. Only then are commands
/// dispatched and callers answered: what was acknowledged is on disk. A turn that has grown long
/// leaves the rest to the next one, so that other writers have their turn too. Memory holds the
/// open runs only.
///
/// Thread-safety: the public functions from any thread, `Pump` from one thread at a time.
/// Lifetime: store, executor and clock must outlive it. `Stop` before destruction.
class Orchestrator final : public executor::Reporter {
 public:
  /// `random` gives fresh salt for events; tests pass a seeded one.
  Orchestrator(store::Store& store, executor::Executor& executor, const base::Clock& clock,
               std::function<std::string()> random, Options options = {});
  ~Orchestrator() override;

  /// Loads the open runs with their timers, lets the executor re-attach to their attempts (killing
  /// all others), and dispatches again what was commanded and not done. Called once, first. Decides
  /// nothing anew.
  base::Status Recover();

  /// Runs the loop on a thread of its own until `Stop`.
  void Start();
  void Stop();

  /// Commits the run and its first step. Blocks until it is on disk; needs the loop running.
  /// Errors: kAlreadyExists for a taken run id, the store's.
  base::Result<int64_t> CreateRun(NewRun run);
  /// Asks for the end of a run. Blocks until that is on disk. Errors: kNotFound,
  /// kFailedPrecondition when the run is final already, the store's.
  base::Status Terminate(int64_t run_key, const std::string& by, bool now);
  /// Opens an ended run again: what failed or was canceled, and all that follows it, is done anew.
  /// Blocks until that is on disk. Errors: kNotFound, kFailedPrecondition when the run has not
  /// ended or has succeeded, the store's.
  base::Status Retry(int64_t run_key, const std::string& by);
  /// Ends what still runs at once and removes everything the store has of the run. Blocks until
  /// that is on disk. Errors: kNotFound, the store's.
  base::Status DeleteRun(int64_t run_key);
  /// Waits until the run's sequence is greater than `after`, or it is not open any more, or
  /// `timeout` has passed.
  void WaitForChange(int64_t run_key, int64_t after, std::chrono::milliseconds timeout);
  /// Ends all waits, now and from now on. First step of shutting down: who waits holds up the rest.
  void StopWaits();

  // The same without blocking; `done` is called by the turn that handled it.
  void PostCreate(NewRun run, std::function<void(base::Result<int64_t>)> done);
  void PostTerminate(int64_t run_key, std::string by, bool now,
                     std::function<void(base::Status)> done);
  void PostRetry(int64_t run_key, std::string by, std::function<void(base::Status)> done);
  void PostDelete(int64_t run_key, std::function<void(base::Status)> done);

  // executor::Reporter
  void Waiting(int64_t attempt_key, const std::string& reason) override;
  void Started(int64_t attempt_key, int64_t at_micros) override;
  void Finished(const v1::AttemptOutcome& outcome) override;

  /// One turn. Returns whether there was anything to do; an error when the commit failed, in which
  /// case callers have been told, and reports and timers wait for the next turn.
  base::Result<bool> Pump();

  /// When the earliest timer is due (it may turn out to mean nothing any more). From the thread
  /// that calls `Pump`.
  std::optional<base::Time> NextTimer() const;

 private:
  struct Create {
    NewRun run;
    std::function<void(base::Result<int64_t>)> done;
  };
  struct Terminating {
    int64_t run_key;
    std::string by;
    bool now;
    std::function<void(base::Status)> done;
  };
  struct Retrying {
    int64_t run_key;
    std::string by;
    std::function<void(base::Status)> done;
  };
  struct Delete {
    int64_t run_key;
    std::function<void(base::Status)> done;
  };
  struct AttemptWaiting {
    int64_t attempt_key;
    std::string reason;
  };
  struct AttemptStarted {
    int64_t attempt_key;
    int64_t at;
  };
  struct AttemptFinished {
    v1::AttemptOutcome outcome;
  };
  using Message = std::variant<Create, Terminating, Retrying, Delete, AttemptWaiting,
                               AttemptStarted, AttemptFinished>;

  struct OpenRun {
    explicit OpenRun(engine::State s) : state(std::move(s)) {}
    engine::State state;
    int64_t seq = 0;
  };
  struct AttemptPlace {
    int64_t run_key;
    int task;
  };
  struct Timer {
    int64_t at;  // microseconds since 1970
    int64_t run_key;
    int task;
    auto operator<=>(const Timer&) const = default;
  };
  struct Turn;

  // orchestrator.cc: callers, the loop, and what a turn begins and ends with.
  void Post(Message message);
  static bool IsRequest(const Message& message);
  static void Refuse(const Message& request, const base::Status& why);
  void PutBack(std::vector<Message> messages);
  void Loop();
  void WaitForWork();
  std::vector<Timer> TakeDueTimers();
  base::Status Work(Turn& turn, const std::vector<Message>& messages);
  void RollBack(Turn& turn, std::vector<Message> messages, const base::Status& why);
  void Settle(Turn& turn, std::vector<Message> messages);
  void Publish(int64_t run_key, int64_t seq, bool is_open);

  // turn.cc: what messages and timers mean.
  void Handle(Turn& turn, const Timer& timer);
  void Handle(Turn& turn, const Create& create);
  void Handle(Turn& turn, const Terminating& terminating);
  void Handle(Turn& turn, const Retrying& retrying);
  void Handle(Turn& turn, const Delete& deletion);
  void Handle(Turn& turn, const AttemptWaiting& waiting);
  void Handle(Turn& turn, const AttemptStarted& started);
  void Handle(Turn& turn, const AttemptFinished& finished);
  base::Result<int64_t> Open(Turn& turn, const NewRun& created);
  base::Status AskToEnd(Turn& turn, const Terminating& terminating);
  base::Status OpenAgain(Turn& turn, const Retrying& retrying);
  v1::Event MakeEvent() const;
  base::Status StepRun(Turn& turn, OpenRun& run, int64_t run_key, v1::Event event);
  base::Status StepOnce(Turn& turn, OpenRun& run, int64_t run_key, v1::Event event);
  base::Result<v1::Event> Answer(Turn& turn, const OpenRun& run, const v1::Query& query);
  base::Status Flush(Turn& turn);
  void NoteMissing(Turn& turn, const base::Status& why);
  static void NoteRefused(const Turn& turn, const std::string& what, const base::Status& why);

  // open_runs.cc: runs in memory, and commands about their attempts.
  base::Result<OpenRun*> Find(sql::Database& database, int64_t run_key);
  base::Status Load(sql::Database& database, int64_t run_key);
  base::Result<std::unique_ptr<OpenRun>> Read(sql::Database& database, const store::Run& row) const;
  void AddTimers(int64_t run_key, const engine::State& state);
  void Dispatch(int64_t run_key, const engine::State& state, const v1::Command& command);
  void LaunchLive(int64_t run_key, const engine::State& state);
  void DropRun(int64_t run_key);

  store::Store& store_;
  executor::Executor& executor_;
  const base::Clock& clock_;
  std::function<std::string()> random_;
  const Options options_;

  // The loop's own.
  std::unordered_map<int64_t, std::unique_ptr<OpenRun>> runs_;  // by run key
  std::set<int64_t> put_out_;  // open runs that a failed commit has put out of memory
  std::unordered_map<int64_t, AttemptPlace> attempts_;  // live ones, by attempt key
  std::set<Timer> timers_;  // of committed tasks; one that its task has no more means nothing
  int64_t next_key_ = 1;

  std::mutex mailbox_mutex_;
  std::condition_variable mailbox_filled_;
  std::vector<Message> mailbox_;
  bool is_stopping_ = false;
  std::thread thread_;

  std::mutex watch_mutex_;
  std::condition_variable sequence_moved_;
  std::unordered_map<int64_t, int64_t> sequences_;  // of open runs
  bool waits_are_over_ = false;
};

}  // namespace caudal::orchestrator
