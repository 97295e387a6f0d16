#pragma once

/// One machine for the simulation: what survives a crash of the server (database, executor with its
/// steps, the clock) and what does not (the orchestrator).

#include <cstdint>
#include <map>
#include <memory>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "base/testing/fake_clock.h"
#include "executor/testing/fake_executor.h"
#include "orchestrator/orchestrator.h"
#include "store/store.h"

namespace caudal::orchestrator {

struct Scenario {
  std::string name;
  std::string text;                  // of the package
  std::vector<std::string> failing;  // paths of tasks that fail always
};
inline void PrintTo(const Scenario& scenario, std::ostream* out) { *out << scenario.name; }

/// How a run ended: its phase, and by task path state and outputs. The same whatever befell the
/// server, for steps that depend on nothing but their inputs; a cached task counts as one that ran.
struct Ending {
  int phase = 0;
  std::map<std::string, std::string> tasks;
  bool operator==(const Ending&) const = default;
};

/// What the simulation has seen, to tell that it sees everything.
struct Seen {
  int64_t events = 0;
  int cached = 0;
  int retried = 0;
  int timed_out = 0;
  int iterations = 0;
  int imported = 0;
  int known_imports = 0;
  int skipped = 0;
  int generations = 0;
};

class World {
 public:
  World(const Scenario& scenario, uint64_t seed);
  ~World();

  /// The database fails at its `n`-th statement from now, and at all that follow until the next
  /// boot.
  void FailAtStatement(int n);
  void StopFailing();

  /// The client asks until it gets an answer.
  void RequestRun(const std::string& id);
  bool IsAcknowledged(const std::string& id) const { return keys_.count(id) > 0; }
  void RequestEnd(const std::string& id, bool now);
  /// Opens ended runs that are not as `expected` again, some of the failed ones too. How many.
  int RetryRuns(const Ending& expected);

  /// One random thing happens: a step starts, ends or is lost, reports arrive, time passes, the
  /// server turns.
  void Tick();
  /// Kills the server, as `kill -9` does.
  void Crash();
  /// Until nothing moves any more and no timer is left.
  void RunToEnd();
  /// One turn of the server, which crashes when the database is down. Whether it had work.
  bool Pump();

  /// Checks what must hold at the end: every acknowledged run has ended as `expected`, nothing is
  /// left over, each log replays to what is stored.
  void CheckInvariants(const Ending& expected, Seen* seen);
  Ending EndingOf(const std::string& id);

  int crash_count() const { return crash_count_; }
  uint64_t Pick(uint64_t n) { return random_() % n; }

 private:
  void Boot();
  template <typename Keys, typename Fn>
  void Each(const Keys& keys, Fn fn) {
    if (!keys.empty()) fn(keys[Pick(keys.size())]);
  }
  void CheckParallelism();
  void CheckReplay(sql::Database& database, const store::Run& row, Seen* seen);
  base::Result<Ending> ReadEnding(sql::Database& database, const store::Run& row);

  const Scenario& scenario_;
  std::shared_ptr<const spec::Plan> plan_;
  std::mt19937_64 random_;
  base::FakeClock clock_;
  executor::FakeExecutor executor_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<Orchestrator> orchestrator_;
  std::map<std::string, int64_t> keys_;  // of acknowledged runs, by id
  int generations_ = 1;                  // that any run may have had at most
  bool is_down_ = false;
  int crash_count_ = 0;
};

}  // namespace caudal::orchestrator
