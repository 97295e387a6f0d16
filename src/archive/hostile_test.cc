#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <random>

#include "archive/archive.h"
#include "archive/testing/raw_archive.h"
#include "base/file.h"

namespace caudal::archive {
namespace {

using testing::Gzip;
using testing::RawEntry;
using testing::RawTar;
using testing::RawTarGz;
using testing::RawZip;

std::string Refusal(const std::string& archive, const Limits& limits = {}) {
  const auto entries = Read(archive, limits);
  if (entries.ok()) return "accepted";
  EXPECT_EQ(entries.status().code(), base::Code::kInvalidArgument);
  return entries.status().message();
}

TEST(Hostile, PathsThatLeaveTheRoot) {
  for (const std::string& archive :
       {RawTar({{"/etc/passwd", "x"}}), RawZip({{"/etc/passwd", "x"}})}) {
    EXPECT_EQ(Refusal(archive),
              "entry '/etc/passwd' has an absolute path; pack it with a relative one");
  }
  for (const char* name : {"../a", "a/../../b", "a/..", "./..", "a/../b"}) {
    EXPECT_NE(Refusal(RawTar({{name, "x"}})).find("leaves the archive's root"), std::string::npos)
        << name;
    EXPECT_NE(Refusal(RawZip({{name, "x"}})).find("leaves the archive's root"), std::string::npos)
        << name;
  }
}

TEST(Hostile, KindsOfEntries) {
  EXPECT_EQ(Refusal(RawTar({{"l", "", '2', "/etc"}})),
            "entry 'l' is a symbolic link to '/etc'; only files and folders are accepted");
  EXPECT_EQ(Refusal(RawZip({{"l", "/etc", '2'}})),
            "entry 'l' is a symbolic link to '/etc'; only files and folders are accepted");
  EXPECT_EQ(Refusal(RawTar({{"f", "x"}, {"h", "", '1', "f"}})),
            "entry 'h' is a hard link to 'f'; only files and folders are accepted");
  EXPECT_NE(Refusal(RawTar({{"d", "", '3'}})).find("is a device"), std::string::npos);
  EXPECT_NE(Refusal(RawTar({{"d", "", '4'}})).find("is a device"), std::string::npos);
  EXPECT_NE(Refusal(RawTar({{"p", "", '6'}})).find("is a pipe"), std::string::npos);
}

TEST(Hostile, Names) {
  EXPECT_NE(Refusal(RawTar({{"a\nb", "x"}})).find("control character"), std::string::npos);
  EXPECT_NE(Refusal(RawTar({{"a\xff", "x"}})).find("UTF-8"), std::string::npos);
  EXPECT_NE(Refusal(RawZip({{std::string(300, 'n'), "x"}})).find("more than 255 bytes"),
            std::string::npos);
}

TEST(Hostile, BombsByRatio) {
  const std::string zeros(4 << 20, '\0');
  for (const std::string& archive : {RawTarGz({{"z", zeros}}), RawZip({{"z", zeros}})}) {
    EXPECT_EQ(Refusal(archive),
              "the archive unpacks to more than 200 times its size, the most that is read; entry "
              "'z' is over");
  }
  // What is small may compress as well as it likes.
  EXPECT_EQ(Refusal(RawTarGz({{"z", std::string(1 << 20, '\0')}})), "accepted");
}

TEST(Hostile, BombsBySize) {
  Limits limits;
  limits.total_bytes = 1000;
  EXPECT_EQ(Refusal(RawTar({{"a", std::string(600, 'a')}, {"b", std::string(400, 'b')}}), limits),
            "accepted");
  EXPECT_EQ(Refusal(RawTar({{"a", std::string(600, 'a')}, {"b", std::string(401, 'b')}}), limits),
            "the archive unpacks to more than 1000 bytes, the most that are read; entry 'b' is "
            "over");
}

// The directory of a zip may say less than what is inflated.
TEST(Hostile, AZipThatLiesAboutItsSize) {
  std::string zip = RawZip({{"z", std::string(8 << 20, '\0')}});
  const std::string size = testing::LittleEndian(8 << 20, 4);
  for (size_t at = zip.find(size); at != std::string::npos; at = zip.find(size, at)) {
    zip.replace(at, 4, testing::LittleEndian(10, 4));
  }
  Limits limits;
  limits.total_bytes = 1 << 20;
  EXPECT_NE(Refusal(zip, limits), "accepted");
}

TEST(Hostile, TooManyEntries) {
  const std::vector<RawEntry> entries(11, {"a/", "", '5', ""});
  Limits limits;
  limits.max_entries = 10;
  EXPECT_EQ(Refusal(RawTar(entries), limits),
            "the archive has more than 10 entries, the most that are read");
  EXPECT_EQ(Refusal(RawZip(entries), limits),
            "the archive has more than 10 entries, the most that are read");
}

// What is inflated between the entries counts as well: it is work, though nothing of it comes out.
TEST(Hostile, BombsInHeaders) {
  const RawEntry header = {"pax", "999999 comment=" + std::string(999'983, 'c') + "\n", 'x'};
  Limits limits;
  limits.total_bytes = 1 << 20;
  limits.max_entries = 100;
  EXPECT_EQ(Refusal(RawTarGz({header, {"a", "x"}}), limits), "accepted");
  EXPECT_EQ(Refusal(RawTarGz({header, {"a", "x"}, header, {"b", "x"}, header, {"c", "x"}}), limits),
            "the headers of the archive are larger than anything that would be read");
}

TEST(Hostile, TooDeep) {
  Limits limits;
  limits.max_depth = 2;
  EXPECT_EQ(Refusal(RawTar({{"a/b/c", "x"}}), limits), "accepted");
  EXPECT_EQ(Refusal(RawTar({{"a/b/c/d", "x"}}), limits),
            "entry 'a/b/c/d' lies more than 2 folders deep");
}

// Cut short it is refused, unless nothing but padding and checksums was cut.
TEST(Hostile, TruncatedAnywhere) {
  const std::vector<RawEntry> raw = {{"a", std::string(3000, 'a')}, {"b/c", "hello"}};
  for (const std::string& whole : {RawTarGz(raw), RawZip(raw)}) {
    for (size_t size = 3; size + 1 < whole.size(); size += 7) {
      const auto entries = Read(whole.substr(0, size), {});
      if (!entries.ok()) continue;
      EXPECT_EQ(Sniff(whole), Format::kTarGz);
      EXPECT_GT(size + 9, whole.size());
      EXPECT_EQ(entries->size(), 2u);
    }
  }
  EXPECT_NE(Refusal(RawTar(raw).substr(0, 2000)), "accepted");
}

// Whatever is done to an archive's bytes: it is read or refused, and what comes out keeps the
// limits and stays below its folder.
TEST(Hostile, DamagedArchivesKeepTheRules) {
  const std::vector<RawEntry> raw = {{"a", std::string(600, 'a')},
                                     {"b/", "", '5', ""},
                                     {"b/c", "hello"},
                                     {"e/f/g", "x", '0', "", 0755}};
  Limits limits;
  limits.total_bytes = 4096;
  std::mt19937 random(7);
  char outside[] = "/tmp/caudal-archive-XXXXXX";
  ASSERT_NE(mkdtemp(outside), nullptr);
  for (int round = 0; round < 150; ++round) {
    std::string bytes = RawTar(raw);
    if (round % 3 == 1) bytes = RawZip(raw);
    for (auto hits = 1 + random() % 6; hits > 0; --hits) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    if (round % 3 == 2) bytes = Gzip(bytes);
    const std::string root = std::string(outside) + "/root";
    ASSERT_TRUE(base::MakeDirs(root).ok());
    const auto entries = Read(bytes, limits);
    if (entries.ok()) {
      size_t total = 0;
      for (const Entry& entry : *entries) {
        total += entry.content.size();
        EXPECT_FALSE(entry.path.empty());
        EXPECT_NE(entry.path[0], '/');
        EXPECT_EQ(("/" + entry.path + "/").find("/../"), std::string::npos);
      }
      EXPECT_LE(total, 4096u);
    }
    const auto unpacked = Unpack(bytes, root, limits);
    EXPECT_TRUE(entries.ok() || !unpacked.ok());
    EXPECT_EQ(base::ListDir(outside)->size(), 1u) << "round " << round;
    ASSERT_TRUE(base::RemoveTree(root).ok());
  }
  ASSERT_TRUE(base::RemoveTree(outside).ok());
}

TEST(Hostile, UnpackFollowsNoLink) {
  char name[] = "/tmp/caudal-archive-XXXXXX";
  const std::string outside = mkdtemp(name);
  ASSERT_TRUE(base::MakeDirs(outside + "/real").ok());
  ASSERT_EQ(symlink("real", (outside + "/link").c_str()), 0);
  EXPECT_FALSE(Unpack(RawTar({{"a", "x"}}), outside + "/link", {}).ok());
  const auto refused =
      Unpack(RawTar({{"l", "", '2', "/tmp"}, {"l/evil", "x"}}), outside + "/real", {});
  EXPECT_EQ(refused.code(), base::Code::kInvalidArgument);
  EXPECT_TRUE(base::ListDir(outside + "/real")->empty());
  ASSERT_TRUE(base::RemoveTree(outside).ok());
}

}  // namespace
}  // namespace caudal::archive
