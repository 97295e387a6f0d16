#include "supervisor/supervisor.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "process/process.h"
#include "sandbox/sandbox.h"
#include "supervisor/testing/rig.h"

namespace caudal::supervisor {
namespace {

/// Every promise holds in a sandbox and as a plain tree.
class Supervisor : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (GetParam()) {
      const base::Status probe = sandbox::Probe();
      if (!probe.ok()) GTEST_SKIP() << probe.message();
    }
    rig_ = std::make_unique<Rig>(GetParam());
    rig_->Connect();
  }

  Rig& rig() { return *rig_; }
  v1::StepExit RunToEnd(const v1::StepSpec& step) {
    rig().Start(step);
    return rig().AwaitExit(step.attempt_key());
  }
  v1::StepExit RunToEnd(const std::string& script) { return RunToEnd(rig().MakeStep(1, script)); }

  std::unique_ptr<Rig> rig_;
};

INSTANTIATE_TEST_SUITE_P(Mode, Supervisor, testing::Values(false, true),
                         [](const auto& mode) { return mode.param ? "Sandbox" : "Process"; });

TEST_P(Supervisor, TellsTheExitCodeAndWritesItFirst) {
  const v1::StepExit exit = RunToEnd("exit 7");

  EXPECT_TRUE(exit.started());
  EXPECT_EQ(exit.exit_code(), 7);
  EXPECT_EQ(exit.signal(), 0);
  EXPECT_EQ(exit.error_code(), "");
  EXPECT_FALSE(exit.kill_requested());
  EXPECT_GE(exit.ended_at(), exit.started_at());
  EXPECT_GT(exit.started_at(), 1'600'000'000'000'000);
  EXPECT_GT(exit.max_rss_bytes(), 0);
  v1::StepExit stored;
  ASSERT_TRUE(stored.ParseFromString(*base::ReadFile(rig().MakeStep(1, "").exit_path())));
  EXPECT_EQ(stored.SerializeAsString(), exit.SerializeAsString());
  EXPECT_EQ(rig().CountStarted(1), 1);
}

TEST_P(Supervisor, TellsTheSignal) {
  const v1::StepExit exit = RunToEnd("kill -11 $$");
  EXPECT_EQ(exit.signal(), SIGSEGV);
  EXPECT_TRUE(exit.started());
}

TEST_P(Supervisor, CountsCpuOfTheWholeTree) {
  const v1::StepExit exit =
      RunToEnd("sh -c 'i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done'; true");
  EXPECT_GT(exit.cpu_micros(), 5'000);
}

TEST_P(Supervisor, NamesAMissingCommand) {
  v1::StepSpec step = rig().MakeStep(1, "");
  step.clear_argv();
  step.add_argv("my_program");
  const v1::StepExit exit = RunToEnd(step);
  EXPECT_FALSE(exit.started());
  EXPECT_EQ(exit.error_code(), "START");
  EXPECT_EQ(exit.error(), "command 'my_program' was not found on this machine");
}

TEST_P(Supervisor, NamesOtherFaultsOfStarting) {
  v1::StepSpec none = rig().MakeStep(1, "");
  none.clear_argv();
  EXPECT_EQ(RunToEnd(none).error(), "the step has no command");

  v1::StepSpec nowhere = rig().MakeStep(2, "true");
  nowhere.set_working_directory("/no/where");
  const v1::StepExit exit = RunToEnd(nowhere);
  EXPECT_EQ(exit.error_code(), "START");
  EXPECT_NE(exit.error().find("'/no/where'"), std::string::npos);

  v1::StepSpec file = rig().MakeStep(3, "");
  file.set_argv(0, "/etc/passwd");
  EXPECT_EQ(RunToEnd(file).error(), "command '/etc/passwd' is not an executable file");

  ASSERT_TRUE(rig().client().Start(4, rig().dir() + "/absent.pb").ok());
  EXPECT_EQ(rig().AwaitExit(4).error_code(), "START");
}

TEST_P(Supervisor, LogHasBothStreamsAlsoByName) {
  RunToEnd(
      "echo one; echo two >&2; echo three > /dev/stdout; echo four > /dev/stderr; "
      "echo five | tee /dev/stderr; cat");
  EXPECT_EQ(rig().Log(1), "one\ntwo\nthree\nfour\nfive\nfive\n");
  EXPECT_EQ(std::filesystem::file_size(rig().dir() + "/logs/1.log.idx") % 16, 0u);
  EXPECT_GE(std::filesystem::file_size(rig().dir() + "/logs/1.log.idx"), 16u);
}

TEST_P(Supervisor, LogIsWholeWhenTheExitIsTold) {
  RunToEnd("head -c 3000000 /dev/zero; echo end");
  const std::string log = rig().Log(1);
  EXPECT_EQ(log.size(), 3'000'004u);
  EXPECT_EQ(log.substr(log.size() - 4), "end\n");
}

TEST_P(Supervisor, StepCannotHaveAllProcessesOfTheMachine) {
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_NPROC, &limit), 0);
  if (!GetParam() || limit.rlim_max == RLIM_INFINITY) GTEST_SKIP() << "no limit to share out";
  RunToEnd("sed -n 's/^Max processes *[0-9]* *\\([0-9]*\\).*/\\1/p' /proc/self/limits");
  EXPECT_LE(std::stoull(rig().Log(1)), std::max<rlim_t>(1024, limit.rlim_max / 4));

  // Its own, that is: what others of its user have does not count.
  v1::StepSpec step = rig().MakeStep(2, "sleep 600 & sleep 600 & sleep 600 & sleep 600");
  rig().Start(step);
  rig().AwaitStarted(2);
  rig().Start(3, "prlimit --pid $$ --nproc=4:4; (true) && echo room");
  rig().AwaitExit(3);
  EXPECT_EQ(rig().Log(3), "room\n");
  ASSERT_TRUE(rig().client().Kill(2, true).ok());
  rig().AwaitExit(2);
}

