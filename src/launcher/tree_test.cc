#include "launcher/internal/tree.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "launcher/step_fixture_test.h"

namespace caudal::launcher {
namespace {

using Outcome = v1::AttemptOutcome;

/// What a step may leave at the place of its one output, "model".
class TreeTest : public StepTest {
 protected:
  void SetUp() override {
    StepTest::SetUp();
    Declare(R"({"artifacts": {"model": {}}})");
    StageStep(true);
    ASSERT_TRUE(base::MakeDirs(Output("model")).ok());
  }

  void Link(const std::string& target, const std::string& path) {
    ASSERT_EQ(symlink(target.c_str(), Output(path).c_str()), 0);
  }

  void ExpectRefused(const std::string& part) {
    const Outcome outcome = CollectStep();
    EXPECT_EQ(outcome.result(), Outcome::FAILED);
    EXPECT_EQ(outcome.error_code(), "OUTPUT");
    EXPECT_TRUE(Has(outcome.error(), "output 'model'")) << outcome.error();
    EXPECT_TRUE(Has(outcome.error(), part)) << outcome.error();
    EXPECT_FALSE(base::PathExists(layout_.BlobDir(258)));
  }

  void ExpectPublished() {
    const Outcome outcome = CollectStep();
    EXPECT_EQ(outcome.result(), Outcome::SUCCEEDED) << outcome.error();
  }

  bool IsPlainFile(const std::string& path) {
    struct stat info {};
    return lstat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
  }
};

TEST_F(TreeTest, LinksThatLeadOutsideAreRefused) {
  Write(layout_.data_dir + "/secret", "s");
  for (const std::string& target :
       {std::string("/etc/passwd"), layout_.data_dir + "/secret", std::string("../../../../secret"),
        std::string("/proc/self/environ"), std::string("../../tmp")}) {
    SCOPED_TRACE(target);
    Link(target, "model/link");
    ExpectRefused("'link' is a symbolic link that leads out of the output");
    ASSERT_TRUE(base::RemoveTree(Output("model/link")).ok());
  }
}

TEST_F(TreeTest, OutputThatIsALinkItselfIsRefused) {
  ASSERT_TRUE(base::RemoveTree(Output("model")).ok());
  Link("/etc", "model");
  ExpectRefused("leads out of the output");
}

TEST_F(TreeTest, LinkThroughALinkedDirectoryIsRefused) {
  Link("/etc", "out");
  Link("../out/passwd", "model/link");
  ExpectRefused("'link' is a symbolic link that leads out");
}

TEST_F(TreeTest, LinksInsideBecomeCopies) {
  Write(Output("model/blobs/1"), "one");
  Link("blobs/1", "model/first");
  Write(Output("beside"), "two");
  Link("../beside", "model/second");
  Link("/minio/mlpipeline/" + std::string(kTaskKey) + "/beside", "model/third");
  Link("blobs", "model/dir");

  ExpectPublished();

  EXPECT_TRUE(IsPlainFile(Blob("model/first")));
  EXPECT_EQ(Read(Blob("model/first")), "one");
  EXPECT_EQ(Read(Blob("model/second")), "two");
  EXPECT_EQ(Read(Blob("model/third")), "two");
  EXPECT_EQ(Read(Blob("model/dir/1")), "one");
}

TEST_F(TreeTest, LinksInACircleAreRefused) {
  Link("..", "model/up");
  ExpectRefused("");
  ASSERT_TRUE(base::RemoveTree(Output("model/up")).ok());
  Link(".", "model/self");
  ExpectRefused("a directory it lies in");
  ASSERT_TRUE(base::RemoveTree(Output("model/self")).ok());
  Link("b", "model/a");
  Link("a", "model/b");
  ExpectRefused("in a circle");
}

TEST_F(TreeTest, DanglingLinkIsRefused) {
  Link("nowhere", "model/x");
  ExpectRefused("'x' is a symbolic link to nothing");
}

TEST_F(TreeTest, PipesAndSocketsAreRefused) {
  ASSERT_EQ(mkfifo(Output("model/pipe").c_str(), 0600), 0);
  ExpectRefused("'pipe' is a pipe, socket or device");
  ASSERT_TRUE(base::RemoveTree(Output("model")).ok());
  ASSERT_EQ(mkfifo(Output("model").c_str(), 0600), 0);
  ExpectRefused("is a pipe, socket or device");
}

TEST_F(TreeTest, SecondNameOfAFileIsCopied) {
  Write(Work("tmp/original"), "x");
  ASSERT_EQ(link(Work("tmp/original").c_str(), Output("model/name").c_str()), 0);

  ExpectPublished();

  std::ofstream(Work("tmp/original")) << "changed";
  EXPECT_EQ(Read(Blob("model/name")), "x");
}

TEST_F(TreeTest, TooDeepIsRefused) {
  std::string path = Output("model");
  for (int i = 0; i < internal::kMaxDepth + 1; ++i) path += "/d";
  ASSERT_TRUE(base::MakeDirs(path).ok());
  ExpectRefused("is deeper than 100 directories");
}

TEST_F(TreeTest, NameThatIsNotUtf8IsRefused) {
  Write(Output("model/a\xff"), "x");
  ExpectRefused("is not UTF-8");
}

TEST_F(TreeTest, ManyFilesArePublished) {
  for (int i = 0; i < 400; ++i) Write(Output("model/" + std::to_string(i)), std::to_string(i));

  const Outcome outcome = CollectStep();

  EXPECT_EQ(outcome.objects_size(), 400);
  EXPECT_EQ(Read(Blob("model/399")), "399");
}

}  // namespace
}  // namespace caudal::launcher
