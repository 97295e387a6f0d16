#include "cli/internal/contexts.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>

#include "base/file.h"

namespace caudal::cli {
namespace {

class ContextsTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/caudal_contexts_XXXXXX";
    root_ = mkdtemp(name);
    setenv("XDG_CONFIG_HOME", root_.c_str(), 1);
  }
  void TearDown() override {
    unsetenv("XDG_CONFIG_HOME");
    EXPECT_TRUE(base::RemoveTree(root_).ok());
  }
  void WriteFile(const std::string& text) {
    ASSERT_TRUE(base::MakeDirs(root_ + "/caudal").ok());
    ASSERT_TRUE(base::WriteFileAtomic(root_ + "/caudal/contexts.json", text).ok());
  }

  std::string root_;
};

TEST_F(ContextsTest, WithoutAFileThereIsOnlyThisMachine) {
  const auto contexts = ReadContexts();
  ASSERT_TRUE(contexts.ok()) << contexts.status().message();
  EXPECT_EQ(contexts->current, kLocalContext);
  EXPECT_TRUE(contexts->urls.empty());
}

TEST_F(ContextsTest, WhatIsWrittenIsReadAgainAndIsOursAlone) {
  Contexts contexts;
  contexts.urls["team"] = "http://team:8888";
  contexts.current = "team";
  ASSERT_TRUE(WriteContexts(contexts).ok());
  const auto read = ReadContexts();
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->current, "team");
  EXPECT_EQ(read->urls, contexts.urls);
  struct stat info {};
  ASSERT_EQ(stat((root_ + "/caudal/contexts.json").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777u, 0600u);
}

TEST_F(ContextsTest, AFileThatIsNotOursIsNamed) {
  for (const char* text :
       {"", "[]", "{\"contexts\": 1}", "{\"contexts\": {\"a\": 1}}", "{\"current\": 3}"}) {
    WriteFile(text);
    const auto contexts = ReadContexts();
    EXPECT_EQ(contexts.status().code(), base::Code::kInvalidArgument) << text;
    EXPECT_NE(contexts.status().message().find(root_ + "/caudal/contexts.json"), std::string::npos);
  }
}

TEST_F(ContextsTest, AChosenContextThatIsGoneIsThisMachine) {
  WriteFile("{\"current\": \"gone\", \"contexts\": {}}");
  EXPECT_EQ(ReadContexts()->current, kLocalContext);
}

}  // namespace
}  // namespace caudal::cli
