// What callers and steps see of the orchestrator when a request or the database is at fault.
// Crashes are the simulation's.

#include "orchestrator/orchestrator.h"

#include <gtest/gtest.h>

#include <optional>

#include "base/testing/fake_clock.h"
#include "engine/testing/pipelines.h"
#include "executor/testing/fake_executor.h"
#include "store/run_log.h"

namespace caudal::orchestrator {
namespace {

using base::Code;
using base::Status;

class OrchestratorTest : public testing::Test {
 protected:
  OrchestratorTest()
      : store_(*store::Store::Open(":memory:")),
        orchestrator_(*store_, executor_, clock_, [this] { return std::to_string(++salt_); }) {
    EXPECT_TRUE(orchestrator_.Recover().ok());
  }
  ~OrchestratorTest() override { Heal(); }

  int64_t Create(const std::string& id, const std::string& tasks) {
    NewRun run;
    run.row.id = id;
    run.row.spec = engine::PipelineText(tasks);
    run.row.phase = v1::RUN_PENDING;
    run.plan = engine::PipelinePlan(tasks);
    run.info.set_run_id(id);
    run.info.set_pipeline_root("minio://bucket/root");
    int64_t key = 0;
    orchestrator_.PostCreate(std::move(run), [&](base::Result<int64_t> made) {
      ASSERT_TRUE(made.ok()) << made.status().ToString();
      key = *made;
    });
    EXPECT_TRUE(orchestrator_.Pump().ok());
    return key;
  }

  /// The answer, if one turn gives it.
  std::optional<Status> Terminate(int64_t run_key) {
    auto answer = std::make_shared<std::optional<Status>>();  // may be answered by a later turn
    orchestrator_.PostTerminate(run_key, "someone", false, [answer](Status s) { *answer = s; });
    last_turn_ = orchestrator_.Pump().status();
    return *answer;
  }
  std::optional<Status> Delete(int64_t run_key) {
    auto answer = std::make_shared<std::optional<Status>>();  // may be answered by a later turn
    orchestrator_.PostDelete(run_key, [answer](Status s) { *answer = s; });
    last_turn_ = orchestrator_.Pump().status();
    return *answer;
  }

  /// The database is full: nothing can be committed.
  void Fill() {
    store_->writer_for_test().SetFaultHookForTest([](std::string_view sql) {
      return sql == "COMMIT" ? base::ResourceExhausted("disk is full") : Status();
    });
  }
  void Heal() { store_->writer_for_test().SetFaultHookForTest(nullptr); }

  int PhaseOf(const std::string& id) {
    int phase = -1;
    EXPECT_TRUE(store_
                    ->Read([&](sql::Database& database) -> Status {
                      CAUDAL_ASSIGN(const store::Run row, store::GetRun(database, id));
                      phase = row.phase;
                      return {};
                    })
                    .ok());
    return phase;
  }

  void Settle() {
    do executor_.RunUntilIdle();
    while (*orchestrator_.Pump());
  }

