#include "cli/internal/tree.h"

#include <gtest/gtest.h>

namespace caudal::cli {
namespace {

constexpr int64_t kNow = 10'000'000;

ReportTask* Add(const std::string& path, const std::string& state, v1::RunReport* report,
                const std::string& kind = "container") {
  ReportTask* task = report->add_tasks();
  task->set_path(path);
  task->set_task_id("id of " + path);
  task->set_state(state);
  task->set_kind(kind);
  if (state == "RUNNING") task->set_attempts(1);
  return task;
}

std::vector<std::string> Lines(const v1::RunReport& report, const Style& style,
                               const TreeExtras& extras = {}) {
  return TreeLines(report, extras, kNow, style);
}

TEST(Tree, IsCutToTheTerminal) {
  v1::RunReport report;
  Add("train", "PENDING", &report)->set_reason("waiting for a very long reason");
  EXPECT_EQ(Lines(report, {false, 20, 0})[1], "○ train  waiting f…");
}

TEST(Tree, ShowsWhatARunningStepSaid) {
  v1::RunReport report;
  Add("train", "RUNNING", &report)->set_started_at(6'600'000);
  TreeExtras extras;
  extras.last_lines["id of train"] = "epoch 7/20 loss 0.12";
  EXPECT_EQ(Lines(report, {}, extras)[1], "◐ train  3.4 s  epoch 7/20 loss 0.12");
  EXPECT_EQ(Lines(report, {false, 25, 0}, extras)[1], "◐ train  3.4 s  epoch 7…");
  report.mutable_tasks(0)->set_state("SUCCEEDED");
  report.mutable_tasks(0)->set_ended_at(kNow);
  EXPECT_EQ(Lines(report, {}, extras)[1], "✓ train  3.4 s");
}

TEST(Tree, ColoursGlyphsAndDimsWhatIsNotYet) {
  v1::RunReport report;
  report.set_display_name("fit");
  Add("train", "SUCCEEDED", &report);
  Add("judge", "PENDING", &report)->set_reason("waiting for train");
  const auto lines = Lines(report, {true, 0, 0});
  EXPECT_EQ(lines[1], "\033[32m✓\033[0m train");
  EXPECT_EQ(lines[2], "○ \033[2mjudge  \033[0m\033[2mwaiting for train\033[0m");
}

TEST(Tree, SaysHowFarItIs) {
  v1::RunReport report;
  Add("prepare", "SUCCEEDED", &report, "dag");
  Add("prepare/load", "SUCCEEDED", &report);
  Add("train", "RUNNING", &report);
  TreeExtras extras;
  extras.left_micros = 6'000'000;
  EXPECT_EQ(Lines(report, {}, extras).back(), "1/2 · about 6 s left");
  extras.note = "canceling";
  EXPECT_EQ(Lines(report, {}, extras).back(), "canceling");
  report.set_is_final(true);
  EXPECT_EQ(Lines(report, {}).back(), "◐ train");
}

v1::RunReport Deep() {
  v1::RunReport report;
  report.set_display_name("deep");
  Add("prepare", "SUCCEEDED", &report, "dag");
  for (const char* name : {"load", "clean", "split"}) {
    Add(std::string("prepare/") + name, "SUCCEEDED", &report);
  }
  Add("fit", "RUNNING", &report, "dag");
  for (const char* name : {"one", "two", "three"}) {
    Add(std::string("fit/") + name, "RUNNING", &report);
  }
  for (const char* name : {"judge", "report", "send"}) Add(name, "PENDING", &report);
  return report;
}

TEST(Tree, FitsAsItIsWhereThereIsRoom) {
  EXPECT_EQ(Lines(Deep(), {false, 80, 24}).size(), 13u);
  EXPECT_EQ(Lines(Deep(), {false, 80, 0}).size(), 13u);
}

TEST(Tree, ClosesFinishedGroupsWhenTheTerminalIsTooLow) {
  const auto lines = Lines(Deep(), {false, 80, 12});
  ASSERT_EQ(lines.size(), 10u);
  EXPECT_EQ(lines[1], "✓ prepare  3 steps");
  EXPECT_EQ(lines[2], "◐ fit");
}

TEST(Tree, SumsUpWhatWaitsWhenThatIsNotEnough) {
  const auto lines = Lines(Deep(), {false, 80, 9});
  const std::vector<std::string> want = {
      "deep · run ", "✓ prepare  3 steps", "◐ fit", "◐   one", "◐   two",
      "◐   three",   "○ 3 steps waiting",  "3/9"};
  EXPECT_EQ(lines, want);
}

TEST(Tree, IsNeverTallerThanTheTerminal) {
  for (int rows = 5; rows < 20; ++rows) {
    EXPECT_LT(Lines(Deep(), {false, 80, rows}).size(), static_cast<size_t>(rows)) << rows;
  }
}

TEST(Tree, AFinishedRunIsShownWhole) {
  v1::RunReport report = Deep();
  report.set_is_final(true);
  EXPECT_EQ(Lines(report, {false, 80, 5}).size(), 12u);
}

TEST(Tree, NobodyReadsThousandsOfLines) {
  v1::RunReport report;
  report.set_is_final(true);
  for (int i = 0; i < 5000; ++i) Add("s" + std::to_string(i), "SUCCEEDED", &report);
  Add("last", "FAILED", &report);
  const auto lines = Lines(report, {false, 80, 24});
  EXPECT_EQ(lines.size(), 201u);
  EXPECT_EQ(lines[1], "✓ 4802 steps done");
  EXPECT_EQ(lines.back(), "✗ last");
}

TEST(Tree, OnlyStepsThatRunNowHaveALiveLog) {
  v1::RunReport report = Deep();
  Add("envy", "PENDING", &report)->set_reason("building the Python environment");
  report.mutable_tasks(report.tasks_size() - 1)->set_attempts(1);
  EXPECT_EQ(TasksWithLiveLog(report, 9),
            (std::vector<std::string>{"id of fit/one", "id of fit/two", "id of fit/three",
                                      "id of envy"}));
  EXPECT_EQ(TasksWithLiveLog(report, 2).size(), 2u);
}

}  // namespace
}  // namespace caudal::cli