TEST_P(Supervisor, StepGetsTheGivenEnvironmentAndNothingElse) {
  v1::StepSpec step = rig().MakeStep(1,
                                     "env | cut -d= -f1 | sort | tr '\\n' ' '; ls /proc/self/fd "
                                     "| tr '\\n' ' '; pwd; umask; trap; cat /proc/self/status "
                                     "| grep -E '^Sig(Blk|Ign)' | cut -f2");
  step.add_env("COLOUR=blue");
  step.set_working_directory("/usr");
  RunToEnd(step);
  EXPECT_EQ(rig().Log(1),
            "CAUDAL_ATTEMPT COLOUR PATH PWD 0 1 2 3 /usr\n0022\n0000000000000000\n"
            "0000000000000000\n");
}

TEST_P(Supervisor, LogLimitEndsTheStep) {
  v1::StepSpec step = rig().MakeStep(1, "yes");
  step.set_log_limit_bytes(100'000);
  const v1::StepExit exit = RunToEnd(step);
  EXPECT_EQ(exit.error_code(), "LOG_LIMIT");
  EXPECT_EQ(exit.error(), "the step wrote more than its log limit of 100000 bytes");
  EXPECT_FALSE(exit.kill_requested());
  EXPECT_EQ(rig().Log(1).size(), 100'000u);
}

TEST_P(Supervisor, MemoryLimitEndsTheStep) {
  v1::StepSpec step = rig().MakeStep(1,
                                     "head -c 200000000 /dev/zero | tail -c 200000000 | cat "
                                     ">/dev/null; tail /dev/zero");
  step.set_memory_limit_bytes(60'000'000);
  const v1::StepExit exit = RunToEnd(step);
  EXPECT_EQ(exit.error_code(), "OOM");
  EXPECT_NE(exit.error().find("over its limit of 60000000 bytes"), std::string::npos);
  EXPECT_EQ(exit.signal(), SIGKILL);
}

TEST_P(Supervisor, NothingOfTheTreeIsLeftWhenTheExitIsTold) {
  const v1::StepExit exit = RunToEnd(
      "trap '' TERM; (setsid sh -c 'trap \"\" TERM HUP; sleep 600 & sleep 600' &); "
      "setsid sleep 600 & setsid env -i /bin/sleep 600 & echo $!; exit 3");
  EXPECT_EQ(exit.exit_code(), 3);
  EXPECT_TRUE(rig().Marked().empty());
  // The one without a mark; in a sandbox its pid means nothing here.
  EXPECT_FALSE(!GetParam() && IsAlive(std::stoi(rig().Log(1))));
}

TEST_P(Supervisor, KillAsksFirst) {
  rig().Start(1, "trap 'echo asked; exit 5' TERM; echo ready; while :; do sleep 0.05; done");
  rig().AwaitLog(1, "ready");
  ASSERT_TRUE(rig().client().Kill(1, false).ok());
  const v1::StepExit exit = rig().AwaitExit(1);
  EXPECT_TRUE(exit.kill_requested());
  EXPECT_EQ(exit.exit_code(), 5);
  EXPECT_EQ(rig().Log(1).substr(0, 6), "ready\n");
  EXPECT_NE(rig().Log(1).find("asked"), std::string::npos);
}

TEST_P(Supervisor, KillInsistsAfterTheGrace) {
  v1::StepSpec step = rig().MakeStep(1, "trap '' TERM; echo ready; while :; do sleep 600; done");
  step.set_kill_grace_millis(50);
  rig().Start(step);
  rig().AwaitLog(1, "ready");
  ASSERT_TRUE(rig().client().Kill(1, false).ok());
  EXPECT_EQ(rig().AwaitExit(1).signal(), SIGKILL);
  EXPECT_TRUE(rig().Marked().empty());
}

TEST_P(Supervisor, KillNowDoesNotAsk) {
  rig().Start(1, "trap 'echo asked' TERM; echo ready; while :; do sleep 600; done");
  rig().AwaitLog(1, "ready");
  ASSERT_TRUE(rig().client().Kill(1, false).ok());  // its grace is ten minutes
  ASSERT_TRUE(rig().client().Kill(1, true).ok());
  const v1::StepExit exit = rig().AwaitExit(1);
  EXPECT_EQ(exit.signal(), SIGKILL);
  EXPECT_TRUE(exit.kill_requested());
}

TEST_P(Supervisor, StartTwiceIsStartedOnce) {
  const v1::StepSpec step = rig().MakeStep(1, "echo run; exec sleep 600");
  rig().Start(step);
  rig().AwaitStarted(1);
  rig().Start(step);
  rig().Await([&] { return rig().CountStarted(1) == 2; }, "a second report of the start");
  rig().AwaitLog(1, "run\n");
  ASSERT_TRUE(rig().client().Kill(1, true).ok());
  rig().AwaitExit(1);
  rig().Start(step);
  rig().Connect();  // by now the third start has been answered
  EXPECT_EQ(rig().Log(1), "run\n");
}

TEST_P(Supervisor, ExitOnDiskIsNotRunAgainByAnotherSupervisor) {
  RunToEnd("echo run; exit 4");
  ASSERT_TRUE(rig().client().ShutDown().ok());
  rig().Connect();
  EXPECT_EQ(rig().hello().finished_size(), 0);
  EXPECT_EQ(RunToEnd("echo run; exit 4").exit_code(), 4);
  EXPECT_EQ(rig().Log(1), "run\n");
}

TEST_P(Supervisor, OutlivesItsClientAndTellsTheNextOne) {
  rig().Start(1, "exit 6");
  rig().Start(2, "echo ready; until [ -e /proc/self/fd/9 ]; do sleep 0.02; done");
  rig().AwaitExit(1);
  rig().AwaitLog(2, "ready");
  const pid_t pid = rig().SupervisorPid();
  rig().Disconnect();
  rig().Connect();
  EXPECT_EQ(rig().SupervisorPid(), pid);
  ASSERT_EQ(rig().hello().live_size(), 1);
  EXPECT_EQ(rig().hello().live(0), 2);
  ASSERT_EQ(rig().hello().finished_size(), 1);
  EXPECT_EQ(rig().hello().finished(0).exit_code(), 6);

  ASSERT_TRUE(rig().client().Forget(1).ok());
  ASSERT_TRUE(rig().client().Kill(2, true).ok());
  rig().AwaitExit(2);
  rig().Connect();
  ASSERT_EQ(rig().hello().finished_size(), 1);
  EXPECT_EQ(rig().hello().finished(0).attempt_key(), 2);
}

TEST_P(Supervisor, DeathOfTheSupervisorLeavesNoProcess) {
  rig().Start(1, "(setsid sh -c 'trap \"\" TERM; sleep 600 & sleep 600' &); echo ready; sleep 600");
  rig().AwaitLog(1, "ready");
  EXPECT_FALSE(rig().Marked().empty());
  kill(rig().SupervisorPid(), SIGKILL);
  rig().AwaitLost(1);
  EXPECT_TRUE(rig().Marked().empty());
  // The next call starts another one.
  EXPECT_EQ(RunToEnd(rig().MakeStep(2, "exit 2")).exit_code(), 2);
}

TEST_P(Supervisor, DeathOfTheKeeperEndsTheTree) {
  if (!GetParam()) {
    RunToEnd("(setsid sleep 600 &); kill -9 $PPID; sleep 600");
  } else {
    rig().Start(1, "sleep 600");
    rig().AwaitStarted(1);
    for (const pid_t keeper : process::Children(rig().SupervisorPid())) kill(keeper, SIGKILL);
  }
  const v1::StepExit exit = rig().AwaitExit(1);
  EXPECT_EQ(exit.signal(), SIGKILL);
  EXPECT_NE(exit.error(), "");
  EXPECT_TRUE(rig().Marked().empty());
}

TEST_P(Supervisor, SecondClientReplacesTheFirst) {
  Rig* first = &rig();
  v1::SupervisorReport::Hello hello;
  auto second = Client::Connect({first->dir(), SUPERVISOR_TEST_MAIN}, {}, &hello);
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(hello.pid(), first->SupervisorPid());
  Rig::Await([&] { return first->client().Kill(1, true).code() == base::Code::kAborted; },
             "the first client's notice");
  EXPECT_TRUE((*second)->ShutDown().ok());
}

TEST_P(Supervisor, ManyAtOnce) {
  constexpr int kSteps = 40;
  for (int key = 1; key <= kSteps; ++key) {
    rig().Start(key, "echo step; exit " + std::to_string(key));
  }
  for (int key = 1; key <= kSteps; ++key) {
    EXPECT_EQ(rig().AwaitExit(key).exit_code(), key);
    EXPECT_EQ(rig().Log(key), "step\n");
  }
  rig().Connect();
  EXPECT_EQ(rig().hello().finished_size(), kSteps);
}

TEST_P(Supervisor, ShutDownEndsSteps) {
  rig().Start(1, "echo ready; sleep 600");
  rig().AwaitLog(1, "ready");
  const pid_t pid = rig().SupervisorPid();
  ASSERT_TRUE(rig().client().ShutDown().ok());
  EXPECT_EQ(rig().AwaitExit(1).signal(), SIGKILL);
  EXPECT_FALSE(base::PathExists(rig().dir() + "/work/supervisor.sock"));
  EXPECT_FALSE(IsAlive(pid));
}

}  // namespace
}  // namespace caudal::supervisor
