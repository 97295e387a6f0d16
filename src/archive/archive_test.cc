#include "archive/archive.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "archive/testing/raw_archive.h"
#include "base/file.h"

namespace caudal::archive {
namespace {

using testing::RawTar;
using testing::RawTarGz;
using testing::RawZip;

class Folder {
 public:
  Folder() {
    char name[] = "/tmp/caudal-archive-XXXXXX";
    path_ = mkdtemp(name);
  }
  ~Folder() { (void)base::RemoveTree(path_); }
  const std::string& path() const { return path_; }
  std::string Read(const std::string& name) const {
    auto text = base::ReadFile(path_ + "/" + name);
    return text.ok() ? *text : text.status().ToString();
  }
  unsigned Mode(const std::string& name) const {
    struct stat info {};
    return stat((path_ + "/" + name).c_str(), &info) == 0 ? info.st_mode & 07777 : 0;
  }

 private:
  std::string path_;
};

std::string Paths(const base::Result<std::vector<Entry>>& entries) {
  if (!entries.ok()) return entries.status().ToString();
  std::string text;
  for (const Entry& entry : *entries) text += (text.empty() ? "" : " ") + entry.path;
  return text;
}

TEST(Sniff, GoesByContent) {
  EXPECT_EQ(Sniff(RawZip({{"a", "x"}})), Format::kZip);
  EXPECT_EQ(Sniff(RawTarGz({{"a", "x"}})), Format::kTarGz);
  EXPECT_EQ(Sniff(RawTar({{"a", "x"}})), Format::kTar);
  EXPECT_EQ(Sniff("pipelineInfo: {}"), Format::kNone);
  EXPECT_EQ(Sniff("PK"), Format::kNone);
  EXPECT_EQ(Sniff(""), Format::kNone);
}

TEST(Read, FindsTheSameInEveryFormat) {
  const std::vector<testing::RawEntry> raw = {
      {"z/", "", '5', "", 0755}, {"z/größe.txt", "one"}, {"./a.sh", "two", '0', "", 0755}};
  for (const std::string& packed : {RawZip(raw), RawTar(raw), RawTarGz(raw)}) {
    const auto entries = Read(packed, {});
    ASSERT_EQ(Paths(entries), "z/größe.txt a.sh");
    EXPECT_EQ((*entries)[0].content, "one");
    EXPECT_FALSE((*entries)[0].is_executable);
    EXPECT_EQ((*entries)[1].content, "two");
    EXPECT_TRUE((*entries)[1].is_executable);
  }
}

TEST(Read, AnEmptyArchiveHasNoEntries) {
  EXPECT_EQ(Paths(Read(RawZip({}), {})), "");
  EXPECT_EQ(Paths(Read(RawTarGz({}), {})), "");
}

// Thousands of small files must not cost thousands of buffers.
TEST(Read, HoldsNoMoreThanTheFiles) {
  const auto entries = Read(RawTar({{"a", "x"}, {"b", ""}}), {});
  ASSERT_EQ(Paths(entries), "a b");
  for (const Entry& entry : *entries) EXPECT_LT(entry.content.capacity(), 100u);
}

TEST(Read, SaysWhatIsNoArchive) {
  EXPECT_EQ(Paths(Read("plain text", {})),
            "INVALID_ARGUMENT: this is neither a zip nor a tar archive");
}

TEST(CanonicalTar, DependsOnFilesOnly) {
  const auto one = CanonicalTar({{"b/c.py", "2", true}, {"a.py", "1", false}});
  const auto other = CanonicalTar({{"a.py", "1", false}, {"./b//c.py", "2", true}});
  ASSERT_TRUE(one.ok() && other.ok());
  EXPECT_EQ(*one, *other);
  EXPECT_NE(*one, *CanonicalTar({{"a.py", "1", true}, {"b/c.py", "2", true}}));
  EXPECT_NE(*one, *CanonicalTar({{"a.py", "1", false}, {"b/c.py", "3", true}}));
}

TEST(CanonicalTar, IsReadBackWhateverTheName) {
  const std::string deep = std::string(90, 'd') + "/" + std::string(200, 'f');
  const std::vector<Entry> entries = {
      {"empty", "", false}, {deep, std::string(513, 'x'), false}, {"größe/ß", "1", true}};
  const auto tar = CanonicalTar(entries);
  ASSERT_TRUE(tar.ok()) << tar.status().ToString();
  const auto back = Read(*tar, {});
  ASSERT_EQ(Paths(back), deep + " empty größe/ß");
  EXPECT_EQ((*back)[0].content, entries[1].content);
  EXPECT_TRUE((*back)[2].is_executable);
}

TEST(CanonicalTar, RefusesWhatCouldNotBeUnpacked) {
  EXPECT_EQ(CanonicalTar({{"a", "", false}, {"./a", "", false}}).status().message(),
            "entry 'a' is given twice");
  EXPECT_EQ(CanonicalTar({{"a/b", "", false}, {"a", "", false}}).status().message(),
            "entry 'a' is both a file and a folder");
  EXPECT_FALSE(CanonicalTar({{"/a", "", false}}).ok());
  EXPECT_FALSE(CanonicalTar({{"../a", "", false}}).ok());
  EXPECT_FALSE(CanonicalTar({{".", "", false}}).ok());
}

TEST(Unpack, WritesFilesWithTheirModes) {
  const Folder folder;
  const auto tar = CanonicalTar({{"pkg/sub/run.sh", "run", true}, {"pkg/a.py", "a", false}});
  const mode_t before = umask(077);
  const auto unpacked = Unpack(*tar, folder.path(), {});
  umask(before);
  ASSERT_TRUE(unpacked.ok()) << unpacked.ToString();
  EXPECT_EQ(folder.Read("pkg/sub/run.sh"), "run");
  EXPECT_EQ(folder.Read("pkg/a.py"), "a");
  EXPECT_EQ(folder.Mode("pkg/sub/run.sh"), 0755u);
  EXPECT_EQ(folder.Mode("pkg/a.py"), 0644u);
  EXPECT_EQ(folder.Mode("pkg/sub"), 0755u);
}

TEST(Unpack, WantsAnEmptyFolder) {
  const Folder folder;
  ASSERT_TRUE(base::WriteFileAtomic(folder.path() + "/old", "old").ok());
  EXPECT_EQ(Unpack(*CanonicalTar({{"a", "", false}}), folder.path(), {}).code(),
            base::Code::kFailedPrecondition);
  EXPECT_EQ(Unpack(*CanonicalTar({}), folder.path() + "/missing", {}).code(),
            base::Code::kNotFound);
}

TEST(Unpack, ANameThatIsFileAndFolderFails) {
  const Folder folder;
  EXPECT_EQ(Unpack(RawTar({{"a", "1"}, {"a/b", "2"}}), folder.path(), {}).message(),
            "entry 'a/b' wants a folder 'a', which is a file in the archive");
  EXPECT_EQ(folder.Read("a"), "1");
  const Folder second;
  EXPECT_EQ(Unpack(RawTar({{"a/b", "1"}, {"a", "2"}}), second.path(), {}).message(),
            "entry 'a' is in the archive twice");
}

}  // namespace
}  // namespace caudal::archive
