#include "model/task.h"

#include <gtest/gtest.h>

namespace caudal::model {
namespace {

TEST(TaskId, IsStableAndDependsOnRunAndPath) {
  const std::string run = "3f0e3c1e-1d1f-4a53-8a0f-0d9b7b8d6a11";
  EXPECT_EQ(TaskId(run, "a/b"), TaskId(run, "a/b"));
  EXPECT_NE(TaskId(run, "a/b"), TaskId(run, "a"));
  EXPECT_NE(TaskId("nightly", "a"), TaskId("nightly-2", "a"));
  EXPECT_EQ(TaskId("any text at all", "a").size(), 36u);
}

TEST(TaskState, FinalStatesAreExactlyThoseThatEndATask) {
  for (int state = v1::TaskState_MIN; state <= v1::TaskState_MAX; ++state) {
    EXPECT_EQ(IsFinal(static_cast<v1::TaskState>(state)), state >= v1::SUCCEEDED) << state;
  }
}

}  // namespace
}  // namespace caudal::model
