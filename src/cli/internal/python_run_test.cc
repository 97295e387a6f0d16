#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "archive/archive.h"
#include "base/file.h"
#include "cli/internal/git_state.h"
#include "cli/internal/local_code.h"
#include "cli/internal/python_source.h"
#include "cli/internal/run_settings.h"
#include "process/process.h"

// What `caudal run x.py` finds out before the SDK or a server is asked.

namespace caudal::cli {
namespace {

namespace fs = std::filesystem;

class Folder : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "caudal-XXXXXX").string();
    root_ = fs::canonical(mkdtemp(name.data()));
  }
  void TearDown() override { EXPECT_TRUE(base::RemoveTree(root_).ok()); }

  std::string Write(const std::string& name, const std::string& text, unsigned mode = 0644) {
    const std::string path = root_ + "/" + name;
    fs::create_directories(fs::path(path).parent_path());
    EXPECT_TRUE(base::WriteFileAtomic(path, text, mode).ok());
    return path;
  }

  std::string root_;
};

std::string Faults(const std::string& env_file) {
  const auto read = ParseEnvFile("f.env", env_file);
  return read.ok() ? "" : read.status().message();
}

TEST(PythonSource, IsAFileOrAFunctionInIt) {
  EXPECT_FALSE(ParsePythonSource("pipeline.yaml"));
  EXPECT_FALSE(ParsePythonSource("a:b"));
  EXPECT_EQ(ParsePythonSource("a/x.py")->file, "a/x.py");
  EXPECT_EQ(ParsePythonSource("a/x.py")->function, "");
  EXPECT_EQ(ParsePythonSource("a/x.py:train")->file, "a/x.py");
  EXPECT_EQ(ParsePythonSource("a/x.py:train")->function, "train");
}

using PythonSourceInFolder = Folder;

TEST_F(PythonSourceInFolder, TheEnvironmentNearestToTheFileCompilesIt) {
  unsetenv("CAUDAL_PYTHON");
  unsetenv("VIRTUAL_ENV");
  const std::string beside = Write("project/.venv/bin/python", "", 0755);
  const std::string active = Write("active/bin/python", "", 0755);
  const std::string chosen = Write("chosen/python3.12", "", 0755);
  const std::string file = Write("project/x.py", "");
  EXPECT_EQ(*FindPython("", file), beside);
  setenv("VIRTUAL_ENV", (root_ + "/active").c_str(), 1);
  EXPECT_EQ(*FindPython("", file), active);
  setenv("CAUDAL_PYTHON", chosen.c_str(), 1);
  EXPECT_EQ(*FindPython("", file), chosen);
  EXPECT_EQ(*FindPython(root_ + "/active", file), active);
  const auto missing = FindPython(root_ + "/nowhere", file);
  EXPECT_EQ(missing.status().message(),
            "--python names '" + root_ +
                "/nowhere', which is no Python: give a program or the folder of a virtual "
                "environment");
  unsetenv("CAUDAL_PYTHON");
  unsetenv("VIRTUAL_ENV");
}

TEST_F(PythonSourceInFolder, APathThatCannotBeLookedAtIsNoPython) {
  fs::create_symlink("loop", root_ + "/loop");
  EXPECT_NE(FindPython(root_ + "/loop", "x.py").status().message().find("which is no Python"),
            std::string::npos);
}

TEST_F(PythonSourceInFolder, AnEnvironmentIsPreparedWhenTheSdkIsInIt) {
  unsetenv("CAUDAL_PYTHON");
  const std::string python = Write("env/bin/python", "", 0755);
  setenv("VIRTUAL_ENV", (root_ + "/env").c_str(), 1);
  EXPECT_EQ(FindPreparedPython(), "");
  Write("env/lib/python3.11/site-packages/kfp/__init__.py", "");
  EXPECT_EQ(FindPreparedPython(), python);
  unsetenv("VIRTUAL_ENV");
}

TEST(StepVariables, AFileHoldsNamesValuesAndComments) {
  setenv("CAUDAL_TEST_OWN", "ours", 1);
  const auto read = ParseEnvFile("f.env",
                                 "# a comment\n\nA=1\nexport B = two words \nC='x=y'\nD=\"\"\n"
                                 "CAUDAL_TEST_OWN\nE=a#b");
  ASSERT_TRUE(read.ok()) << read.status().message();
  const std::map<std::string, std::string> want = {
      {"A", "1"}, {"B", "two words"},          {"C", "x=y"},
      {"D", ""},  {"CAUDAL_TEST_OWN", "ours"}, {"E", "a#b"}};
  EXPECT_EQ(*read, want);
}

TEST(StepVariables, FaultsNameLinesAndNeverValues) {
  unsetenv("CAUDAL_TEST_UNSET");
  EXPECT_EQ(Faults("A=1\n1B=secret\nCAUDAL_TEST_UNSET\n"),
            "f.env:2: no variable has a name like this, write NAME or NAME=value\n"
            "f.env:3: 'CAUDAL_TEST_UNSET' is not set here; write CAUDAL_TEST_UNSET=value");
}

using Code = Folder;

std::vector<std::string> Names(const LocalCode& code) {
  std::vector<std::string> names;
  const auto entries = archive::Read(code.tar, {});
  EXPECT_TRUE(entries.ok()) << entries.status().message();
  if (!entries.ok()) return names;
  for (const archive::Entry& entry : *entries) names.push_back(entry.path);
  return names;
}

