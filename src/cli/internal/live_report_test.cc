#include "cli/internal/live_report.h"

#include <gtest/gtest.h>

namespace caudal::cli {
namespace {

using Words = std::vector<std::string>;

v1::RunReport Report(const std::vector<std::pair<std::string, std::string>>& tasks) {
  v1::RunReport report;
  for (const auto& [path, state] : tasks) {
    ReportTask* task = report.add_tasks();
    task->set_path(path);
    task->set_state(state);
    const bool is_group = path == "outer" || path == "loop";
    task->set_kind(path.ends_with(']') ? "iteration" : is_group ? "dag" : "container");
  }
  return report;
}

Words PathsOf(const LiveReport& live) {
  Words paths;
  for (const ReportTask& task : live.report().tasks()) paths.push_back(task.path());
  return paths;
}

TEST(LiveReport, LaysChangesOverWhatIsKnown) {
  LiveReport live;
  live.Take(Report({{"a", "RUNNING"}, {"b", "PENDING"}}));
  v1::RunReport changes = Report({{"a", "SUCCEEDED"}});
  changes.set_sequence(9);
  live.Take(changes);
  live.Take(changes);
  EXPECT_EQ(PathsOf(live), (Words{"a", "b"}));
  EXPECT_EQ(live.Find("a")->state(), "SUCCEEDED");
  EXPECT_EQ(live.Find("b")->state(), "PENDING");
  EXPECT_EQ(live.Find("c"), nullptr);
  EXPECT_EQ(live.report().sequence(), 9);
}

TEST(LiveReport, WhatIsNewGoesToTheEndOfItsGroup) {
  LiveReport live;
  live.Take(Report({{"loop", "RUNNING"},
                    {"loop[0]", "RUNNING"},
                    {"loop[0]/x", "RUNNING"},
                    {"outer", "RUNNING"},
                    {"z", "PENDING"}}));
  live.Take(Report({{"loop[1]", "RUNNING"},
                    {"loop[1]/x", "RUNNING"},
                    {"loop[2]", "RUNNING"},
                    {"loop[2]/x", "PENDING"},
                    {"outer/y", "RUNNING"}}));
  EXPECT_EQ(PathsOf(live), (Words{"loop", "loop[0]", "loop[0]/x", "loop[1]", "loop[1]/x", "loop[2]",
                                  "loop[2]/x", "outer", "outer/y", "z"}));
  for (const std::string& path : PathsOf(live)) EXPECT_EQ(live.Find(path)->path(), path);
}

TEST(LiveReport, WhatIsToBeOpenedAgainIsEmptyUntilThen) {
  LiveReport live;
  live.Take(Report({{"outer", "SUCCEEDED"}, {"outer/y", "SUCCEEDED"}, {"z", "FAILED"}}));
  live.Take(Report({{"outer", "PENDING"}}));
  EXPECT_EQ(PathsOf(live), (Words{"outer", "z"}));
  live.Take(Report({{"outer", "RUNNING"}, {"outer/y", "RUNNING"}}));
  EXPECT_EQ(PathsOf(live), (Words{"outer", "outer/y", "z"}));
}

TEST(LiveReport, KeepsWhatStepsToldOfTheirSurroundings) {
  LiveReport live;
  v1::RunReport first = Report({{"a", "SUCCEEDED"}});
  first.set_isolation("process");
  first.set_python("3.11");
  live.Take(first);
  v1::RunReport second = Report({{"b", "RUNNING"}});
  second.set_isolation("sandbox");
  live.Take(second);
  EXPECT_EQ(live.report().isolation(), "process");
  EXPECT_EQ(live.report().python(), "3.11");
}

}  // namespace
}  // namespace caudal::cli
