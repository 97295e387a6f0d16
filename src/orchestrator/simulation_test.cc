// Drives the real orchestrator, engine and store with a fake clock, a fake executor and a database
// that fails at its n-th statement, and checks what must hold whatever happens.

#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <random>
#include <set>

#include "base/testing/fake_clock.h"
#include "engine/step.h"
#include "engine/testing/pipelines.h"
#include "executor/testing/fake_executor.h"
#include "model/task.h"
#include "orchestrator/orchestrator.h"

namespace caudal::orchestrator {
namespace {

using base::Status;

struct Scenario {
  const char* name;
  const char* tasks;                 // as engine::PipelineText
  std::vector<std::string> failing;  // tasks that fail always
};

const Scenario kScenarios[] = {
    {"Chain", "a b:a c:b d:c", {}},
    {"FanOutAndJoin", "a b:a c:a d:a e:a f:b,c,d,e", {}},
    {"Nested", "a outer:a{x inner:x{p q:p} y:inner} z:outer", {}},
    {"FailureBeside", "a b:a c:b other late:other", {"b"}},
};

/// One machine: what survives a crash of the server (database, executor with its steps) and what
/// does not (the orchestrator).
class World {
 public:
  World(const Scenario& scenario, uint64_t seed)
      : scenario_(scenario),
        plan_(engine::PipelinePlan(scenario.tasks)),
        random_(seed),
        store_(*store::Store::Open(":memory:")) {
    for (const std::string& task : scenario.failing) executor_.ScriptFailure(task);
    Boot();
  }
  ~World() { store_->writer_for_test().SetFaultHookForTest(nullptr); }

  /// The database fails at its `n`-th statement from now, and at all that follow until the next
  /// boot.
  void FailAtStatement(int n) {
    store_->writer_for_test().SetFaultHookForTest([this, n](std::string_view) mutable {
      if (!is_down_ && --n > 0) return Status();
      is_down_ = true;
      return base::Unavailable("the power is gone");
    });
  }

  void StopFailing() { store_->writer_for_test().SetFaultHookForTest(nullptr); }

  void RequestRun(const std::string& id) {
    NewRun run;
    run.row.id = id;
    run.row.display_name = id;
    run.row.spec = engine::PipelineText(scenario_.tasks);
    run.row.phase = v1::RUN_PENDING;
    run.plan = plan_;
    run.info.set_run_id(id);
    run.info.set_pipeline_name("test");
    run.info.set_pipeline_root("minio://bucket/root");
    orchestrator_->PostCreate(std::move(run), [this, id](base::Result<int64_t> key) {
      if (key.ok() || key.status().code() == base::Code::kAlreadyExists) acknowledged_.insert(id);
    });
  }

  bool IsAcknowledged(const std::string& id) const { return acknowledged_.count(id) > 0; }

  /// One random thing happens: a step starts, ends or is lost, reports arrive, the server turns.
  void Tick() {
    clock_.Advance(std::chrono::milliseconds(7));
    switch (Pick(8)) {
      case 0:
      case 1:
        Each(executor_.Queued(), [&](int64_t key) { executor_.Start(key); });
        break;
      case 2:
      case 3:
        Each(executor_.Live(), [&](int64_t key) { executor_.Finish(key); });
        break;
      case 4:
        if (Pick(6) == 0) Each(executor_.Live(), [&](int64_t key) { executor_.Lose(key); });
        break;
      case 5:
        executor_.Deliver();
        break;
      default:
        Pump();
    }
  }

  /// Kills the server, as `kill -9` does.
  void Crash() {
    ++crash_count_;
    executor_.Disconnect();
    orchestrator_.reset();
    store_->writer_for_test().SetFaultHookForTest(nullptr);
    is_down_ = false;
    Boot();
  }

  /// Until nothing moves any more.
  void RunToEnd() {
    for (int idle = 0; idle < 3;) {
      for (const int64_t key : executor_.Queued()) executor_.Start(key);
      for (const int64_t key : executor_.Live()) executor_.Finish(key);
      executor_.Deliver();
      idle = Pump() ? 0 : idle + 1;
    }
  }

  void CheckInvariants();
  int crash_count() const { return crash_count_; }
  uint64_t Pick(uint64_t n) { return random_() % n; }
  bool Pump() {
    const auto turned = orchestrator_->Pump();
    if (!turned.ok()) {
      EXPECT_TRUE(is_down_) << turned.status().ToString();
      Crash();
      return true;
    }
    return *turned;
  }

 private:
  void Boot() {
    orchestrator_ = std::make_unique<Orchestrator>(*store_, executor_, clock_,
                                                   [this] { return std::to_string(random_()); });
    const Status recovered = orchestrator_->Recover();
    ASSERT_TRUE(recovered.ok()) << recovered.ToString();
  }
  template <typename Keys, typename Fn>
  void Each(const Keys& keys, Fn fn) {
    if (!keys.empty()) fn(keys[Pick(keys.size())]);
  }
  void CheckRun(sql::Database& database, const store::Run& row);
  void CheckReplay(sql::Database& database, const store::Run& row,
                   const std::vector<v1::Task>& tasks);

