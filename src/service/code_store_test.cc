#include "service/internal/code_store.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <utime.h>

#include <filesystem>

#include "archive/archive.h"
#include "base/file.h"
#include "base/sha256.h"

namespace caudal::service {
namespace {

namespace fs = std::filesystem;

class CodeStoreTest : public testing::Test {
 protected:
  CodeStoreTest() : root_(MakeRoot()), store_(root_ + "/code") {}
  ~CodeStoreTest() override { EXPECT_TRUE(base::RemoveTree(root_).ok()); }

  static std::string MakeRoot() {
    std::string name = (fs::temp_directory_path() / "caudal-XXXXXX").string();
    return mkdtemp(name.data());
  }

  std::string Add(const std::string& text) {
    const std::string tar = *archive::CanonicalTar({{"pkg/deep/x.py", text, false}});
    const std::string sha256 = base::Sha256Hex(tar);
    const base::Status added = store_.Add(sha256, tar);
    EXPECT_TRUE(added.ok()) << added.message();
    return sha256;
  }

  void MakeOld(const std::string& name) {
    const utimbuf old{1, 1};
    ASSERT_EQ(utime((root_ + "/code/" + name).c_str(), &old), 0);
  }

  std::vector<std::string> Names() { return *base::ListDir(root_ + "/code"); }

  const std::string root_;
  CodeStore store_;
  const std::atomic<bool> is_stopping_ = false;
};

// A run that is being submitted has asked, and is in no table yet.
TEST_F(CodeStoreTest, SweepingKeepsWhatIsAskedForMeanwhile) {
  const std::string sha256 = Add("x = 1");
  MakeOld(sha256);
  store_.Sweep(is_stopping_, [&](const std::string& name) -> base::Result<bool> {
    EXPECT_TRUE(store_.Has(name));
    return false;
  });
  EXPECT_TRUE(store_.Has(sha256));
}

TEST_F(CodeStoreTest, SweepingRemovesWhatACrashLeft) {
  const std::string sha256 = Add("x = 1");
  ASSERT_TRUE(base::MakeDirs(root_ + "/code/.unfinished-old/pkg").ok());
  ASSERT_TRUE(base::MakeDirs(root_ + "/code/.unfinished-new/pkg").ok());
  MakeOld(".unfinished-old");
  store_.Sweep(is_stopping_, [&](const std::string&) -> base::Result<bool> { return true; });
  EXPECT_EQ(Names(), (std::vector<std::string>{".unfinished-new", sha256}));
}

TEST_F(CodeStoreTest, SweepingKeepsWhatItCannotAskAbout) {
  const std::string sha256 = Add("x = 1");
  MakeOld(sha256);
  store_.Sweep(is_stopping_, [](const std::string&) -> base::Result<bool> {
    return base::Unavailable("no database");
  });
  EXPECT_TRUE(store_.Has(sha256));
}

TEST_F(CodeStoreTest, ABrokenArchiveLeavesNothing) {
  const std::string tar =
      archive::CanonicalTar({{"x.py", std::string(5000, 'x'), false}})->substr(0, 2000);
  EXPECT_EQ(store_.Add(base::Sha256Hex(tar), tar).code(), base::Code::kInvalidArgument);
  EXPECT_TRUE(Names().empty());
}

}  // namespace
}  // namespace caudal::service
