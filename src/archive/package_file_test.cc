#include "archive/package_file.h"

#include <gtest/gtest.h>

#include "archive/testing/raw_archive.h"

namespace caudal::archive {
namespace {

using testing::RawTar;
using testing::RawTarGz;
using testing::RawZip;

std::string Text(std::string_view name, std::string_view content) {
  const auto text = PackageText(name, content);
  return text.ok() ? *text : text.status().message();
}

TEST(PackageText, TheNameDecidesFirst) {
  EXPECT_EQ(Text("p.yaml", "PK looks like a zip"), "PK looks like a zip");
  EXPECT_EQ(Text("p.yml", "a"), "a");
  EXPECT_EQ(Text("p.json", "{}"), "{}");
  EXPECT_EQ(Text("p.YAML", "a"),
            "file 'p.YAML' is no pipeline package: it wants a name that ends in .yaml, .yml or "
            ".json, or a zip or tar.gz archive");
  EXPECT_NE(Text("p.tar", RawTar({{"pipeline.yaml", "a"}})).find("no pipeline package"),
            std::string::npos);
}

TEST(PackageText, PrefersPipelineYaml) {
  const std::vector<testing::RawEntry> raw = {
      {"README.md", "no"}, {"sub/pipeline.yaml", "no"}, {"pipeline.yaml", "yes"}};
  EXPECT_EQ(Text("p.zip", RawZip(raw)), "yes");
  EXPECT_EQ(Text("p.tar.gz", RawTarGz(raw)), "yes");
  EXPECT_EQ(Text("whatever", RawTarGz(raw)), "yes");
}

TEST(PackageText, TakesTheFirstFileElse) {
  EXPECT_EQ(Text("p.zip", RawZip({{"b.yml", "first"}, {"a.yaml", "second"}})), "first");
  EXPECT_EQ(Text("p.tgz", RawTarGz({{"./", "", '5'}, {"./b.yaml", "first"}})), "first");
  EXPECT_EQ(Text("p.zip", RawZip({{"a.txt", "no"}, {"b.yaml", "no"}})),
            "file 'p.zip': the archive has no pipeline.yaml, and its first entry 'a.txt' does not "
            "end in .yaml or .yml");
}

TEST(PackageText, SaysWhatIsWrongWithAnArchive) {
  EXPECT_EQ(Text("p.zip", RawZip({})),
            "file 'p.zip': the archive has no files; it wants a pipeline.yaml");
  EXPECT_EQ(Text("p.zip", "PK\x03\x04 not really").rfind("file 'p.zip': ", 0), 0u);
  EXPECT_EQ(Text("p.zip", RawZip({{"pipeline.yaml", "/etc/passwd", '2'}})),
            "file 'p.zip': entry 'pipeline.yaml' is a symbolic link to '/etc/passwd'; only files "
            "and folders are accepted");
}

TEST(PackageText, IsBounded) {
  EXPECT_EQ(Text("p.yaml", std::string(kMaxPackageBytes + 1, ' ')),
            "file 'p.yaml' has 33554433 bytes; a package may have at most 33554432");
}

}  // namespace
}  // namespace caudal::archive
