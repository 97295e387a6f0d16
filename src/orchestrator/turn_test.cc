// Timers, questions to the store, and runs that are opened again, one by one; how they mix is the
// simulation's.

#include <gtest/gtest.h>

#include "base/testing/fake_clock.h"
#include "executor/testing/fake_executor.h"
#include "orchestrator/orchestrator.h"
#include "store/run_log.h"

namespace caudal::orchestrator {
namespace {

using base::Code;
using base::Status;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr char kModel[] =
    R"({"artifactType":{"schemaTitle":"system.Model","schemaVersion":"0.0.1"}})";

// Tasks and components as JSON members; every step runs "exec".
std::string Package(const std::string& tasks, const std::string& components) {
  return R"({"pipelineInfo":{"name":"test"},"schemaVersion":"2.1.0","root":{"dag":{"tasks":{)" +
         tasks + R"(}}},"components":{)" + components +
         R"(},"deploymentSpec":{"executors":{"exec":{"container":{"image":"none","command":["true"]}},
            "fetch":{"importer":{"artifactUri":{"constant":"minio://bucket/data"},
              "typeSchema":{"schemaTitle":"system.Dataset","schemaVersion":"0.0.1"}}}}}})";
}

std::string Leaf(const std::string& name) {
  return "\"comp-" + name +
         R"(":{"executorLabel":"exec","outputDefinitions":{"artifacts":{"model":)" + kModel + "}}}";
}

