#include <gtest/gtest.h>

#include "executor/testing/fake_executor.h"

namespace caudal::executor {
namespace {

class Recorder final : public Reporter {
 public:
  void Waiting(int64_t, const std::string&) override {}
  void Started(int64_t attempt_key, int64_t /*at_micros*/) override {
    lines.push_back("started " + std::to_string(attempt_key));
  }
  void Finished(const v1::AttemptOutcome& outcome) override {
    lines.push_back(v1::AttemptOutcome::Result_Name(outcome.result()) + " " +
                    std::to_string(outcome.attempt_key()));
    last = outcome;
  }
  std::vector<std::string> lines;
  v1::AttemptOutcome last;
};

v1::AttemptSpec Spec(int64_t key, const std::string& path) {
  v1::AttemptSpec spec;
  spec.set_attempt_key(key);
  spec.set_token("token-" + std::to_string(key));
  spec.set_task_id("id-" + path);
  spec.set_task_path(path);
  spec.set_task_root("minio://mlpipeline/v2/artifacts/p/r/" + path);
  return spec;
}

using Lines = std::vector<std::string>;

TEST(FakeExecutor, SucceedsWithTypedOutputsWithoutScript) {
  FakeExecutor fake;
  Recorder recorder;
  fake.Adopt({}, &recorder);
  v1::AttemptSpec spec = Spec(1, "train");
  auto* outputs = spec.mutable_component()->mutable_output_definitions();
  (*outputs->mutable_parameters())["n"].set_parameter_type(
      ml_pipelines::ParameterType::NUMBER_INTEGER);
  (*outputs->mutable_artifacts())["model"];

  fake.Launch(spec);
  fake.RunUntilIdle();

  EXPECT_EQ(recorder.lines, (Lines{"started 1", "SUCCEEDED 1"}));
  EXPECT_EQ(recorder.last.parameters().at("n").number_value(), 1);
  EXPECT_EQ(recorder.last.objects(0).key(), "v2/artifacts/p/r/train/model");
  EXPECT_EQ(recorder.last.token(), "token-1");
}

TEST(FakeExecutor, LastScriptedAnswerRepeats) {
  FakeExecutor fake;
  Recorder recorder;
  fake.Adopt({}, &recorder);
  fake.ScriptFailure("a", 3);
  v1::AttemptOutcome good;
  good.set_result(v1::AttemptOutcome::SUCCEEDED);
  fake.Script("a", good);

  for (int64_t key = 1; key <= 3; ++key) fake.Launch(Spec(key, "a"));
  fake.RunUntilIdle();

  EXPECT_EQ(recorder.lines, (Lines{"started 1", "started 2", "started 3", "FAILED 1", "SUCCEEDED 2",
                                   "SUCCEEDED 3"}));
  EXPECT_EQ(fake.MaxLivePerTask(), 3);
}

TEST(FakeExecutor, ReAttachesAfterACrash) {
  FakeExecutor fake;
  Recorder before;
  fake.Adopt({}, &before);
  for (int64_t key = 1; key <= 4; ++key) fake.Launch(Spec(key, "t" + std::to_string(key)));
  fake.Start(1);
  fake.Start(2);
  fake.Start(3);
  fake.Finish(2);
  fake.Disconnect();

  Recorder after;
  fake.Adopt({1, 2, 4}, &after);  // 3 is not current any more, 4 was never started
  fake.Deliver();

  EXPECT_TRUE(before.lines.empty());
  EXPECT_EQ(after.lines, (Lines{"started 1", "SUCCEEDED 2"}));
  EXPECT_EQ(fake.Live(), std::vector<int64_t>{1});
  EXPECT_TRUE(fake.Queued().empty());
}

TEST(FakeExecutor, KillsTheQueuedAtOnceAndTheLiveWhenTheyEnd) {
  FakeExecutor fake;
  Recorder recorder;
  fake.Adopt({}, &recorder);
  fake.Launch(Spec(1, "a"));
  fake.Launch(Spec(2, "b"));
  fake.Start(2);
  fake.Kill(1, "token-1", false);
  fake.Kill(2, "token-2", false);
  fake.Kill(9, "token-9", false);  // never launched
  fake.Deliver();
  EXPECT_EQ(recorder.lines, (Lines{"started 2", "KILLED 1", "KILLED 9"}));

  fake.Finish(2);
  fake.Deliver();
  EXPECT_EQ(recorder.lines.back(), "KILLED 2");
}

TEST(FakeExecutor, LaunchesOnceAndReportsWhatIsKnown) {
  FakeExecutor fake;
  Recorder recorder;
  fake.Adopt({}, &recorder);
  fake.Launch(Spec(1, "a"));
  fake.RunUntilIdle();
  fake.Launch(Spec(1, "a"));
  fake.RunUntilIdle();

  EXPECT_EQ(recorder.lines, (Lines{"started 1", "SUCCEEDED 1", "SUCCEEDED 1"}));
  EXPECT_EQ(fake.Ledger().at({"id-a", 0}).starts, 1);
}

}  // namespace
}  // namespace caudal::executor
