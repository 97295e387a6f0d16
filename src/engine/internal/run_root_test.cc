#include "engine/internal/run_root.h"

#include <gtest/gtest.h>

namespace caudal::engine {
namespace {

v1::RunInfo Info(const std::string& root, const std::string& run_id = "R") {
  v1::RunInfo info;
  info.set_pipeline_root(root);
  info.set_pipeline_name("my-pipe");
  info.set_run_id(run_id);
  return info;
}

// row: E210
TEST(RunRoot, IsRootPipelineAndRun) {
  EXPECT_EQ(RunRoot(Info("s3://b/p")), "s3://b/p/my-pipe/R");
  EXPECT_EQ(RunRoot(Info("s3://b/p//")), "s3://b/p/my-pipe/R");
  EXPECT_EQ(RunRoot(Info("s3://b/p/?region=x")), "s3://b/p/my-pipe/R");
}

// row: E210
TEST(RunRoot, TasksHaveAFolderEach) {
  EXPECT_EQ(TaskRoot(Info("s3://b"), "train", "U"), "s3://b/my-pipe/R/train/U");
}

TEST(RunRoot, NamesOfClientsLeaveNoFolder) {
  const std::string root = RunRoot(Info("s3://b", "../../etc"));
  EXPECT_EQ(root.find(".."), root.npos) << root;
  EXPECT_EQ(root, RunRoot(Info("s3://b", "../../etc")));
  EXPECT_NE(root, RunRoot(Info("s3://b", "../../var")));
  EXPECT_EQ(TaskRoot(Info("s3://b"), "a/b", "U").find("a/b"), std::string::npos);
}

}  // namespace
}  // namespace caudal::engine
