#include "sandbox/sandbox.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "process/process.h"
#include "sandbox/internal/trial.h"

namespace caudal::sandbox {
namespace {

using internal::RunInSandbox;
using internal::Trial;

/// A directory on the host, made by a "server" that has one, with a file in it.
class Sandbox : public testing::Test {
 protected:
  void SetUp() override {
    const base::Status probe = Probe();
    if (!probe.ok()) GTEST_SKIP() << probe.message();
    char name[] = "/var/tmp/caudal_sandbox_XXXXXX";
    dir_ = mkdtemp(name);
    Put("secret", "s3cret");
  }
  void TearDown() override { EXPECT_TRUE(dir_.empty() || base::RemoveTree(dir_).ok()); }

  void Put(const std::string& name, const std::string& text) {
    const std::string path = dir_ + "/" + name;
    ASSERT_TRUE(base::MakeDirs(std::filesystem::path(path).parent_path(), 0755).ok());
    ASSERT_TRUE(base::WriteFileAtomic(path, text, 0644).ok());
    Give(path);
    Give(std::filesystem::path(path).parent_path());
  }
  /// As a server does with what its steps may write.
  void Give(const std::string& path) {
    EXPECT_TRUE(path == dir_ || chown(path.c_str(), StepUid(), StepGid()) == 0);
  }

  std::string Run(const ViewSpec& spec, const std::string& script) {
    const base::Result<Trial> trial = RunInSandbox(spec, {"/bin/sh", "-c", script});
    if (!trial.ok()) return "not run: " + trial.status().message();
    notes_ = trial->notes;
    std::string output = trial->output;
    if (trial->status != 0) output += "[exit " + std::to_string(WEXITSTATUS(trial->status)) + "]";
    return output;
  }