std::string Task(const std::string& name, const std::string& more = "") {
  return "\"" + name + R"(":{"taskInfo":{"name":")" + name + R"("},"componentRef":{"name":"comp-)" +
         name + "\"}" + more + "}";
}

constexpr char kCached[] = R"(,"cachingOptions":{"enableCache":true})";

class TurnTest : public testing::Test {
 protected:
  TurnTest() : store_(*store::Store::Open(":memory:")) { Boot(); }

  void Boot() {
    executor_.Disconnect();
    orchestrator_ = std::make_unique<Orchestrator>(
        *store_, executor_, clock_, [this] { return std::to_string(++salt_); },
        Options{minutes(5)});
    ASSERT_TRUE(orchestrator_->Recover().ok());
  }

  int64_t Create(const std::string& id, const std::string& text, bool cache_disabled = false) {
    NewRun run;
    run.row.id = id;
    run.row.spec = text;
    run.row.phase = v1::RUN_PENDING;
    auto plan = spec::MakePlan(*spec::LoadPackage(text));
    CAUDAL_CHECK(plan.ok(), plan.status().message());
    run.plan = *plan;
    run.info.set_run_id(id);
    run.info.set_pipeline_name("test");
    run.info.set_pipeline_root("minio://bucket/root");
    run.info.set_cache_disabled(cache_disabled);
    int64_t key = 0;
    orchestrator_->PostCreate(std::move(run), [&](base::Result<int64_t> made) {
      ASSERT_TRUE(made.ok()) << made.status().ToString();
      key = *made;
    });
    EXPECT_TRUE(orchestrator_->Pump().ok());
    return key;
  }

  Status Retry(int64_t run_key) {
    Status answer(Code::kUnknown, "no answer");
    orchestrator_->PostRetry(run_key, "someone", [&](Status s) { answer = std::move(s); });
    EXPECT_TRUE(orchestrator_->Pump().ok());
    return answer;
  }
  void Terminate(int64_t run_key) {
    orchestrator_->PostTerminate(run_key, "someone", false,
                                 [](const Status& s) { EXPECT_TRUE(s.ok()) << s.ToString(); });
    EXPECT_TRUE(orchestrator_->Pump().ok());
  }
  // Until nothing moves; timers are not waited for.
  void Settle() {
    do executor_.RunUntilIdle();
    while (*orchestrator_->Pump());
  }

  v1::RunPhase PhaseOf(int64_t run_key) {
    const auto row = store::GetRunByKey(store_->writer_for_test(), run_key);
    return row.ok() ? static_cast<v1::RunPhase>(row->phase) : v1::RUN_PHASE_UNSPECIFIED;
  }
  v1::Task TaskOf(int64_t run_key, const std::string& name) {
    const auto tasks = store::ListTasks(store_->writer_for_test(), run_key, 1000);
    EXPECT_TRUE(tasks.ok());
    for (const v1::Task& task : *tasks) {
      if (task.name() == name) return task;
    }
    ADD_FAILURE() << "no task " << name;
    return {};
  }

  base::FakeClock clock_;
  executor::FakeExecutor executor_;
  int salt_ = 0;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<Orchestrator> orchestrator_;
};

// row: E153-E154
TEST_F(TurnTest, RetriesWaitForTheirTimerAlsoAfterARestart) {
  executor_.ScriptFailure("a");
  const int64_t run =
      Create("run", Package(Task("a", R"(,"retryPolicy":{"maxRetryCount":2,"backoffDuration":"1s",
                                   "backoffFactor":2})"),
                            Leaf("a")));
  Settle();
  EXPECT_EQ(TaskOf(run, "a").state(), v1::RETRYING);
  ASSERT_TRUE(orchestrator_->NextTimer().has_value());
  EXPECT_EQ(*orchestrator_->NextTimer() - clock_.Now(), seconds(1));
  EXPECT_FALSE(*orchestrator_->Pump()) << "fired before it was due";

  Boot();
  EXPECT_EQ(*orchestrator_->NextTimer() - clock_.Now(), seconds(1));
  clock_.Advance(seconds(1));
  Settle();
  EXPECT_EQ(TaskOf(run, "a").attempts(), 2);
  EXPECT_EQ(*orchestrator_->NextTimer() - clock_.Now(), seconds(2));
  clock_.Advance(seconds(2));
  Settle();
  EXPECT_EQ(TaskOf(run, "a").attempts(), 3);
  EXPECT_EQ(PhaseOf(run), v1::RUN_FAILED);
  EXPECT_FALSE(orchestrator_->NextTimer().has_value());
}

// row: E154
TEST_F(TurnTest, ATimerOutlivesAFailedCommit) {
  executor_.ScriptFailure("a");
  const int64_t run = Create(
      "run", Package(Task("a", R"(,"retryPolicy":{"maxRetryCount":1,"backoffDuration":"1s"})"),
                     Leaf("a")));
  Settle();
  clock_.Advance(seconds(1));
  store_->writer_for_test().SetFaultHookForTest([](std::string_view sql) {
    return sql == "COMMIT" ? base::ResourceExhausted("disk is full") : Status();
  });
  EXPECT_FALSE(orchestrator_->Pump().ok());
  store_->writer_for_test().SetFaultHookForTest(nullptr);
  Settle();
  EXPECT_EQ(TaskOf(run, "a").attempts(), 2);
}

// row: E163
TEST_F(TurnTest, ExitTasksOfATerminatedRunHaveTheirGrace) {
  const std::string group = R"("comp-group":{"dag":{"tasks":{)" + Task("a") + "}}}";
  const int64_t run =
      Create("run", Package(Task("group") + "," + Task("exit", R"(,"dependentTasks":["group"],
                              "triggerPolicy":{"strategy":"ALL_UPSTREAM_TASKS_COMPLETED"})"),
                            group + "," + Leaf("a") + "," + Leaf("exit")));
  executor_.SetProgram([](const v1::AttemptSpec&) -> std::optional<v1::AttemptOutcome> {
    return std::nullopt;  // goes on
  });
  Settle();
  Terminate(run);
  Settle();
  EXPECT_EQ(TaskOf(run, "a").state(), v1::CANCELED);
  EXPECT_EQ(TaskOf(run, "exit").state(), v1::RUNNING);
  ASSERT_TRUE(orchestrator_->NextTimer().has_value());
  EXPECT_EQ(*orchestrator_->NextTimer() - clock_.Now(), minutes(5));
  clock_.Advance(minutes(5));
  Settle();
  EXPECT_EQ(TaskOf(run, "exit").state(), v1::CANCELED);
  EXPECT_EQ(PhaseOf(run), v1::RUN_CANCELED);
}

// row: E164
TEST_F(TurnTest, ARetriedRunDoesOnlyWhatFailedAndWhatFollows) {
  executor_.ScriptFailure("b");
  v1::AttemptOutcome good;
  good.set_result(v1::AttemptOutcome::SUCCEEDED);
  executor_.Script("b", good);
  const std::string text = Package(Task("a") + "," + Task("b", R"(,"dependentTasks":["a"])") + "," +
                                       Task("c", R"(,"dependentTasks":["b"])"),
                                   Leaf("a") + "," + Leaf("b") + "," + Leaf("c"));
  const int64_t run = Create("run", text);
  EXPECT_EQ(Retry(run).code(), Code::kFailedPrecondition) << "it has not ended";
  EXPECT_EQ(Retry(run + 100).code(), Code::kNotFound);
  Settle();
  EXPECT_EQ(PhaseOf(run), v1::RUN_FAILED);
  EXPECT_EQ(TaskOf(run, "c").state(), v1::OMITTED);

  EXPECT_TRUE(Retry(run).ok());
  EXPECT_EQ(PhaseOf(run), v1::RUN_RUNNING);
  Boot();  // an open run again: it survives a restart
  Settle();
  EXPECT_EQ(PhaseOf(run), v1::RUN_SUCCEEDED);
  EXPECT_EQ(TaskOf(run, "a").attempts(), 1);
  EXPECT_EQ(TaskOf(run, "b").attempts(), 2);
  EXPECT_EQ(TaskOf(run, "c").attempts(), 1);
  EXPECT_EQ(Retry(run).code(), Code::kFailedPrecondition) << "it has succeeded";
}

// row: E165
TEST_F(TurnTest, ASecondRunTakesTheOutputsOfTheFirst) {
  const std::string text = Package(Task("a", kCached), Leaf("a"));
  const int64_t first = Create("first", text);
  Settle();
  const int64_t second = Create("second", text);
  EXPECT_EQ(PhaseOf(second), v1::RUN_SUCCEEDED) << "a hit needs no further turn";
  const v1::Task hit = TaskOf(second, "a");
  EXPECT_EQ(hit.state(), v1::CACHED);
  EXPECT_EQ(hit.cache().hit_run_id(), "first");
  EXPECT_EQ(hit.output_artifacts().at("model").artifacts(0).key(),
            TaskOf(first, "a").output_artifacts().at("model").artifacts(0).key());
}

TEST_F(TurnTest, RunsThatWaitInOneTurnShareWhatItBrings) {
  const std::string text =
      Package(Task("a", kCached) + "," + Task("b"), Leaf("a") + "," + Leaf("b"));
  Create("first", text);
  for (const int64_t key : executor_.Queued()) executor_.Start(key);
  for (const int64_t key : executor_.Live()) executor_.Finish(key);
  executor_.Deliver();
  const int64_t second = Create("second", text);  // in the turn that hears of the first one's end
  EXPECT_EQ(TaskOf(second, "a").state(), v1::CACHED);
}

// row: E177
TEST_F(TurnTest, OutputsThatAreGoneAreAMiss) {
  const std::string text = Package(Task("a", kCached), Leaf("a"));
  const int64_t first = Create("first", text);
  Settle();
  executor_.LoseBlob(TaskOf(first, "a").output_artifacts().at("model").artifacts(0).blob());
  const int64_t second = Create("second", text);
  EXPECT_EQ(TaskOf(second, "a").cache().miss(), "outputs of run first are gone");
  Settle();
  EXPECT_EQ(TaskOf(second, "a").state(), v1::SUCCEEDED);
}

TEST_F(TurnTest, AnotherRealmIsAMiss) {
  const std::string text = Package(Task("a", kCached), Leaf("a"));
  Create("first", text);
  Settle();
  executor_.SetRealm("environment 2");
  const int64_t second = Create("second", text);
  EXPECT_EQ(TaskOf(second, "a").cache().realm(), "environment 2");
  EXPECT_FALSE(TaskOf(second, "a").cache().miss().empty());
  Settle();
  EXPECT_EQ(TaskOf(second, "a").state(), v1::SUCCEEDED);
}

// row: E178
TEST_F(TurnTest, NothingIsLookedUpWhereTheCacheIsSwitchedOff) {
  const std::string text = Package(Task("a", kCached), Leaf("a"));
  Create("first", text);
  Settle();
  const int64_t second = Create("second", text, true);
  Settle();
  EXPECT_EQ(TaskOf(second, "a").state(), v1::SUCCEEDED);
  EXPECT_FALSE(TaskOf(second, "a").has_cache());
}

// row: E183
TEST_F(TurnTest, AnImportedArtifactIsKnownTheSecondTime) {
  const std::string component = R"("comp-import":{"executorLabel":"fetch","outputDefinitions":{
      "artifacts":{"artifact":{"artifactType":{"schemaTitle":"system.Dataset",
                                              "schemaVersion":"0.0.1"}}}}})";
  const std::string text = Package(Task("import"), component);
  const int64_t first = Create("first", text);
  const int64_t second = Create("second", text);
  EXPECT_EQ(PhaseOf(first), v1::RUN_SUCCEEDED) << "an import needs no process";
  EXPECT_EQ(PhaseOf(second), v1::RUN_SUCCEEDED);
  const v1::Artifact imported =
      TaskOf(first, "import").output_artifacts().at("artifact").artifacts(0);
  EXPECT_EQ(imported.uri(), "minio://bucket/data");
  EXPECT_GT(imported.key(), 0);
  EXPECT_EQ(TaskOf(second, "import").output_artifacts().at("artifact").artifacts(0).id(),
            imported.id());
}

