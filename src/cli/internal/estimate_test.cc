#include "cli/internal/estimate.h"

#include <gtest/gtest.h>

#include "cli/internal/report.h"

namespace caudal::cli {
namespace {

constexpr int64_t kSecond = 1'000'000;

// Times in seconds; an end of 0: still going on, a start of 0: not begun.
void Add(const std::string& path, int64_t start, int64_t end, v1::RunReport* report) {
  ReportTask* task = report->add_tasks();
  task->set_path(path);
  task->set_kind("container");
  task->set_state(end > 0 ? "SUCCEEDED" : start > 0 ? "RUNNING" : "PENDING");
  task->set_started_at(start * kSecond);
  task->set_ended_at(end * kSecond);
}

// load 0–2, train 2–12, judge 12–15.
Timeline Before() {
  v1::RunReport report;
  Add("load", 100, 102, &report);
  Add("train", 102, 112, &report);
  Add("judge", 112, 115, &report);
  return TimelineOf(report);
}

v1::RunReport Now(int64_t load_end, int64_t train_start, int64_t train_end) {
  v1::RunReport report;
  Add("load", 500, load_end, &report);
  Add("train", train_start, train_end, &report);
  Add("judge", 0, 0, &report);
  return report;
}

TEST(LeftMicros, IsWhatIsLeftOfTheRunBefore) {
  EXPECT_EQ(LeftMicros(Now(0, 0, 0), Before(), 501 * kSecond), 14 * kSecond);
  EXPECT_EQ(LeftMicros(Now(502, 502, 0), Before(), 505 * kSecond), 10 * kSecond);
}

TEST(LeftMicros, MovesWithWhatIsFasterOrSlowerNow) {
  EXPECT_EQ(LeftMicros(Now(501, 501, 0), Before(), 502 * kSecond), 12 * kSecond);
  // train takes longer than its 10 s: it may end at any time, and judge takes 3 s.
  EXPECT_EQ(LeftMicros(Now(502, 502, 0), Before(), 530 * kSecond), 3 * kSecond);
  // Between two steps: judged by the one that ended last.
  EXPECT_EQ(LeftMicros(Now(502, 502, 520), Before(), 520 * kSecond), 3 * kSecond);
}

TEST(LeftMicros, SaysNothingWithoutGrounds) {
  v1::RunReport report = Now(502, 502, 0);
  EXPECT_FALSE(LeftMicros(report, {}, 505 * kSecond));
  Add("new", 0, 0, &report);
  EXPECT_FALSE(LeftMicros(report, Before(), 505 * kSecond));
  v1::RunReport not_begun;
  Add("load", 0, 0, &not_begun);
  EXPECT_FALSE(LeftMicros(not_begun, Before(), 505 * kSecond));
}

TEST(LeftMicros, SaysNothingAboutTheLastSecond) {
  v1::RunReport report;
  Add("load", 500, 502, &report);
  Add("train", 502, 512, &report);
  Add("judge", 512, 0, &report);
  EXPECT_EQ(LeftMicros(report, Before(), 513 * kSecond), 2 * kSecond);
  EXPECT_FALSE(LeftMicros(report, Before(), 514 * kSecond + kSecond / 2));
}

}  // namespace
}  // namespace caudal::cli