  base::FakeClock clock_;
  executor::FakeExecutor executor_;
  int salt_ = 0;
  std::unique_ptr<store::Store> store_;
  Orchestrator orchestrator_;
  Status last_turn_;
};

TEST_F(OrchestratorTest, CallersAreToldThatTheDiskIsFull) {
  const int64_t run = Create("run", "a");
  Fill();
  const auto terminated = Terminate(run);
  ASSERT_TRUE(terminated.has_value()) << "the caller waits for room on the disk";
  EXPECT_EQ(terminated->code(), Code::kResourceExhausted);
  const auto deleted = Delete(run);
  ASSERT_TRUE(deleted.has_value());
  EXPECT_EQ(deleted->code(), Code::kResourceExhausted);
  Heal();
  Settle();
  EXPECT_EQ(PhaseOf("run"), v1::RUN_SUCCEEDED) << "a refused request was carried out later";
}

TEST_F(OrchestratorTest, ReportsOutliveAFullDisk) {
  Create("run", "a");
  Fill();
  executor_.RunUntilIdle();
  EXPECT_FALSE(orchestrator_.Pump().ok());
  Heal();
  Settle();
  EXPECT_EQ(PhaseOf("run"), v1::RUN_SUCCEEDED);
}

TEST_F(OrchestratorTest, DeletingEndsTheStepsOfARunThatMemoryHasLost) {
  const int64_t run = Create("run", "a");
  executor_.Start(executor_.Queued().at(0));
  Fill();
  ASSERT_TRUE(Terminate(run).has_value());
  ASSERT_FALSE(last_turn_.ok());  // rolled back: the run has left memory
  Heal();
  const auto deleted = Delete(run);
  ASSERT_TRUE(deleted.has_value());
  EXPECT_TRUE(deleted->ok()) << deleted->ToString();
  executor_.Finish(executor_.Live().at(0));
  EXPECT_EQ(executor_.Ledger().begin()->second.kills, 1);
}

TEST_F(OrchestratorTest, DeletingTwiceIsNotFound) {
  const int64_t run = Create("run", "a");
  EXPECT_TRUE(Delete(run)->ok());
  EXPECT_EQ(Delete(run)->code(), Code::kNotFound);
}

TEST_F(OrchestratorTest, AnOutcomeWithAWrongTokenLeavesTheAttemptAlone) {
  Create("run", "a");
  const int64_t attempt = executor_.Queued().at(0);
  executor_.Start(attempt);
  executor_.Deliver();
  v1::AttemptOutcome forged = executor::FakeExecutor::DefaultOutcome(executor_.SpecOf(attempt));
  forged.set_attempt_key(attempt);
  forged.set_token("guessed");
  orchestrator_.Finished(forged);
  ASSERT_TRUE(orchestrator_.Pump().ok());
  EXPECT_EQ(PhaseOf("run"), v1::RUN_RUNNING);
  Settle();
  EXPECT_EQ(PhaseOf("run"), v1::RUN_SUCCEEDED);
}

TEST_F(OrchestratorTest, ADamagedRunHoldsUpNoOther) {
  const int64_t damaged = Create("damaged", "a");
  Create("sound", "a");
  ASSERT_TRUE(store_
                  ->Write([&](sql::Database& database) {
                    return database.Execute("UPDATE event SET body='?' WHERE run_key=$1",
                                            {damaged});
                  })
                  .ok());
  Fill();
  ASSERT_TRUE(Terminate(damaged).has_value());
  ASSERT_FALSE(last_turn_.ok());  // rolled back: both are read again
  Heal();
  executor_.RunUntilIdle();
  EXPECT_TRUE(orchestrator_.Pump().ok());
  Settle();
  EXPECT_EQ(PhaseOf("sound"), v1::RUN_SUCCEEDED);
  EXPECT_TRUE(Delete(damaged)->ok());
}

TEST_F(OrchestratorTest, AStartedAttemptThatLeftNoTraceIsLaunchedAgain) {
  const int64_t run_key = Create("run", "a");
  executor_.Start(executor_.Queued().at(0));
  executor_.Deliver();
  ASSERT_TRUE(orchestrator_.Pump().ok());
  ASSERT_EQ(PhaseOf("run"), v1::RUN_RUNNING);

  executor::FakeExecutor elsewhere;
  Orchestrator restarted(*store_, elsewhere, clock_, [this] { return std::to_string(++salt_); });
  ASSERT_TRUE(restarted.Recover().ok());
  do elsewhere.RunUntilIdle();
  while (*restarted.Pump());

  EXPECT_EQ(PhaseOf("run"), v1::RUN_SUCCEEDED) << run_key;
}

TEST_F(OrchestratorTest, ALongRunIsResumedWithItsFoldedEvents) {
  std::string tasks;
  for (int i = 0; i < 540; ++i) tasks += "t" + std::to_string(i) + " ";
  const int64_t run_key = Create("run", tasks);
  // A start and an end each: more events than lie unfolded.
  const auto attempts = executor_.Queued();
  for (size_t i = 0; i < 530; ++i) {
    executor_.Start(attempts.at(i));
    executor_.Finish(attempts.at(i));
  }
  executor_.Deliver();
  while (*orchestrator_.Pump()) {
  }

  executor_.Disconnect();
  Orchestrator restarted(*store_, executor_, clock_, [this] { return std::to_string(++salt_); });
  ASSERT_TRUE(restarted.Recover().ok());
  do executor_.RunUntilIdle();
  while (*restarted.Pump());

  EXPECT_EQ(PhaseOf("run"), v1::RUN_SUCCEEDED);
  const auto log = store::ReadLog(store_->writer_for_test(), run_key);
  ASSERT_TRUE(log.ok()) << log.status().ToString();
  EXPECT_GT(static_cast<int64_t>(log->size()), store::kFoldEvery);
}

}  // namespace
}  // namespace caudal::orchestrator
