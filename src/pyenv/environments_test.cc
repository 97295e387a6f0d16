#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <future>
#include <thread>

#include "base/file.h"
#include "base/testing/fake_clock.h"
#include "base/utf8.h"
#include "process/process.h"
#include "pyenv/internal/build.h"
#include "pyenv/internal/interpreter.h"
#include "pyenv/internal/settings.h"
#include "pyenv/pyenv.h"

namespace caudal::pyenv {
namespace {

/// A wheel with a module `tiny` and a stand-in for the part of the SDK that knows the mount points.
constexpr char kMakeWheel[] = R"(
import sys, zipfile
meta = 'tiny-1.0.dist-info/'
files = {
    'tiny.py': 'WORD = "hello"\n',
    'kfp/__init__.py': '', 'kfp/dsl/__init__.py': '', 'kfp/dsl/types/__init__.py': '',
    'kfp/dsl/types/artifact_types.py':
        "_MINIO_LOCAL_MOUNT_PREFIX = '/minio/'\n_S3_LOCAL_MOUNT_PREFIX = '/s3/'\n"
        "_GCS_LOCAL_MOUNT_PREFIX = '/gcs/'\n",
    meta + 'METADATA': 'Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n',
    meta + 'WHEEL': 'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
}
record = ''.join(name + ',,\n' for name in [*files, meta + 'RECORD'])
with zipfile.ZipFile(sys.argv[1], 'w') as wheel:
    for name, text in {**files, meta + 'RECORD': record}.items():
        wheel.writestr(name, text)
)";

/// A source package whose build looks for a secret, and puts links where the server writes later.
constexpr char kMakeCuriousSource[] = R"(
import io, sys, tarfile
backend = """
import os, zipfile
venv = os.environ['PATH'].split(':')[0][:-len('/bin')]
def build_wheel(directory, settings=None, metadata=None):
    for target in (venv + '/../venv.tmp', venv + '/../complete'):
        try: os.symlink('/etc/hostname', target)
        except OSError: pass
    seen = 'uid %%d secret %%s home %%s' %% (os.getuid(), os.path.exists(%r), os.listdir('/root'))
    meta = 'curious-1.dist-info/'
    name = 'curious-1-py3-none-any.whl'
    with zipfile.ZipFile(directory + '/' + name, 'w') as wheel:
        wheel.writestr(meta + 'METADATA',
                       'Metadata-Version: 2.1\\nName: curious\\nVersion: 1\\nSummary: ' + seen)
        wheel.writestr(meta + 'WHEEL', 'Wheel-Version: 1.0\\nGenerator: t\\n'
                       'Root-Is-Purelib: true\\nTag: py3-none-any\\n')
        wheel.writestr(meta + 'RECORD', '')
    return name
""" % sys.argv[2]
project = """[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
with tarfile.open(sys.argv[1], 'w:gz') as archive:
    for name, text in {'backend.py': backend, 'pyproject.toml': project}.items():
        entry = tarfile.TarInfo('curious-1/' + name)
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text.encode()))
)";

/// Stands for a Python where only our part of a build matters: a real build takes seconds. Installs
/// by copying, or by running what ends in ".sh", as pip runs code of packages.
constexpr char kStandInPython[] = R"sh(#!/bin/sh -e
venv=$(dirname "$(dirname "$0")")
modules=$venv/lib/python3.11/site-packages
case "$*" in
"-m venv"*)
  modules=$3/lib/python3.11/site-packages
  mkdir -p "$3/bin" "$modules"
  cp "$0" "$3/bin/python"
  head -c 100000 /dev/zero > "$modules/large.py" ;;
"-m pip install"*)
  for word; do
    case "$word" in
    odd==*) head -c 500000 /dev/zero | tr '\0' x; printf '\377\n'; exit 1 ;;
    *==*) echo "ERROR: No matching distribution found for $word"; exit 1 ;;
    *.sh) . "$word" ;;
    *.whl) cp "$word" "$modules/tiny.py"; echo "Processing tiny" ;;
    esac
  done ;;
"-I -S -c"*) printf '%s\n3.11.0\n%s\n\n' "$0" "$venv" ;;
*compileall*)
  case "$venv" in *killed*) kill -9 $$ ;; esac ;;
"-m pip freeze"*) echo "tiny @ file:///tiny.whl" ;;
*"import pip"*) echo "pip 99" ;;
esac
)sh";

std::string RunToEnd(const std::vector<std::string>& words,
                     const std::vector<std::string>& env = {}) {
  std::string output;
  process::Command command;
  command.argv = words;
  command.env = env;
  command.env.push_back("PATH=/usr/local/bin:/usr/bin:/bin");
  const auto exit = process::RunBlocking(
      command, [&](std::string_view text) { output += text; }, std::chrono::minutes(1));
  EXPECT_TRUE(exit.ok() && exit->ok()) << words[0] << ": " << output;
  return output;
}

void CheckTiny(const Environment& built) {
  EXPECT_TRUE(base::PathExists(built.site_packages + "/tiny.py"));
  EXPECT_FALSE(base::PathExists(built.path + "/rubbish"));
  EXPECT_FALSE(base::PathExists(built.path + "/../scratch"));
  EXPECT_EQ(RunToEnd({built.path + "/bin/python3", "-c", "import tiny; print(tiny.WORD)"}),
            "hello\n");
}

/// The mount prefixes move when they must, and otherwise nothing is loaded.
void CheckMounts(const Environment& built) {
  const std::vector<std::string> words = {
      built.path + "/bin/python3", "-c",
      "import sys; from kfp.dsl.types import artifact_types as a\n"
      "print(a._MINIO_LOCAL_MOUNT_PREFIX, a._S3_LOCAL_MOUNT_PREFIX, a._GCS_LOCAL_MOUNT_PREFIX,"
      " 'caudal_mounts' in sys.modules)"};
  EXPECT_EQ(RunToEnd(words), "/minio/ /s3/ /gcs/ False\n");
  EXPECT_EQ(RunToEnd(words, {"CAUDAL_MOUNT_ROOT=/w/fs"}),
            "/w/fs/minio/ /w/fs/s3/ /w/fs/gcs/ True\n");
}

class EnvironmentsTest : public testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/caudal-pyenv-XXXXXX";
    ASSERT_NE(mkdtemp(path), nullptr);
    dir_ = path;
    ASSERT_EQ(chmod(path, 0755), 0);
    std::string note;
    Environments environments(MakeOptions());
    auto found = environments.ForImage("", &note);
    if (!found.ok()) GTEST_SKIP() << found.status().message();
    interpreter_ = *found;
    const std::string python = dir_ + "/python/bin/python3.11";
    ASSERT_TRUE(base::MakeDirs(dir_ + "/python/bin", 0755).ok());
    ASSERT_TRUE(base::WriteFileAtomic(python, kStandInPython, 0755).ok());
    stand_in_ = {python, "3.11.0", dir_ + "/python"};
    wheel_ = dir_ + "/tiny-1.0-py3-none-any.whl";
    RunToEnd({interpreter_.path, "-c", kMakeWheel, wheel_});
  }

  void TearDown() override { EXPECT_TRUE(base::RemoveTree(dir_).ok()); }

  Options MakeOptions() const {
    Options options;
    options.envs_dir = dir_ + "/envs";
    return options;
  }

  std::vector<PipCall> TinyCall() const { return {{{"--no-index", "--no-deps"}, {wheel_}}}; }
  Request Tiny() const { return {stand_in_, TinyCall()}; }
  std::string KeyOfTiny(const Interpreter& interpreter) const {
    return EnvironmentKey(interpreter, TinyCall(), false, internal::SettingsFromEnvironment());
  }

  /// How often an installer was started.
  int Installs() const {
    const auto log = base::ReadFile(dir_ + "/envs/installs.log");
    return log.ok() ? static_cast<int>(std::count(log->begin(), log->end(), '\n')) : 0;
  }

  std::string dir_;
  std::string wheel_;
  Interpreter interpreter_;  ///< of this machine
  Interpreter stand_in_;
};

// With a real Python, once: a build takes seconds.
TEST_F(EnvironmentsTest, FirstUsersShareOneBuildThatReplacesAnUnfinishedOne) {
  const std::string key = KeyOfTiny(interpreter_);
  const Request request{interpreter_, TinyCall()};
  ASSERT_TRUE(base::MakeDirs(dir_ + "/envs/" + key + ".1/venv/bin").ok());
  ASSERT_TRUE(base::WriteFileAtomic(dir_ + "/envs/" + key + ".1/venv/rubbish", "x").ok());
  Environments environments(MakeOptions());
  std::vector<std::string> said(4);
  std::vector<base::Result<Environment>> built(said.size());
  std::vector<std::thread> threads;

  for (size_t i = 0; i < said.size(); ++i) {
    threads.emplace_back([&, i] {
      built[i] = environments.Get(request, [&, i](std::string_view text) { said[i] += text; });
    });
  }
  for (std::thread& thread : threads) thread.join();

  for (const auto& one : built) {
    ASSERT_TRUE(one.ok()) << one.status().ToString();
    EXPECT_EQ(one->id, key + ".1");
    EXPECT_NE(environments.Inspect(one->id)->lock.find("tiny"), std::string::npos);
  }
  const auto spoke = [](const std::string& text) { return text.find("tiny") != std::string::npos; };
  EXPECT_EQ(std::count_if(said.begin(), said.end(), spoke), 1);
  CheckTiny(*built[0]);
  CheckMounts(*built[0]);

  std::string again;
  Environments later(MakeOptions());
  const auto found = later.Get(request, [&](std::string_view text) { again += text; });
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->id, built[0]->id);
  EXPECT_EQ(again, "");
  EXPECT_EQ(Installs(), 3);  // venv, install, freeze
}

TEST_F(EnvironmentsTest, FailureShowsPipAndLeavesNothing) {
  Environments environments(MakeOptions());

  const auto built =
      environments.Get({stand_in_, {{{"--no-index"}, {"tiny-that-is-nowhere==9"}}}}, {});

  ASSERT_FALSE(built.ok());
  EXPECT_EQ(built.status().code(), base::Code::kFailedPrecondition);
  EXPECT_NE(built.status().message().find("cannot install 'tiny-that-is-nowhere==9'"),
            std::string::npos);
  EXPECT_NE(built.status().message().find("No matching distribution"), std::string::npos);
  const auto left = base::ListDir(dir_ + "/envs");
  ASSERT_TRUE(left.ok());
  EXPECT_EQ(*left, (std::vector<std::string>{"installs.log", "locks"}));
}

TEST_F(EnvironmentsTest, WhatInstallersSayIsTextOfSomeLines) {
  Environments environments(MakeOptions());
  std::string said;

  const auto built = environments.Get({stand_in_, {{{}, {"odd==1"}}}},
                                      [&](std::string_view text) { said += text; });

  ASSERT_FALSE(built.ok());
  EXPECT_TRUE(base::IsUtf8(built.status().message()));
  EXPECT_TRUE(base::IsUtf8(said));
  EXPECT_LT(built.status().message().size(), 50'000u);
}

TEST_F(EnvironmentsTest, TwoProcessesShareOneBuild) {
  std::vector<pid_t> children(2);
  for (pid_t& child : children) {
    child = fork();
    if (child != 0) continue;
    Environments environments(MakeOptions());
    const auto built = environments.Get(Tiny(), {});
    _exit(built.ok() && built->id.ends_with(".1") ? 0 : 1);
  }
  for (const pid_t child : children) {
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }

  EXPECT_EQ(Installs(), 3);  // venv, install, freeze
  EXPECT_EQ(Environments(MakeOptions()).List().size(), 1u);
}

TEST_F(EnvironmentsTest, RefreshAndPrune) {
  base::FakeClock clock;
  Options options = MakeOptions();
  options.clock = &clock;
  Environments environments(options);
  auto first = environments.Get(Tiny(), {});
  ASSERT_TRUE(first.ok()) << first.status().ToString();
  clock.Advance(std::chrono::hours(48));

  const auto second = environments.Refresh(first->id.substr(0, 8), {});

  ASSERT_TRUE(second.ok()) << second.status().ToString();
  EXPECT_EQ(second->build, 2);
  EXPECT_EQ(environments.Find(Tiny())->id, second->id());
  EXPECT_EQ(environments.Inspect(second->key)->build, 2);
  EXPECT_EQ(environments.Inspect(first->id)->build, 1);
  EXPECT_EQ(environments.Inspect(second->key.substr(0, 12) + ".1")->id(), first->id);
  EXPECT_FALSE(environments.Inspect(second->key.substr(0, 12) + ".12").ok());
  EXPECT_TRUE(environments.Prune(std::chrono::hours(24), true)->removed.empty()) << "in use";
  first->use.reset();
  EXPECT_TRUE(environments.Prune(std::chrono::hours(24), true)->removed.empty()) << "used just now";
  clock.Advance(std::chrono::hours(25));
  environments.Find(Tiny());
  const auto pruned = environments.Prune(std::chrono::hours(24), false);
  ASSERT_TRUE(pruned.ok());
  ASSERT_EQ(pruned->removed.size(), 1u);
  EXPECT_EQ(pruned->removed[0].id(), first->id);
  EXPECT_GT(pruned->freed_bytes, 0);
  EXPECT_LT(pruned->freed_bytes, second->size_bytes / 2) << "most files are shared";
  EXPECT_FALSE(base::PathExists(first->path));
  EXPECT_TRUE(base::PathExists(second->path));

  // Pruning the newest does not bring an older one back, and no number is used twice.
  ASSERT_EQ(environments.Prune({}, false)->removed.size(), 1u);
  Environments later(options);
  EXPECT_FALSE(later.Find(Tiny()));
  const auto kept = later.Inspect(second->id());
  ASSERT_TRUE(kept.ok());
  EXPECT_TRUE(kept->is_removed);
  EXPECT_EQ(kept->lock, second->lock);
  EXPECT_EQ(later.Get(Tiny(), {})->id, second->key + ".3");
  EXPECT_FALSE(later.Hold(second->id()).ok());
}

TEST_F(EnvironmentsTest, RemembersTheHourOfUseOnly) {
  base::FakeClock clock;
  Options options = MakeOptions();
  options.clock = &clock;
  Environments environments(options);
  const std::string id = environments.Get(Tiny(), {})->id;
  const int64_t built = environments.Inspect(id)->last_used_at;

  clock.Advance(std::chrono::minutes(59));
  environments.Find(Tiny());
  EXPECT_EQ(environments.Inspect(id)->last_used_at, built);
  clock.Advance(std::chrono::minutes(1));
  environments.Find(Tiny());
  EXPECT_EQ(environments.Inspect(id)->last_used_at, base::ToMicros(clock.Now()));
  EXPECT_EQ(Environments(options).Inspect(id)->last_used_at, base::ToMicros(clock.Now()));
}

TEST_F(EnvironmentsTest, WhatACrashLeftIsRemoved) {
  const std::string other(64, 'a');
  for (const std::string& left : {"removed/" + other + ".7/venv", other + ".8/venv", other}) {
    ASSERT_TRUE(base::MakeDirs(dir_ + "/envs/" + left).ok());
  }
  ASSERT_TRUE(base::WriteFileAtomic(dir_ + "/envs/" + other + ".lock", "").ok());
  ASSERT_TRUE(base::MakeDirs(dir_ + "/envs/shims").ok());
  Environments environments(MakeOptions());
  EXPECT_FALSE(environments.Inspect(other + ".8").ok());

  const auto built = environments.Get(Tiny(), {});

  ASSERT_TRUE(built.ok()) << built.status().ToString();
  EXPECT_EQ(*base::ListDir(dir_ + "/envs"),
            (std::vector<std::string>{built->id, "installs.log", "locks", "records", "removed",
                                      "shims"}));
  EXPECT_TRUE(base::ListDir(dir_ + "/envs/removed")->empty());
}

TEST_F(EnvironmentsTest, ModulesThatAreHalfCompiledFailTheBuild) {
  Options options = MakeOptions();
  options.envs_dir = dir_ + "/killed";
  Environments environments(options);

  const auto built = environments.Get(Tiny(), {});

  ASSERT_FALSE(built.ok());
  EXPECT_NE(built.status().message().find("signal 9"), std::string::npos);
  EXPECT_TRUE(environments.List().empty());
}

// Another version's, say, or damaged: steps may run in that build, which must not be built over.
TEST_F(EnvironmentsTest, ARecordThatCannotBeReadKeepsItsNumber) {
  const std::string id = KeyOfTiny(stand_in_) + ".1";
  ASSERT_TRUE(base::MakeDirs(dir_ + "/envs/" + id + "/venv").ok());
  ASSERT_TRUE(base::MakeDirs(dir_ + "/envs/records").ok());
  ASSERT_TRUE(
      base::WriteFileAtomic(dir_ + "/envs/records/" + id + ".json", R"({"format":2})").ok());
  Environments environments(MakeOptions());

  const auto built = environments.Get(Tiny(), {});

  ASSERT_TRUE(built.ok()) << built.status().ToString();
  EXPECT_EQ(built->id, KeyOfTiny(stand_in_) + ".2");
  EXPECT_TRUE(base::PathExists(dir_ + "/envs/" + id + "/venv"));
}

TEST_F(EnvironmentsTest, StopEndsTheWaitForAnotherProcess) {
  ASSERT_TRUE(base::MakeDirs(dir_ + "/envs/locks").ok());
  const std::string path = dir_ + "/envs/locks/" + KeyOfTiny(stand_in_);
  base::UniqueFd other(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_EQ(flock(other.get(), LOCK_EX), 0);
  Environments environments(MakeOptions());
  auto waits = std::async(std::launch::async, [&] { return environments.Get(Tiny(), {}); });
  auto stops = std::async(std::launch::async, [&] { environments.Stop(); });

  const bool is_over = stops.wait_for(std::chrono::seconds(20)) == std::future_status::ready;

  other.Reset();
  EXPECT_TRUE(is_over);
  EXPECT_EQ(waits.get().status().code(), base::Code::kUnavailable);
}

TEST_F(EnvironmentsTest, FollowsNoLinkThatAPackagePutInPlaceOfItsModules) {
  const std::string elsewhere = dir_ + "/elsewhere/python3.11/site-packages";
  ASSERT_TRUE(base::MakeDirs(elsewhere, 0755).ok());
  ASSERT_TRUE(base::WriteFileAtomic(elsewhere + "/file.py", "x", 0644).ok());
  ASSERT_TRUE(base::WriteFileAtomic(dir_ + "/evil.sh",
                                    "rm -r $venv/lib; ln -s " + dir_ + "/elsewhere $venv/lib\n",
                                    0644)
                  .ok());
  Environments environments(MakeOptions());

  const auto built = environments.Get({stand_in_, {{{}, {dir_ + "/evil.sh"}}}}, {});

  struct stat info {};
  ASSERT_EQ(stat((elsewhere + "/file.py").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0644u);
  ASSERT_FALSE(built.ok());
  EXPECT_NE(built.status().message().find("site-packages"), std::string::npos)
      << built.status().message();
}

TEST_F(EnvironmentsTest, AKfpPackageOfAnyNameIsLookedFor) {
  if (const base::Status probe = sandbox::Probe(); !probe.ok()) GTEST_SKIP() << probe.message();
  Options options = MakeOptions();
  options.sandbox = true;
  options.owner_uid = geteuid() == 0 ? static_cast<int>(sandbox::StepUid()) : -1;
  Environments environments(options);
  Request request{stand_in_, {{{}, {"kfp==2.9.0"}}}};
  request.kfp_package = "/" + std::string(300, 'x');

  const auto built = environments.Get(request, {});

  EXPECT_TRUE(built.ok()) << built.status().ToString();
}

TEST_F(EnvironmentsTest, RefusesAKfpPackageThatIsAnOption) {
  Environments environments(MakeOptions());
  Request request = Tiny();
  request.kfp_package = "--index-url=https://elsewhere";

  EXPECT_EQ(environments.Get(request, {}).status().code(), base::Code::kInvalidArgument);
}

TEST_F(EnvironmentsTest, BuildsNothingOnceStopped) {
  Environments environments(MakeOptions());
  environments.Stop();

  EXPECT_EQ(environments.Get(Tiny(), {}).status().code(), base::Code::kUnavailable);
}

TEST_F(EnvironmentsTest, BelongsToTheStepsUser) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to build as another user";
  Options options = MakeOptions();
  options.owner_uid = 61000;
  Environments environments(options);

  const auto built = environments.Get(Tiny(), {});

  ASSERT_TRUE(built.ok()) << built.status().ToString();
  struct stat info {};
  ASSERT_EQ(stat((built->site_packages + "/tiny.py").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 61000u);
}

/// Packages run code of theirs when they are built.
TEST_F(EnvironmentsTest, CodeOfPackagesIsInASandbox) {
  if (const base::Status probe = sandbox::Probe(); !probe.ok()) GTEST_SKIP() << probe.message();
  ASSERT_TRUE(base::MakeDirs(dir_ + "/shown", 0755).ok());
  ASSERT_TRUE(base::WriteFileAtomic(dir_ + "/secret", "s3cret", 0644).ok());
  RunToEnd({interpreter_.path, "-c", kMakeCuriousSource, dir_ + "/shown/curious-1.tar.gz",
            dir_ + "/secret"});
  Options options = MakeOptions();
  options.sandbox = true;
  options.hidden = {dir_};
  options.owner_uid = geteuid() == 0 ? static_cast<int>(sandbox::StepUid()) : -1;
  options.binds = {{.source = dir_ + "/shown", .target = "/mnt/shown"}};
  Environments environments(options);

  const auto built = environments.Get(
      {interpreter_, {{{"--no-index", "--no-build-isolation"}, {"/mnt/shown/curious-1.tar.gz"}}}},
      {});

  ASSERT_TRUE(built.ok()) << built.status().ToString();
  EXPECT_NE(environments.Inspect(built->id)->lock.find("curious"), std::string::npos);
  EXPECT_EQ(*base::ListDir(built->path + "/.."), std::vector<std::string>{"venv"});
  std::string summary;
  const auto names = base::ListDir(built->site_packages);
  ASSERT_TRUE(names.ok());
  for (const std::string& name : *names) {
    if (!name.starts_with("curious-")) continue;
    const auto text = base::ReadFile(built->site_packages + "/" + name + "/METADATA");
    summary = text.ok() ? *text : *base::ReadFile(built->site_packages + "/" + name + "/PKG-INFO");
  }
  EXPECT_NE(summary.find("uid 1000 secret False home []"), std::string::npos) << summary;
}

TEST(EnvironmentKey, DependsOnWhatIsInstalledAndOnNothingElse) {
  const Interpreter python{"/usr/bin/python3.11", "3.11.2", "/usr"};
  const std::vector<PipCall> calls = {{{"--no-deps"}, {"kfp==2.9.0"}}, {{}, {"six", "yapf"}}};
  const std::string key = EnvironmentKey(python, calls, false, {});

  EXPECT_EQ(key.size(), 64u);
  EXPECT_EQ(key, EnvironmentKey(python, calls, false, {{"http_proxy", "http://p"}}));
  EXPECT_EQ(key, EnvironmentKey(python, calls, false, {{"PIP_DEFAULT_TIMEOUT", "60"}}));
  EXPECT_NE(key, EnvironmentKey(python, calls, false, {{"PIP_INDEX_URL", "https://a"}}));
  EXPECT_NE(key, EnvironmentKey(python, calls, false, {{kPipConfig, "[global]"}}));
  EXPECT_NE(key, EnvironmentKey({"/usr/bin/python3.11", "3.11.3", "/usr"}, calls, false, {}));
  EXPECT_NE(key, EnvironmentKey(python, {calls[1], calls[0]}, false, {}));
  EXPECT_NE(key, EnvironmentKey(python, {calls[0], {{}, {"yapf", "six"}}}, false, {}));
  EXPECT_NE(key, EnvironmentKey(python, {{{}, {"kfp==2.9.0"}}, calls[1]}, false, {}));
  EXPECT_NE(key, EnvironmentKey(python, calls, true, {}));
}

TEST(WithKfpPackage, ReplacesOnlyThePin) {
  const auto calls = internal::WithKfpPackage(
      {{{}, {"kfp-kubernetes", "kfp==2.9.0", "kfp", "kfp-dsl==2.1.2", "kfpx"}}}, "kfp==2.17.0");

  EXPECT_EQ(calls[0].packages, (std::vector<std::string>{"kfp-kubernetes", "kfp==2.17.0",
                                                         "kfp==2.17.0", "kfp==2.17.0", "kfpx"}));
}

TEST(PythonVersionOf, ReadsOfficialTagsOnly) {
  EXPECT_EQ(internal::PythonVersionOf("python:3.9"), "3.9");
  EXPECT_EQ(internal::PythonVersionOf("docker.io/library/python:3.11.4-slim"), "3.11");
  EXPECT_EQ(internal::PythonVersionOf("host:5000/python:3.12-alpine@sha256:00"), "3.12");
  EXPECT_EQ(internal::PythonVersionOf("python:3"), "");
  EXPECT_EQ(internal::PythonVersionOf("python"), "");
  EXPECT_EQ(internal::PythonVersionOf("my-python:3.9"), "");
  EXPECT_EQ(internal::PythonVersionOf("busybox:1.36"), "");
}

TEST(ForImage, SaysWhatStoodIn) {
  Environments environments({"/nonexistent", "", -1});
  std::string note;
  const auto found = environments.ForImage("busybox:1.36", &note);
  if (!found.ok()) GTEST_SKIP() << found.status().message();

  EXPECT_NE(note.find("busybox:1.36"), std::string::npos);
  EXPECT_NE(note.find(found->path), std::string::npos);

  const std::string own = found->version.substr(0, found->version.rfind('.'));
  ASSERT_TRUE(environments.ForImage("python:" + own + "-slim", &note).ok());
  EXPECT_EQ(note, "");
}

}  // namespace
}  // namespace caudal::pyenv