// row: E129
TEST_F(TurnTest, ALoopOfThousandsIsWorkForSeveralTurns) {
  constexpr int kItems = 2500;
  std::string items;
  for (int i = 0; i < kItems; ++i) items += (i == 0 ? "" : ",") + std::to_string(i);
  const std::string text = Package(
      Task("loop",
           R"(,"parameterIterator":{"itemInput":"item","items":{"raw":"[)" + items + "]\"}}"),
      R"("comp-loop":{"inputDefinitions":{"parameters":{"item":{"parameterType":"NUMBER_INTEGER"}}},
         "dag":{"tasks":{)" +
          Task("a", R"(,"cachingOptions":{"enableCache":true,"cacheKey":"all"})") + "}}}," +
          Leaf("a"));
  Create("seed", Package(Task("a", R"(,"cachingOptions":{"enableCache":true,"cacheKey":"all"})"),
                         Leaf("a")));
  Settle();
  const int64_t run = Create("run", text);
  int turns = 1;
  while (*orchestrator_->Pump()) ++turns;
  EXPECT_EQ(PhaseOf(run), v1::RUN_SUCCEEDED);
  EXPECT_EQ(TaskOf(run, "a").state(), v1::CACHED) << "the test means to be of cached steps";
  EXPECT_GE(turns, 3);
}

}  // namespace
}  // namespace caudal::orchestrator
