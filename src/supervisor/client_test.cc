#include "supervisor/client.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>
#include <vector>

#include "base/file.h"
#include "process/process.h"
#include "sandbox/sandbox.h"
#include "supervisor/internal/marks.h"
#include "supervisor/testing/rig.h"

namespace caudal::supervisor {
namespace {

TEST(Client, SocketIsOurs) {
  Rig rig(false);
  rig.Connect();
  struct stat info {};
  ASSERT_EQ(stat((rig.dir() + "/work/supervisor.sock").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST(Client, NamesAnExecutableThatIsMissing) {
  v1::SupervisorReport::Hello hello;
  Rig rig(false);
  const auto client = Client::Connect({rig.dir(), "/no/such/caudal"}, {}, &hello);
  ASSERT_FALSE(client.ok());
  EXPECT_NE(client.status().message().find("/no/such/caudal"), std::string::npos);
}

TEST(Client, DataDirectoryMayHaveALongPath) {
  Rig rig(false);
  const std::string dir = rig.dir() + "/" + std::string(150, 'x');
  v1::SupervisorReport::Hello hello;
  const auto client = Client::Connect({dir, SUPERVISOR_TEST_MAIN}, {}, &hello);
  ASSERT_TRUE(client.ok()) << client.status().ToString();
  EXPECT_TRUE((*client)->ShutDown().ok());
}

TEST(Client, ConnectingKillsStraysOfAttemptsThatAreNotLive) {
  Rig rig(false);
  const std::string mark = internal::MakeMark(internal::DataDirId(rig.dir()), 77);
  const std::string other = internal::MakeMark("some-other-data-dir", 77);
  const auto spawn = [](const std::string& variable) {
    const pid_t pid = fork();
    if (pid == 0) {
      execlp("env", "env", variable.c_str(), "sleep", "600", nullptr);
      _exit(1);
    }
    return pid;
  };
  const pid_t stray = spawn(mark);
  const pid_t stranger = spawn(other);
  Rig::Await([&] { return !rig.Marked().empty(); }, "a stray");
  rig.Connect();
  EXPECT_TRUE(rig.Marked().empty());
  EXPECT_FALSE(IsAlive(stray));
  EXPECT_TRUE(IsAlive(stranger));
  kill(stranger, SIGKILL);
}

TEST(Client, HearsMoreThanOneDatagramHolds) {
  constexpr int kAttempts = 2000;
  Rig rig(false);
  rig.Connect();
  for (int key = 1; key <= kAttempts; ++key) {
    ASSERT_TRUE(rig.client().Start(key, rig.dir() + "/no/step/" + std::string(100, 'x')).ok());
  }
  rig.AwaitExit(kAttempts);
  rig.Connect();
  EXPECT_EQ(rig.hello().finished_size(), kAttempts);
  EXPECT_FALSE(rig.hello().more());
}

TEST(Client, EveryCallerOutlivesASupervisor) {
  // The first to notice connects again; the others must not go on waiting for the end of that.
  Rig rig(false);
  rig.Connect();
  const auto begin = std::chrono::steady_clock::now();
  for (int round = 0; round < 5; ++round) {
    kill(rig.SupervisorPid(), SIGKILL);
    std::vector<std::thread> callers;
    std::atomic<int> refused = 0;
    for (int64_t key = 1; key <= 16; ++key) {
      callers.emplace_back([&, key] {
        for (int call = 0; call < 20; ++call) refused += rig.client().Forget(key).ok() ? 0 : 1;
      });
    }
    for (std::thread& caller : callers) caller.join();
    EXPECT_EQ(refused, 0);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(25));
}

/// The supervisor is told its patience through its environment, which is ours.
class Patience : public testing::Test {
 protected:
  void SetUp() override {
    setenv("CAUDAL_TEST_UNCLAIMED", "1", 1);
    setenv("CAUDAL_TEST_IDLE", "1", 1);
  }
  void TearDown() override {
    unsetenv("CAUDAL_TEST_UNCLAIMED");
    unsetenv("CAUDAL_TEST_IDLE");
  }
};

TEST_F(Patience, UnclaimedSupervisorEndsStepsAndItself) {
  Rig rig(false);
  rig.Connect();
  rig.Start(1, "echo ready; sleep 600");
  rig.AwaitLog(1, "ready");
  const pid_t pid = rig.SupervisorPid();
  rig.Disconnect();
  Rig::Await([&] { return !IsAlive(pid); }, "the supervisor's end");
  EXPECT_TRUE(rig.Marked().empty());
  v1::StepExit exit;
  ASSERT_TRUE(exit.ParseFromString(*base::ReadFile(rig.MakeStep(1, "").exit_path())));
  EXPECT_EQ(exit.signal(), SIGKILL);
}

TEST_F(Patience, IdleSupervisorEndsItself) {
  Rig rig(false);
  rig.Connect();
  const pid_t pid = rig.SupervisorPid();
  rig.Disconnect();
  Rig::Await([&] { return !IsAlive(pid); }, "the supervisor's end");
  EXPECT_FALSE(base::PathExists(rig.dir() + "/work/supervisor.sock"));
}

TEST(Unprivileged, AllHoldsForAnOrdinaryUser) {
  if (getuid() != 0) GTEST_SKIP() << "this is an ordinary user";
  std::string output;
  process::Command command{
      .argv = {std::filesystem::read_symlink("/proc/self/exe"), "--gtest_color=no"},
      .env = {"PATH=/usr/bin:/bin"},
      .uid = 65534};
  const auto exit = process::RunBlocking(
      command, [&](std::string_view part) { output += part; }, std::chrono::minutes(3));
  ASSERT_TRUE(exit.ok()) << exit.status().ToString();
  EXPECT_TRUE(exit->ok()) << output;
}

}  // namespace
}  // namespace caudal::supervisor
