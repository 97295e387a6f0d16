#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <set>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/file.h"
#include "base/sha256.h"
#include "base/status.h"
#include "base/uuid.h"

namespace caudal::base {
namespace {

std::string FreshDir() {
  char name[] = "/tmp/caudal_base_XXXXXX";
  return mkdtemp(name);
}

TEST(Status, ContextGoesInFront) {
  Status status = NotFound("file 'a'").With("staging input 'model'");
  EXPECT_EQ(status.message(), "staging input 'model': file 'a'");
  EXPECT_EQ(status.code(), Code::kNotFound);
}

TEST(Status, FaultsBecomeOneLineEach) {
  Status status = FaultsToStatus({{"root.dag", "has no task"}, {"", "file is empty"}});
  EXPECT_EQ(status.message(), "root.dag: has no task\nfile is empty");
  EXPECT_TRUE(FaultsToStatus({}).ok());
}

TEST(Uuid, NameBasedIdsMatchTheRfcVector) {
  // RFC 9562 appendix A.4: version 5 of "www.example.com" in the DNS namespace.
  EXPECT_EQ(Uuid5("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "www.example.com"),
            "2ed6657d-e927-568b-95e1-2665a8aea6a2");
}

TEST(Uuid, TimeOrderedIdsSortByTime) {
  EXPECT_LT(NewUuid7(TimeFromMicros(1'000'000)), NewUuid7(TimeFromMicros(2'000'000)));
  EXPECT_EQ(NewUuid4()[14], '4');
}

TEST(Sha256, KnownAnswer) {
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(File, AtomicWriteReplacesAndLeavesNoDraft) {
  const std::string dir = FreshDir();
  ASSERT_TRUE(WriteFileAtomic(dir + "/a", "one").ok());
  ASSERT_TRUE(WriteFileAtomic(dir + "/a", "two").ok());
  EXPECT_EQ(*ReadFile(dir + "/a"), "two");
  EXPECT_EQ(*ListDir(dir), std::vector<std::string>{"a"});
  ASSERT_TRUE(RemoveTree(dir).ok());
  EXPECT_FALSE(PathExists(dir));
}

TEST(File, ReadNamesTheMissingPath) {
  EXPECT_EQ(ReadFile("/nonexistent/x").status().code(), Code::kNotFound);
  EXPECT_NE(ReadFile("/nonexistent/x").status().message().find("/nonexistent/x"),
            std::string::npos);
}

TEST(File, ReadRefusesMoreThanItsLimit) {
  const std::string dir = FreshDir();
  ASSERT_TRUE(WriteFileAtomic(dir + "/a", "12345").ok());
  EXPECT_EQ(ReadFile(dir + "/a", 4).status().code(), Code::kResourceExhausted);
  ASSERT_TRUE(RemoveTree(dir).ok());
}

TEST(File, RemovesTreesWithClosedDirectories) {
  const std::string dir = FreshDir();
  ASSERT_TRUE(MakeDirs(dir + "/a/b").ok());
  ASSERT_TRUE(WriteFileAtomic(dir + "/a/b/c", "x").ok());
  chmod((dir + "/a/b").c_str(), 0500);
  EXPECT_TRUE(RemoveTree(dir).ok());
  EXPECT_FALSE(PathExists(dir));
}

TEST(File, RemovesTreesOfAnyDepthAndNoLinksTarget) {
  const std::string dir = FreshDir();
  const std::string kept = FreshDir();
  ASSERT_TRUE(WriteFileAtomic(kept + "/a", "x").ok());
  ASSERT_EQ(symlink(kept.c_str(), (dir + "/link").c_str()), 0);
  UniqueFd at(open(dir.c_str(), O_RDONLY | O_DIRECTORY));
  for (int depth = 0; depth < 5000; ++depth) {
    ASSERT_EQ(mkdirat(at.get(), "d", 0700), 0);
    at = UniqueFd(openat(at.get(), "d", O_RDONLY | O_DIRECTORY));
  }
  const Status removed = RemoveTree(dir);
  EXPECT_TRUE(removed.ok()) << removed.ToString();
  EXPECT_FALSE(PathExists(dir));
  EXPECT_TRUE(PathExists(kept + "/a"));
  EXPECT_TRUE(RemoveTree(kept).ok());
  EXPECT_TRUE(RemoveTree(kept).ok());
}

TEST(File, TwoMayRemoveTheSameTree) {
  const std::string dir = FreshDir();
  for (int round = 0; round < 20; ++round) {
    const std::string tree = dir + "/tree";
    for (int number = 0; number < 10; ++number) {
      ASSERT_TRUE(MakeDirs(tree + "/" + std::to_string(number) + "/a/b/c").ok());
    }
    Status other;
    std::thread thread([&] { other = RemoveTree(tree); });
    const Status ours = RemoveTree(tree);
    thread.join();
    EXPECT_TRUE(ours.ok()) << ours.ToString();
    EXPECT_TRUE(other.ok()) << other.ToString();
    EXPECT_FALSE(PathExists(tree));
  }
  EXPECT_TRUE(RemoveTree(dir).ok());
}

TEST(Clock, FormatsWholeSecondsUtc) {
  EXPECT_EQ(FormatRfc3339(TimeFromMicros(1'767'322'800'999'999)), "2026-01-02T03:00:00Z");
}

}  // namespace
}  // namespace caudal::base
