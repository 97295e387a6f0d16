#include "pyenv/internal/files.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

namespace caudal::pyenv::internal {
namespace {

class FilesTest : public testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/caudal-files-XXXXXX";
    ASSERT_NE(mkdtemp(path), nullptr);
    dir_ = path;
  }
  void TearDown() override { EXPECT_TRUE(base::RemoveTree(dir_).ok()); }

  void Write(const std::string& path, const std::string& text) {
    const std::string full = dir_ + "/" + path;
    ASSERT_TRUE(base::MakeDirs(full.substr(0, full.rfind('/'))).ok());
    ASSERT_TRUE(base::WriteFileAtomic(full, text, 0644).ok());
  }
  void SettleAll() {
    for (const char* tree : {"/a", "/b", "/c"}) {
      if (!base::PathExists(dir_ + tree)) continue;
      ASSERT_TRUE(Settle(dir_ + tree).ok());
    }
  }
  struct stat Info(const std::string& path) {
    struct stat info {};
    EXPECT_EQ(lstat((dir_ + "/" + path).c_str(), &info), 0) << path;
    return info;
  }

  std::string dir_;
};

TEST_F(FilesTest, SharesWhatIsTheSameAndNothingElse) {
  Write("a/pkg/same.py", "same");
  Write("a/pkg/other.py", "one!");
  Write("a/pkg/elsewhere.py", "text");
  Write("a/pkg/empty.py", "");
  Write("b/pkg/elsewhere2.py", "text");
  Write("c/pkg/same.py", "same");
  Write("c/pkg/other.py", "two!");
  Write("c/pkg/elsewhere2.py", "text");
  Write("c/pkg/empty.py", "");
  SettleAll();

  const auto shared = ShareFiles(dir_ + "/c", {dir_ + "/missing", dir_ + "/b", dir_ + "/a"});

  ASSERT_TRUE(shared.ok()) << shared.status().message();
  EXPECT_EQ(*shared, 2);
  EXPECT_EQ(Info("a/pkg/same.py").st_ino, Info("c/pkg/same.py").st_ino);
  EXPECT_EQ(Info("b/pkg/elsewhere2.py").st_ino, Info("c/pkg/elsewhere2.py").st_ino);
  EXPECT_EQ(Info("c/pkg/other.py").st_nlink, 1u);
  EXPECT_EQ(Info("c/pkg/empty.py").st_nlink, 1u);
  EXPECT_EQ(*base::ReadFile(dir_ + "/c/pkg/other.py"), "two!");
}

TEST_F(FilesTest, DoesNotShareWhatSomebodyMadeWritable) {
  Write("a/x.py", "x");
  Write("b/x.py", "x");
  SettleAll();
  ASSERT_EQ(chmod((dir_ + "/a/x.py").c_str(), 0644), 0);

  EXPECT_EQ(*ShareFiles(dir_ + "/b", {dir_ + "/a"}), 0);
}

TEST_F(FilesTest, FollowsNoLinks) {
  Write("a/x", "x");
  Write("secret", "x");
  ASSERT_TRUE(base::MakeDirs(dir_ + "/b").ok());
  ASSERT_EQ(symlink((dir_ + "/secret").c_str(), (dir_ + "/b/x").c_str()), 0);
  const auto before = Info("secret");
  SettleAll();

  EXPECT_EQ(*ShareFiles(dir_ + "/b", {dir_ + "/a"}), 0);
  EXPECT_EQ(Info("secret").st_mode, before.st_mode);
  EXPECT_EQ(Info("secret").st_mtim.tv_sec, before.st_mtim.tv_sec);
}

TEST_F(FilesTest, CountsWhatComesFree) {
  const std::string page(8192, 'x');
  Write("a/shared", page);
  Write("a/own", page);
  Write("b/shared", page);
  SettleAll();
  ASSERT_EQ(*ShareFiles(dir_ + "/b", {dir_ + "/a"}), 1);
  const int64_t directory = Info("a").st_blocks * 512;

  EXPECT_EQ(DiskUsage(dir_ + "/a"), 2 * 8192 + directory);
  EXPECT_EQ(FreedBytes({dir_ + "/a"}), 8192 + directory);
  EXPECT_EQ(FreedBytes({dir_ + "/a", dir_ + "/b"}), 2 * 8192 + 2 * directory);
}

}  // namespace
}  // namespace caudal::pyenv::internal
