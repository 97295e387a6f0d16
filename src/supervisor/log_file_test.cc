#include "supervisor/internal/log_file.h"

#include <endian.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

namespace caudal::supervisor::internal {
namespace {

class Log : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/caudal_log_XXXXXX";
    dir_ = mkdtemp(name);
    path_ = dir_ + "/ab/7.log";
  }
  void TearDown() override { EXPECT_TRUE(base::RemoveTree(dir_).ok()); }

  std::vector<std::pair<uint64_t, uint64_t>> Index() {
    const std::string bytes = *base::ReadFile(path_ + ".idx");
    std::vector<std::pair<uint64_t, uint64_t>> entries;
    for (size_t at = 0; at + 16 <= bytes.size(); at += 16) {
      uint64_t words[2];
      std::memcpy(words, bytes.data() + at, 16);
      entries.emplace_back(le64toh(words[0]), le64toh(words[1]));
    }
    return entries;
  }

  std::string dir_, path_;
};

TEST_F(Log, AppendsAndMakesParents) {
  auto log = LogFile::Open(path_, 0);
  ASSERT_TRUE(log.ok()) << log.status().ToString();
  log->Append("one\n", 1);
  auto again = LogFile::Open(path_, 0);
  again->Append("two\n", 2);
  EXPECT_EQ(*base::ReadFile(path_), "one\ntwo\n");
  struct stat info {};
  ASSERT_EQ(stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(Log, IndexHasOneEntryPerTenthOfASecond) {
  auto log = LogFile::Open(path_, 0);
  log->Append("aaaa", 1'000'000);
  log->Append("bbbb", 1'099'999);
  log->Append("cccc", 1'100'000);
  const std::vector<std::pair<uint64_t, uint64_t>> want = {{0, 1'000'000}, {8, 1'100'000}};
  EXPECT_EQ(Index(), want);
}

TEST_F(Log, KeepsWhatTheLimitAllows) {
  auto log = LogFile::Open(path_, 6);
  log->Append("1234", 1);
  EXPECT_FALSE(log->over_limit());
  log->Append("5678", 2);
  EXPECT_TRUE(log->over_limit());
  log->Append("9", 3);
  EXPECT_EQ(*base::ReadFile(path_), "123456");
}

TEST_F(Log, FullDiskLosesOutputOnly) {
  ASSERT_TRUE(base::MakeDirs(dir_ + "/ab").ok());
  ASSERT_EQ(symlink("/dev/full", path_.c_str()), 0);
  auto log = LogFile::Open(path_, 0);
  ASSERT_TRUE(log.ok()) << log.status().ToString();
  log->Append("lost", 1);
  log->Append("lost, too", 2);
  EXPECT_FALSE(log->over_limit());
  EXPECT_TRUE(Index().empty());
}

}  // namespace
}  // namespace caudal::supervisor::internal
