#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <optional>

#include "executor/local_executor_fixture_test.h"

namespace caudal::executor {
namespace {

using v1::AttemptOutcome;
using v1::AttemptSpec;

INSTANTIATE_TEST_SUITE_P(Isolation, LocalExecutorTest, testing::Values("process", "sandbox"),
                         [](const auto& given) { return given.param; });

TEST_P(LocalExecutorTest, RunsAStepAndCollectsItsOutputs) {
  AttemptSpec spec = Spec(7, "echo hello; echo 42 > \"$0\"; echo model > \"$1\"");
  spec.mutable_container()->add_args("{{$.outputs.parameters['n'].output_file}}");
  spec.mutable_container()->add_args("{{$.outputs.artifacts['model'].path}}");
  auto* outputs = spec.mutable_component()->mutable_output_definitions();
  (*outputs->mutable_parameters())["n"].set_parameter_type(
      ml_pipelines::ParameterType::NUMBER_INTEGER);
  (*outputs->mutable_artifacts())["model"].mutable_artifact_type()->set_schema_title(
      "system.Model");

  executor_->Launch(spec);
  const AttemptOutcome outcome = recorder_->WaitFinished(7);

  ASSERT_EQ(outcome.result(), AttemptOutcome::SUCCEEDED) << outcome.error() << Log(7);
  EXPECT_EQ(outcome.token(), "token-7");
  EXPECT_EQ(outcome.parameters().at("n").number_value(), 42);
  EXPECT_EQ(outcome.provenance().isolation(), GetParam());
  const std::string blob = outcome.artifacts().at("model").artifacts(0).blob();
  EXPECT_EQ(*base::ReadFile(data_dir_ + "/objects/" + blob), "model\n");
  EXPECT_EQ(Log(7), "hello\n");
  EXPECT_TRUE(recorder_->HasStarted(7));
}

TEST_P(LocalExecutorTest, ComponentVariablesWinOverOurs) {
  AttemptSpec spec = Spec(1, "echo $LANG $MINE $PYTHONUNBUFFERED; command -v sh");
  auto* variable = spec.mutable_container()->add_env();
  variable->set_name("LANG");
  variable->set_value("de_DE.UTF-8");
  variable = spec.mutable_container()->add_env();
  variable->set_name("MINE");
  variable->set_value("a=b");

  executor_->Launch(spec);
  ASSERT_EQ(recorder_->WaitFinished(1).result(), AttemptOutcome::SUCCEEDED);

  EXPECT_EQ(Log(1).substr(0, Log(1).find('\n')), "de_DE.UTF-8 a=b 1");
}

TEST_P(LocalExecutorTest, AProgramThatIsNotThereNamesTheImage) {
  AttemptSpec spec = Spec(1, "");
  spec.mutable_container()->clear_command();
  spec.mutable_container()->add_command("my_program");
  spec.mutable_container()->set_image("example.com/tool:1");

  executor_->Launch(spec);
  const AttemptOutcome outcome = recorder_->WaitFinished(1);

  EXPECT_EQ(outcome.result(), AttemptOutcome::FAILED);
  EXPECT_EQ(outcome.error_code(), "START");
  EXPECT_EQ(outcome.exit_code(), -1);
  EXPECT_EQ(outcome.error(),
            "command 'my_program' was not found on this machine; image 'example.com/tool:1' is not "
            "used in " +
                GetParam() + " isolation");
}

TEST_P(LocalExecutorTest, AStepWithoutCommandSaysWhoWouldHaveKnown) {
  AttemptSpec spec = Spec(1, "");
  spec.mutable_container()->clear_command();
  executor_->Launch(spec);
  const AttemptOutcome outcome = recorder_->WaitFinished(1);
  EXPECT_EQ(outcome.error_code(), "START");
  EXPECT_EQ(outcome.error(),
            "the task has no command of its own, and image 'busybox' is not used "
            "in " +
                GetParam() + " isolation, so neither is its entry point");
}

TEST_P(LocalExecutorTest, ExitCodeFails) {
  executor_->Launch(Spec(1, "exit 3"));
  const AttemptOutcome outcome = recorder_->WaitFinished(1);
  EXPECT_EQ(outcome.result(), AttemptOutcome::FAILED);
  EXPECT_EQ(outcome.error_code(), "EXIT");
  EXPECT_EQ(outcome.exit_code(), 3);
}

TEST_P(LocalExecutorTest, KillEndsARunningStep) {
  executor_->Launch(Endless(1));
  recorder_->WaitStarted(1);
  executor_->Kill(1, "token-1", true);
  EXPECT_EQ(recorder_->WaitFinished(1).result(), AttemptOutcome::KILLED);
}

TEST_P(LocalExecutorTest, KillEndsWhatWaitsForAdmissionAndWhatWasNeverLaunched) {
  executor_->Launch(Endless(1));
  recorder_->WaitStarted(1);
  executor_->Launch(Spec(2, "true"));  // one core, and attempt 1 has it
  executor_->Kill(2, "token-2", false);
  executor_->Kill(3, "token-3", false);

  const AttemptOutcome queued = recorder_->WaitFinished(2);
  EXPECT_EQ(queued.result(), AttemptOutcome::KILLED);
  EXPECT_EQ(queued.token(), "token-2");
  EXPECT_EQ(recorder_->WaitFinished(3).token(), "token-3");
  EXPECT_FALSE(recorder_->HasStarted(2));
  executor_->Kill(1, "token-1", true);
  recorder_->WaitFinished(1);
}

TEST_P(LocalExecutorTest, WhatWaitsForMemorySaysSo) {
  AttemptSpec large = Endless(1);
  large.mutable_resources()->set_cpu_request_milli(100);
  large.mutable_resources()->set_memory_request_bytes(700LL << 20);
  executor_->Launch(large);
  recorder_->WaitStarted(1);
  AttemptSpec second = Spec(2, "true");
  *second.mutable_resources() = large.resources();
  executor_->Launch(second);
  EXPECT_EQ(recorder_->WaitReason(2), "waiting for memory");
  executor_->Kill(1, "token-1", true);
  EXPECT_EQ(recorder_->WaitFinished(2).result(), AttemptOutcome::SUCCEEDED);
}

TEST_P(LocalExecutorTest, ASecondLaunchStartsNothingAndReportsAgain) {
  executor_->Launch(Spec(1, "echo once"));
  recorder_->WaitFinished(1);
  executor_->Launch(Spec(1, "echo once"));
  EXPECT_EQ(recorder_->WaitFinished(1, 2).result(), AttemptOutcome::SUCCEEDED);
  EXPECT_EQ(Log(1), "once\n");
}

TEST_P(LocalExecutorTest, ARestartTakesARunningStepUp) {
  executor_->Launch(Endless(1));
  recorder_->WaitStarted(1);
  Restart({1});
  recorder_->WaitStarted(1);
  executor_->Launch(Endless(1));
  executor_->Kill(1, "token-1", true);
  const AttemptOutcome outcome = recorder_->WaitFinished(1);
  EXPECT_EQ(outcome.result(), AttemptOutcome::KILLED);
  EXPECT_EQ(outcome.provenance().isolation(), GetParam());
  EXPECT_EQ(Log(1), "up\n");
}

TEST_P(LocalExecutorTest, ARestartReportsWhatEndedBefore) {
  executor_->Launch(Spec(1, "true"));
  recorder_->WaitFinished(1);
  Restart({1});
  EXPECT_EQ(recorder_->WaitFinished(1).result(), AttemptOutcome::SUCCEEDED);

  // As if the server had died between the exit and the outcome.
  executor_->Stop();
  ASSERT_EQ(unlink((WorkDir(1) + "/outcome.pb").c_str()), 0);
  Restart({1});
  EXPECT_EQ(recorder_->WaitFinished(1).result(), AttemptOutcome::SUCCEEDED);
}

TEST_P(LocalExecutorTest, ARestartEndsWhatIsNotCurrent) {
  executor_->Launch(Endless(1));
  recorder_->WaitStarted(1);
  Restart({});
  EXPECT_FALSE(base::PathExists(WorkDir(1)));
  v1::SupervisorReport::Hello hello;
  executor_.reset();
  auto client = supervisor::Client::Connect({data_dir_, SUPERVISOR_TEST_MAIN}, {}, &hello);
  ASSERT_TRUE(client.ok());
  EXPECT_EQ(hello.live_size(), 0);
  EXPECT_EQ(hello.finished_size(), 0);
}

TEST_P(LocalExecutorTest, ARestartDoesNotMentionWhatNeverStarted) {
  ASSERT_TRUE(base::MakeDirs(WorkDir(5)).ok());
  Restart({5, 6});
  EXPECT_FALSE(base::PathExists(WorkDir(5)));
  executor_->Launch(Spec(5, "true"));
  EXPECT_EQ(recorder_->WaitFinished(5).result(), AttemptOutcome::SUCCEEDED);
}

TEST_P(LocalExecutorTest, AStepThatNobodyKnowsOfIsLost) {
  executor_->Launch(Spec(1, "true"));
  recorder_->WaitFinished(1);
  executor_->Stop();
  // Its supervisor went away with the exit and the outcome.
  v1::SupervisorReport::Hello hello;
  auto client = supervisor::Client::Connect({data_dir_, SUPERVISOR_TEST_MAIN}, {}, &hello);
  ASSERT_TRUE(client.ok());
  ASSERT_TRUE((*client)->ShutDown().ok());
  client->reset();
  ASSERT_EQ(unlink((WorkDir(1) + "/outcome.pb").c_str()), 0);
  ASSERT_EQ(unlink((WorkDir(1) + "/exit.pb").c_str()), 0);

  Restart({1});
  const AttemptOutcome outcome = recorder_->WaitFinished(1);
  EXPECT_EQ(outcome.result(), AttemptOutcome::LOST);
  EXPECT_EQ(outcome.token(), "token-1");
}

TEST_P(LocalExecutorTest, ADeadSupervisorLosesItsSteps) {
  executor_->Launch(Endless(1));
  recorder_->WaitStarted(1);
  v1::SupervisorReport::Hello hello;
  pid_t supervisor = 0;
  const auto children = base::ListDir("/proc");
  for (const std::string& name : *children) {
    const auto line = base::ReadFile("/proc/" + name + "/cmdline", 1 << 16);
    const bool is_ours = line.ok() && line->find("supervise") != std::string::npos &&
                         line->find(data_dir_) != std::string::npos;
    // The keepers are its forks: the oldest of them all is the supervisor.
    if (is_ours && (supervisor == 0 || std::atoi(name.c_str()) < supervisor)) {
      supervisor = std::atoi(name.c_str());
    }
  }
  ASSERT_GT(supervisor, 0);
  ASSERT_EQ(kill(supervisor, SIGKILL), 0);
  EXPECT_EQ(recorder_->WaitFinished(1).result(), AttemptOutcome::LOST);

  executor_->Launch(Spec(2, "true"));
  EXPECT_EQ(recorder_->WaitFinished(2).result(), AttemptOutcome::SUCCEEDED);
}

TEST_P(LocalExecutorTest, ForgetRemovesTheWorkDirectory) {
  executor_->Launch(Spec(1, "true"));
  recorder_->WaitFinished(1);
  executor_->Forget(1);
  executor_->Launch(Spec(2, "true"));
  recorder_->WaitFinished(2);
  for (int i = 0; i < 60'000 && base::PathExists(WorkDir(1)); ++i) usleep(1000);
  EXPECT_FALSE(base::PathExists(WorkDir(1)));
}

TEST_P(LocalExecutorTest, ALostInputFailsTheTask) {
  AttemptSpec spec = Spec(1, "true");
  v1::Artifact* artifact = (*spec.mutable_artifacts())["data"].add_artifacts();
  artifact->set_uri("minio://mlpipeline/x");
  artifact->set_blob("00/99/data");
  executor_->Launch(spec);
  const AttemptOutcome outcome = recorder_->WaitFinished(1);
  EXPECT_EQ(outcome.result(), AttemptOutcome::FAILED);
  EXPECT_EQ(outcome.error_code(), "INPUT");
}

TEST_P(LocalExecutorTest, OnlyASandboxHidesTheDataDirectory) {
  executor_->Launch(Spec(1, "test -e " + data_dir_ + "/work && echo seen || echo hidden"));
  recorder_->WaitFinished(1);
  EXPECT_EQ(Log(1), GetParam() == "sandbox" ? "hidden\n" : "seen\n");
}

TEST(LocalExecutor, RefusesMountsThatMakeNoSense) {
  LocalOptions options;
  options.data_dir = "/nonexistent";
  options.mounts = {"relative/path"};
  pyenv::Environments environments(EnvironmentOptions(options));
  EXPECT_EQ(LocalExecutor::Make(options, environments).status().message(),
            "mount \"relative/path\": paths must be absolute, as in /data:/data:rw");
  options.mounts = {"/nonexistent:/x"};
  EXPECT_EQ(LocalExecutor::Make(options, environments).status().message(),
            "mount \"/nonexistent:/x\": '/nonexistent' does not exist on this machine");
}

}  // namespace
}  // namespace caudal::executor