  const Scenario& scenario_;
  std::shared_ptr<const spec::Plan> plan_;
  std::mt19937_64 random_;
  base::FakeClock clock_;
  executor::FakeExecutor executor_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<Orchestrator> orchestrator_;
  std::set<std::string> acknowledged_;
  bool is_down_ = false;
  int crash_count_ = 0;
};

void World::CheckInvariants() {
  std::map<std::string, int> successes;
  for (const auto& [attempt, record] : executor_.Ledger()) {
    successes[attempt.first] += record.successes;
    EXPECT_LE(record.starts, 1) << "an attempt started twice";
  }
  for (const auto& [task, count] : successes)
    EXPECT_LE(count, 1) << "a success ran again: " << task;
  EXPECT_LE(executor_.MaxLivePerTask(), 1) << "two live attempts of one task";
  EXPECT_TRUE(executor_.Live().empty() && executor_.Queued().empty()) << "an orphan remains";

  const Status checked = store_->Read([&](sql::Database& database) -> Status {
    for (const std::string& id : acknowledged_) {
      CAUDAL_ASSIGN(const store::Run row, store::GetRun(database, id));
      CheckRun(database, row);
    }
    CAUDAL_ASSIGN(const auto outbox, store::ListOutbox(database));
    EXPECT_TRUE(outbox.empty()) << "a command was never done";
    return {};
  });
  EXPECT_TRUE(checked.ok()) << "an acknowledged run is lost: " << checked.ToString();
}

void World::CheckRun(sql::Database& database, const store::Run& row) {
  const bool fails = !scenario_.failing.empty();
  EXPECT_EQ(row.phase, fails ? v1::RUN_FAILED : v1::RUN_SUCCEEDED) << row.error;
  const auto tasks = store::ListTasks(database, row.key, 1000);
  ASSERT_TRUE(tasks.ok());
  for (const v1::Task& task : *tasks) {
    EXPECT_TRUE(model::IsFinal(task.state())) << task.name();
    EXPECT_EQ(task.open_children(), 0) << task.name();
    const bool leaf_succeeded = task.state() == v1::SUCCEEDED && task.child_count() == 0;
    EXPECT_EQ(task.output_parameters().count("Output") > 0, leaf_succeeded) << task.name();
  }
  CheckReplay(database, row, *tasks);
}

// The stored log, run through Step again, gives the same deltas and the same end.
void World::CheckReplay(sql::Database& database, const store::Run& row,
                        const std::vector<v1::Task>& tasks) {
  using google::protobuf::util::MessageDifferencer;
  const auto log = store::ReadLog(database, row.key);
  ASSERT_TRUE(log.ok()) << log.status().ToString();
  EXPECT_EQ(static_cast<int64_t>(log->size()), row.seq);
  engine::State state(plan_);
  for (const v1::LogRecord& record : *log) {
    const auto delta = engine::Step(state, record.event());
    ASSERT_TRUE(delta.ok()) << delta.status().ToString();
    EXPECT_TRUE(MessageDifferencer::Equals(*delta, record.delta())) << record.DebugString();
    engine::Apply(state, record.event(), record.delta());
  }
  ASSERT_EQ(state.task_count(), static_cast<int>(tasks.size()));
  for (const v1::Task& task : tasks) {
    EXPECT_TRUE(MessageDifferencer::Equals(task, state.task(task.index()))) << task.DebugString();
  }
}

void PrintTo(const Scenario& scenario, std::ostream* out) { *out << scenario.name; }

class Simulation : public testing::TestWithParam<Scenario> {};

TEST_P(Simulation, SurvivesAFailureAtEveryStatement) {
  bool was_reached = true;
  int n = 1;
  for (; was_reached; ++n) {
    SCOPED_TRACE("statement " + std::to_string(n));
    World world(GetParam(), static_cast<uint64_t>(n));
    world.FailAtStatement(n);
    // The client asks until it gets an answer.
    while (!world.IsAcknowledged("run")) {
      world.RequestRun("run");
      world.Pump();
    }
    world.RunToEnd();
    world.StopFailing();
    world.CheckInvariants();
    was_reached = world.crash_count() > 0;  // if not, every statement has had its turn
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(n, 50) << "the hook is not being asked";
}

TEST_P(Simulation, SurvivesRandomCrashesAndLosses) {
  const char* asked = std::getenv("CAUDAL_SIMULATION_SEEDS");
  const int seeds = asked != nullptr ? std::atoi(asked) : 100;
  for (int seed = 1; seed <= seeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    World world(GetParam(), static_cast<uint64_t>(seed));
    for (int i = 0; i < 80; ++i) {
      if (i % 20 == 0) world.RequestRun("run-" + std::to_string(i / 20));
      if (world.Pick(25) == 0) world.FailAtStatement(1 + static_cast<int>(world.Pick(40)));
      if (world.Pick(40) == 0) world.Crash();
      world.Tick();
    }
    world.Crash();
    world.RunToEnd();
    world.CheckInvariants();
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(All, Simulation, testing::ValuesIn(kScenarios),
                         [](const auto& scenario) { return std::string(scenario.param.name); });

}  // namespace
}  // namespace caudal::orchestrator
