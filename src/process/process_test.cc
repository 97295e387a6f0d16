#include "process/process.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "base/uuid.h"

namespace caudal::process {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kLong{30'000};

Command Shell(const std::string& script) {
  return {.argv = {"sh", "-c", script}, .env = {"PATH=/usr/bin:/bin"}};
}

TEST(RunBlocking, GivesExitCodeAndBothStreams) {
  std::string output;
  const auto exit = RunBlocking(
      Shell("echo one; echo two >&2; exit 7"), [&](std::string_view part) { output += part; },
      kLong);

  ASSERT_TRUE(exit.ok()) << exit.status().ToString();
  EXPECT_EQ(exit->code, 7);
  EXPECT_EQ(output, "one\ntwo\n");
}

TEST(RunBlocking, TellsTheSignal) {
  const auto exit = RunBlocking(Shell("kill -9 $$"), nullptr, kLong);
  ASSERT_TRUE(exit.ok());
  EXPECT_EQ(exit->signal, SIGKILL);
  EXPECT_FALSE(exit->ok());
}

TEST(RunBlocking, UsesOnlyTheGivenEnvironmentAndDirectory) {
  std::string output;
  Command command = Shell("env | grep -v PWD | grep -v '^_=' | sort; pwd");
  command.env.push_back("COLOUR=blue");
  command.working_directory = "/usr";
  ASSERT_TRUE(RunBlocking(
                  command, [&](std::string_view part) { output += part; }, kLong)
                  .ok());
  EXPECT_EQ(output, "COLOUR=blue\nPATH=/usr/bin:/bin\n/usr\n");
}

TEST(RunBlocking, NamesAMissingProgramAndDirectory) {
  const auto program = RunBlocking({.argv = {"no-such-program"}, .env = {"PATH=/bin"}}, {}, kLong);
  EXPECT_EQ(program.status().code(), base::Code::kNotFound);
  EXPECT_EQ(program.status().message(), "program 'no-such-program' does not exist");

  Command command = Shell("true");
  command.working_directory = "/nowhere";
  EXPECT_NE(RunBlocking(command, {}, kLong).status().message().find("'/nowhere'"),
            std::string::npos);
}

TEST(RunBlocking, EndsTheGroupAtTheTimeLimit) {
  const std::string mark = base::NewUuid4();
  Command command = Shell("sleep 600 & sleep 600");
  command.env.push_back("MARK=" + mark);
  const auto exit = RunBlocking(command, {}, milliseconds(50));
  EXPECT_EQ(exit.status().code(), base::Code::kDeadlineExceeded);
  while (!FindByEnvironment("MARK", mark).empty()) poll(nullptr, 0, 1);
}

TEST(RunBlocking, ProgramAndWhatItStartedDieWithTheirCaller) {
  const std::string mark = base::NewUuid4();
  for (const int uid : {-1, getuid() == 0 ? 61000 : -1}) {
    const pid_t caller = fork();
    if (caller == 0) {
      Command command = Shell("sleep 600 & sleep 600");
      command.env.push_back("MARK=" + mark);
      command.uid = uid;
      _exit(RunBlocking(command, {}, kLong).ok() ? 0 : 1);
    }
    while (FindByEnvironment("MARK", mark).size() < 3) poll(nullptr, 0, 1);
    kill(caller, SIGKILL);
    waitpid(caller, nullptr, 0);
    const auto give_up = std::chrono::steady_clock::now() + kLong;
    while (!FindByEnvironment("MARK", mark).empty()) {
      ASSERT_LT(std::chrono::steady_clock::now(), give_up) << "it lives on";
      poll(nullptr, 0, 1);
    }
  }
}

TEST(RunBlocking, DoesNotWaitForWhatTheProgramLeavesBehind) {
  std::string output;
  const auto exit = RunBlocking(
      Shell("sleep 600 & echo done"), [&](std::string_view part) { output += part; }, kLong);
  EXPECT_TRUE(exit.ok() && exit->ok());
  EXPECT_EQ(output, "done\n");
}

TEST(RunBlocking, BecomesAnotherUser) {
  if (getuid() != 0) GTEST_SKIP() << "only root can change its user";
  std::string output;
  Command command = Shell("id -u; id -G");
  command.uid = 61000;
  ASSERT_TRUE(RunBlocking(
                  command, [&](std::string_view part) { output += part; }, kLong)
                  .ok());
  EXPECT_EQ(output, "61000\n61000\n");
}

TEST(FindByEnvironment, FindsExactlyTheMarked) {
  const std::string mark = base::NewUuid4();
  EXPECT_TRUE(FindByEnvironment("MARK", mark).empty());

  std::vector<pid_t> seen;
  Command command = Shell("echo ready; sleep 600");
  command.env.push_back("MARK=" + mark);
  const auto ignored = RunBlocking(
      command,
      [&](std::string_view) {
        seen = FindByEnvironment("MARK", mark);
        EXPECT_TRUE(FindByEnvironment("MARK", mark.substr(1)).empty());
        EXPECT_TRUE(FindByEnvironment("MARK", mark.substr(0, 8)).empty());
        EXPECT_FALSE(FindMarked("MARK", mark.substr(0, 8)).empty());
        for (const pid_t pid : seen) kill(pid, SIGKILL);
      },
      kLong);
  EXPECT_FALSE(seen.empty());
}

/// In a child that is a subreaper: the tree may double-fork, leave its session and ignore SIGTERM.
TEST(KillDescendants, LeavesNoneOfAScatteredTree) {
  const pid_t reaper = fork();
  if (reaper == 0) {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    int ready[2];
    if (pipe(ready) != 0) _exit(1);
    if (fork() == 0) {
      dup2(ready[1], 1);
      execl("/bin/sh", "sh", "-c",
            "trap '' TERM; (setsid sh -c 'sleep 600 & echo a; sleep 600' &) ; sleep 600", nullptr);
      _exit(1);
    }
    char line;
    if (read(ready[0], &line, 1) != 1) _exit(2);
    const bool found = Descendants(getpid()).size() >= 3;
    KillDescendants(getpid(), [] {
      while (waitpid(-1, nullptr, WNOHANG) > 0) {
      }
    });
    _exit(found && Descendants(getpid()).empty() ? 0 : 3);
  }
  int status = -1;
  ASSERT_EQ(waitpid(reaper, &status, 0), reaper);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace caudal::process