  std::string dir_;
  std::vector<std::string> notes_;
};

TEST_F(Sandbox, StepIsNobodyWithNothing) {
  EXPECT_EQ(Run({}, "id -u; id -g"), "1000\n1000\n");
  EXPECT_EQ(Run({}, "grep -E '^(Cap|NoNewPrivs)' /proc/self/status | tr -d '\\t' | tr '\\n' ' '"),
            "CapInh:0000000000000000 CapPrm:0000000000000000 CapEff:0000000000000000 "
            "CapBnd:0000000000000000 CapAmb:0000000000000000 NoNewPrivs:1 ");
  EXPECT_EQ(Run({}, "cat /etc/shadow >/dev/null 2>&1 || echo denied"), "denied\n");
}

TEST_F(Sandbox, StepHasANameAndAHome) {
  EXPECT_EQ(Run({},
                "id -un; id -gn; grep :1000: /etc/passwd | cut -d: -f6; "
                "getent passwd root | cut -d: -f3; ls -A / | grep names"),
            "step\nstep\n/home/step\n0\n[exit 1]");
}

TEST_F(Sandbox, StepIsNotPidOneAndSeesOnlyItsOwn) {
  const std::string output = Run({}, "echo $$; ls /proc | grep -c '^[0-9]*$'");
  if (!notes_.empty()) GTEST_SKIP() << notes_[0];
  EXPECT_NE(output.substr(0, 2), "1\n");
  EXPECT_LT(std::stoi(output.substr(output.find('\n'))), 8);
  EXPECT_EQ(Run({}, "cat /proc/1/environ 2>/dev/null | wc -c; kill -9 1 2>/dev/null; echo on"),
            "0\non\n");
}

TEST_F(Sandbox, HostIsReadOnly) {
  EXPECT_EQ(Run({},
                "test -r /etc/passwd && for d in / /etc /usr /var /dev /home /root /run; do "
                "touch $d/x 2>/dev/null && echo wrote $d; done; echo end"),
            "end\n");
}

TEST_F(Sandbox, HomesAndTemporaryDirectoriesAreEmpty) {
  EXPECT_EQ(Run({}, "ls -A /root /home /run /tmp /var/tmp"),
            "/home:\nstep\n\n/root:\n\n/run:\n\n/tmp:\nkfp\n\n/var/tmp:\n");
}

TEST_F(Sandbox, OwnDirectoriesAreWritable) {
  EXPECT_EQ(Run({},
                "for d in /tmp /var/tmp /dev/shm /home/step /minio /s3 /gcs /kfp-workspace "
                "/tmp/kfp; do mkdir $d/a && echo ok > $d/a/b || echo failed; done"),
            "");
  EXPECT_EQ(Run({}, "ls -A /minio"), "");  // nothing is left for the next one
}

TEST_F(Sandbox, DevicesWork) {
  EXPECT_EQ(Run({},
                "echo x > /dev/null; head -c 3 /dev/zero | wc -c; echo out > /dev/stdout; "
                "echo err > /dev/stderr; ls /dev/fd/1; test -c /dev/ptmx && echo pty"),
            "3\nout\nerr\n/dev/fd/1\npty\n");
}

TEST_F(Sandbox, HiddenDirectoryIsClosed) {
  // Not below /var/tmp, which no step sees anyway.
  const std::string hidden = "/usr/share";
  EXPECT_EQ(Run({.binds = {}, .hidden = {hidden}},
                "ls /usr/share 2>/dev/null; stat -c %a /usr/share; chmod 755 /usr/share "
                "2>/dev/null || echo sealed"),
            "0\nsealed\n");
}

TEST_F(Sandbox, BindFromInsideAHiddenDirectoryShowsOnlyItself) {
  Put("envs/a/python", "interpreter");
  const Bind bind{.source = dir_ + "/envs/a", .target = "/usr/share/envs/a"};
  EXPECT_EQ(Run({.binds = {bind}, .hidden = {dir_, "/usr/share"}},
                "cat /usr/share/envs/a/python; echo; ls /usr/share; touch /usr/share/x 2>/dev/null;"
                "touch /usr/share/envs/a/x 2>/dev/null || echo read-only"),
            "interpreter\nenvs\nread-only\n");
}

TEST_F(Sandbox, BindKeepsItsPathBelowAHiddenHome) {
  Put("envs/a/python", "interpreter");
  const Bind bind{.source = dir_ + "/envs/a", .target = "/root/.pyenv/a"};
  EXPECT_EQ(Run({.binds = {bind}, .hidden = {"/root", "/home"}}, "cat /root/.pyenv/a/python"),
            "interpreter");
}

TEST_F(Sandbox, WritableBindReachesTheHost) {
  Put("out/mark", "");
  const Bind bind{.source = dir_ + "/out", .target = "/minio/a/b", .writable = true};
  EXPECT_EQ(Run({.binds = {bind}, .hidden = {}}, "echo result > /minio/a/b/file"), "");
  EXPECT_EQ(*base::ReadFile(dir_ + "/out/file"), "result\n");
  struct stat info {};
  ASSERT_EQ(stat((dir_ + "/out/file").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, StepUid());
}

TEST_F(Sandbox, FileIsBoundAsAFile) {
  Put("one,two:three", "text");
  const Bind bind{.source = dir_ + "/one,two:three", .target = "/inputs/x,y:z"};
  EXPECT_EQ(Run({.binds = {bind}, .hidden = {}}, "cat /inputs/*"), "text");
}

TEST_F(Sandbox, TargetInAReadOnlyDirectoryIsAddedToWhatIsThere) {
  Put("in/file", "text");
  const Bind bind{.source = dir_ + "/in", .target = "/etc/ssl/added/in"};
  EXPECT_EQ(Run({.binds = {bind}, .hidden = {}},
                "cat /etc/ssl/added/in/file; echo; test -r /etc/ssl/openssl.cnf -o -d "
                "/etc/ssl/certs && echo kept; touch /etc/ssl/x 2>/dev/null || echo read-only"),
            "text\nkept\nread-only\n");
}

TEST_F(Sandbox, OverlayIsWritableAndThrownAway) {
  Put("env:1,2/lib/a.py", "old");
  Put("env:1,2/bin/pip", "pip");
  Give(dir_ + "/env:1,2");
  const Bind bind{.kind = Bind::Kind::kOverlay,
                  .source = dir_ + "/env:1,2",
                  .target = "/opt/env:1,2",
                  .writable = true};
  const std::string output = Run(
      {.binds = {bind}, .hidden = {}},
      "cd /opt/env:1,2 && echo new > lib/a.py && rm bin/pip && mv bin lib/bin2 && mkdir more && "
      "cat lib/a.py && ls . lib | tr '\\n' ' '; ls -A / | grep layer");
  for (const std::string& note : notes_) {
    if (note.find("overlay") != std::string::npos) GTEST_SKIP() << note;
  }
  EXPECT_EQ(output, "new\n.: lib more  lib: a.py bin2 [exit 1]");
  EXPECT_EQ(*base::ReadFile(dir_ + "/env:1,2/lib/a.py"), "old");
  EXPECT_TRUE(base::PathExists(dir_ + "/env:1,2/bin/pip"));
}

TEST_F(Sandbox, BoundTmpStillHasAPlaceForKfp) {
  Put("tmp/mark", "");
  const Bind bind{.source = dir_ + "/tmp", .target = "/tmp", .writable = true};
  EXPECT_EQ(Run({.binds = {bind}, .hidden = {}}, "touch /tmp/kfp/x && ls -A /tmp | tr '\\n' ' '"),
            "kfp mark ");
}

TEST_F(Sandbox, MissingSourceIsNamed) {
  const Bind bind{.source = dir_ + "/nothing", .target = "/in"};
  EXPECT_NE(Run({.binds = {bind}, .hidden = {}}, "true").find(dir_ + "/nothing"),
            std::string::npos);
}

TEST_F(Sandbox, SharedMemoryOfSystemVIsItsOwnAndGoesWithIt) {
  const auto segments = [] {
    const std::string text = *base::ReadFile("/proc/sysvipc/shm");
    return std::count(text.begin(), text.end(), '\n');
  };
  const auto before = segments();
  EXPECT_EQ(Run({},
                "test $(wc -l < /proc/sysvipc/shm) = 1 && ipcmk -M 4096 > /dev/null && "
                "wc -l < /proc/sysvipc/shm"),
            "2\n");
  EXPECT_EQ(segments(), before);
}

TEST_F(Sandbox, CommandRunsToItsEndWithNothingLeft) {
  process::Command command{.argv = {"sh", "-c",
                                    "pwd; echo $WORD; ls /proc/self/fd | wc -l; "
                                    "setsid sleep 8731 & exit 7"},
                           .env = {"PATH=/usr/bin:/bin", "WORD=hi"},
                           .working_directory = "/var/tmp"};
  std::string output;
  const auto exit = RunBlocking(
      {}, command, [&](std::string_view text) { output += text; }, std::chrono::minutes(1));
  ASSERT_TRUE(exit.ok()) << exit.status().ToString();
  EXPECT_EQ(exit->code, 7);
  EXPECT_EQ(output, "/var/tmp\nhi\n4\n");
  EXPECT_TRUE(process::Descendants(getpid()).empty());

  command.argv = {"sleep", "8732"};
  const auto late = RunBlocking({}, command, {}, std::chrono::milliseconds(50));
  EXPECT_EQ(late.status().code(), base::Code::kDeadlineExceeded);
  EXPECT_TRUE(process::Descendants(getpid()).empty());

  command.argv = {"no-such-program"};
  const auto absent = RunBlocking({}, command, {}, std::chrono::minutes(1));
  EXPECT_NE(absent.status().message().find("no-such-program"), std::string::npos);
}

TEST_F(Sandbox, NamespaceInsideGivesNoWayOut) {
  EXPECT_EQ(Run({},
                "unshare -Urm sh -c 'mount -o remount,rw / 2>/dev/null && echo writable; "
                "umount /tmp 2>/dev/null && echo unmounted'; echo end"),
            "end\n");
}

TEST(Unprivileged, AllHoldsForAnOrdinaryUser) {
  if (getuid() != 0) GTEST_SKIP() << "this is an ordinary user";
  std::string output;
  process::Command command{
      .argv = {std::filesystem::read_symlink("/proc/self/exe"), "--gtest_color=no"},
      .env = {"PATH=/usr/bin:/bin"},
      .uid = 65534};
  const auto exit = process::RunBlocking(
      command, [&](std::string_view part) { output += part; }, std::chrono::minutes(2));
  ASSERT_TRUE(exit.ok()) << exit.status().ToString();
  EXPECT_TRUE(exit->ok()) << output;
  if (output.find("makes no sandboxes") != std::string::npos) {
    GTEST_SKIP() << "no namespaces without privileges here";
  }
}

}  // namespace
}  // namespace caudal::sandbox
