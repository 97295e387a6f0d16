#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "server/internal/data_dir.h"

namespace caudal::server {
namespace {

std::string FreshDir() {
  char name[] = "/tmp/caudal_data_dir_XXXXXX";
  return mkdtemp(name);
}

TEST(DataDir, SecondOwnerIsRefusedWithTheFirstOnesPid) {
  const std::string dir = FreshDir();
  auto first = DataDir::Claim(dir);
  ASSERT_TRUE(first.ok()) << first.status().ToString();
  ASSERT_TRUE(first->Announce("127.0.0.1:1").ok());

  const auto second = DataDir::Claim(dir);

  ASSERT_EQ(second.status().code(), base::Code::kUnavailable);
  EXPECT_NE(second.status().message().find("pid " + std::to_string(getpid())), std::string::npos)
      << second.status().message();
  ASSERT_TRUE(base::RemoveTree(dir).ok());
}

TEST(DataDir, IsFreeAgainAfterItsOwner) {
  const std::string dir = FreshDir();
  { ASSERT_TRUE(DataDir::Claim(dir).ok()); }
  EXPECT_TRUE(DataDir::Claim(dir).ok());
  ASSERT_TRUE(base::RemoveTree(dir).ok());
}

TEST(DataDir, ALockThatOutlivesItsOwnerIsWaitedFor) {
  const std::string dir = FreshDir();
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  pid_t heir = -1;
  {
    auto owner = DataDir::Claim(dir);
    ASSERT_TRUE(owner.ok()) << owner.status().ToString();
    heir = fork();
    if (heir == 0) {  // has the lock too, until the pipe is closed
      close(ends[1]);
      char ignored;
      _exit(static_cast<int>(read(ends[0], &ignored, 1)));
    }
    const pid_t gone = fork();
    if (gone == 0) _exit(0);
    ASSERT_EQ(waitpid(gone, nullptr, 0), gone);
    ASSERT_TRUE(base::WriteFileAtomic(dir + "/new", "{\"pid\":" + std::to_string(gone) + "}").ok());
    ASSERT_EQ(system(("cat " + dir + "/new > " + dir + "/lock").c_str()), 0);  // the file stays
  }
  int waits = 0;

  const auto next = DataDir::Claim(dir, [&] {
    ++waits;
    close(ends[1]);
    return waitpid(heir, nullptr, 0) == heir;
  });

  EXPECT_TRUE(next.ok()) << next.status().ToString();
  EXPECT_EQ(waits, 1);
  close(ends[0]);
  ASSERT_TRUE(base::RemoveTree(dir).ok());
}

TEST(SweepFiles, RemovesOnlyWhatNobodyKnows) {
  const std::string dir = FreshDir();
  for (const char* path : {"/objects/07/7/model", "/objects/08/8/model"}) {
    ASSERT_TRUE(base::MakeDirs(dir + path).ok());
  }
  ASSERT_TRUE(base::MakeDirs(dir + "/logs/07").ok());
  ASSERT_TRUE(base::WriteFileAtomic(dir + "/logs/07/7.log", "x").ok());
  ASSERT_TRUE(base::WriteFileAtomic(dir + "/logs/07/9.log", "x").ok());

  const auto is_known = [](int64_t key) -> base::Result<bool> { return key == 7; };
  SweepFiles(dir, true, is_known);
  EXPECT_TRUE(base::PathExists(dir + "/objects/08/8")) << "a stopping server went on";
  SweepFiles(dir, false, is_known);

  EXPECT_TRUE(base::PathExists(dir + "/objects/07/7/model"));
  EXPECT_TRUE(base::PathExists(dir + "/logs/07/7.log"));
  EXPECT_FALSE(base::PathExists(dir + "/objects/08/8"));
  EXPECT_FALSE(base::PathExists(dir + "/logs/07/9.log"));
  ASSERT_TRUE(base::RemoveTree(dir).ok());
}

}  // namespace
}  // namespace caudal::server