TEST_F(Code, APackageKeepsItsNameAndAFolderDoesNot) {
  Write("pkg/__init__.py", "");
  Write("pkg/deep/part.py", "x = 1");
  Write("lib/tool.py", "y = 2");
  const std::vector<std::string> package = {"pkg/__init__.py", "pkg/deep/part.py"};
  EXPECT_EQ(Names(*PackCode(root_ + "/pkg")), package);
  EXPECT_EQ(Names(*PackCode(root_ + "/lib")), std::vector<std::string>{"tool.py"});
  EXPECT_EQ(Names(*PackCode(root_ + "/lib/tool.py")), std::vector<std::string>{"tool.py"});
  EXPECT_EQ(PackCode(root_ + "/pkg/")->snapshot.path(), root_ + "/pkg");
}

TEST_F(Code, WhatNoStepImportsIsLeftOutAndDoesNotCount) {
  Write("lib/tool.py", "y = 2");
  const std::string before = PackCode(root_ + "/lib")->snapshot.sha256();
  Write("lib/__pycache__/tool.cpython-311.pyc", "z");
  Write("lib/.git/HEAD", "ref");
  Write("lib/env/pyvenv.cfg", "home = /usr");
  Write("lib/old.pyc", "z");
  EXPECT_EQ(PackCode(root_ + "/lib")->snapshot.sha256(), before);
  Write("lib/tool.py", "y = 3");
  EXPECT_NE(PackCode(root_ + "/lib")->snapshot.sha256(), before);
}

TEST_F(Code, LinksAreFollowedInsideTheFolderOnly) {
  Write("lib/tool.py", "y = 2");
  Write("secret.py", "password");
  fs::create_symlink("tool.py", root_ + "/lib/alias.py");
  fs::create_symlink("../secret.py", root_ + "/lib/leak.py");
  fs::create_symlink("..", root_ + "/lib/up");
  const auto code = PackCode(root_ + "/lib");
  ASSERT_TRUE(code.ok());
  EXPECT_EQ(Names(*code), (std::vector<std::string>{"alias.py", "tool.py"}));
  EXPECT_EQ(code->left_out.size(), 2u);
}

TEST_F(Code, FaultsNameThePathAndTheLimit) {
  EXPECT_EQ(PackCode(root_ + "/none").status().message(),
            "--with '" + root_ + "/none': No such file or directory");
  const std::string text = Write("notes.txt", "x");
  EXPECT_EQ(PackCode(text).status().message(),
            "--with '" + text + "' is no Python code: name a folder or a .py file");
  fs::create_directories(root_ + "/empty");
  EXPECT_EQ(PackCode(root_ + "/empty").status().message(),
            "--with '" + root_ + "/empty' has no files that a step could import");
  Write("big/a.bin", "");
  ASSERT_EQ(truncate((root_ + "/big/a.bin").c_str(), (32 << 20) + 1), 0);
  EXPECT_EQ(PackCode(root_ + "/big").status().message(),
            "--with '" + root_ +
                "/big' is larger than the 32 MiB or 10000 files that code may have, at 'a.bin': "
                "name the package inside it, and give data as an artifact");
}

// Larger than what is read of it at most.
TEST_F(Code, AFileOfAnySizeIsAFault) {
  Write("big/a.bin", "");
  ASSERT_EQ(truncate((root_ + "/big/a.bin").c_str(), 100 << 20), 0);
  EXPECT_NE(PackCode(root_ + "/big").status().message().find("is larger than the 32 MiB"),
            std::string::npos);
}

TEST_F(Code, ANameThatCannotBePackedIsNamedWithItsFolder) {
  Write("lib/a\nb.py", "");
  EXPECT_EQ(PackCode(root_ + "/lib").status().message(),
            "--with '" + root_ +
                "/lib': entry 'a?b.py' has a control character in its name; "
                "rename it");
}

class Git : public Folder {
 protected:
  void Run(std::vector<std::string> words) {
    process::Command command;
    command.argv = {"git", "-c", "user.name=n", "-c", "user.email=e@example.com"};
    command.argv.insert(command.argv.end(), words.begin(), words.end());
    for (char** entry = environ; *entry != nullptr; ++entry) command.env.emplace_back(*entry);
    command.working_directory = root_;
    const auto exit = process::RunBlocking(command, [](std::string_view) {}, {});
    ASSERT_TRUE(exit.ok() && exit->ok()) << words[0];
  }
};

TEST_F(Git, TellsTheCommitAndWhetherTheTreeDiffersFromIt) {
  const std::string file = Write("x.py", "1");
  EXPECT_EQ(ReadGitState(file).commit, "");
  Run({"init", "-q"});
  EXPECT_EQ(ReadGitState(file).commit, "");
  EXPECT_FALSE(ReadGitState(file).is_dirty);
  Run({"add", "x.py"});
  Run({"commit", "-q", "-m", "first"});
  const GitState clean = ReadGitState(file);
  EXPECT_EQ(clean.commit.size(), 40u);
  EXPECT_FALSE(clean.is_dirty);
  Write("new.py", "2");
  EXPECT_TRUE(ReadGitState(file).is_dirty);
  EXPECT_EQ(ReadGitState(file).commit, clean.commit);
}

}  // namespace
}  // namespace caudal::cli
