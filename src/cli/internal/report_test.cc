#include "cli/internal/report.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/file.h"
#include "wire/json.h"

namespace caudal::cli {
namespace {

constexpr char kCases[] = "tests/conformance/cli";
constexpr int64_t kNow = 10'000'000;

/// A directory with `report.json` (a RunReport), and the wanted texts beside it.
class ReportCase : public testing::Test {
 public:
  explicit ReportCase(std::string name) : directory_(std::string(kCases) + "/" + name) {}

  void TestBody() override {
    const auto text = base::ReadFile(directory_ + "/report.json");
    ASSERT_TRUE(text.ok()) << text.status().message();
    v1::RunReport report;
    const base::Status read = wire::FromJsonText(*text, &report);
    ASSERT_TRUE(read.ok()) << read.message();

    Compare("want.out.json", ReportToJson(report) + "\n");
    std::string tree;
    for (const std::string& line : TreeLines(report, kNow, {})) tree += line + "\n";
    Compare("want.tree.txt", tree);
    std::string changes;
    for (const auto& task : report.tasks()) changes += ChangeLine(task, kNow) + "\n";
    Compare("want.changes.txt", changes);
    if (!report.is_final()) return;
    FailureHints hints{"caudal run pipeline.yaml", {}};
    for (const auto* task : FailedLeaves(report)) {
      hints.logs.push_back(
          {task->task_id(), "first line\nlast line", "http://server/log/" + task->task_id()});
    }
    Compare("want.end.txt", HeadLine(report, {}) + "\n" + ResultText(report) +
                                (report.has_error() ? FailureText(report, hints, {}) : ""));
  }

 private:
  // CAUDAL_UPDATE=1 writes what there is instead of comparing.
  void Compare(const std::string& file, const std::string& got) {
    const std::string path = directory_ + "/" + file;
    if (std::getenv("CAUDAL_UPDATE") != nullptr) {
      ASSERT_TRUE(base::WriteFileAtomic(path, got, 0644).ok());
      return;
    }
    const auto want = base::ReadFile(path);
    ASSERT_TRUE(want.ok()) << want.status().message();
    EXPECT_EQ(got, *want) << path;
  }

  std::string directory_;
};

[[maybe_unused]] const bool kRegistered = [] {
  const auto names = base::ListDir(kCases);
  if (!names.ok()) return false;
  for (const std::string& name : *names) {
    testing::RegisterTest("ReportConformance", name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                          [name]() -> testing::Test* { return new ReportCase(name); });
  }
  return true;
}();

TEST(Report, HasConformanceCases) {
  EXPECT_TRUE(kRegistered) << "run from the top of the source tree: " << kCases << " is not there";
}

TEST(Report, CutsTheTreeToTheTerminal) {
  v1::RunReport report;
  auto* task = report.add_tasks();
  task->set_path("train");
  task->set_state("RUNNING");
  task->set_reason("waiting for a very long reason");
  EXPECT_EQ(TreeLines(report, kNow, {false, 20})[0], "◐ train  waiting fo…");
}

TEST(Report, ColoursOnlyTheGlyph) {
  v1::RunReport report;
  auto* task = report.add_tasks();
  task->set_path("train");
  task->set_state("SUCCEEDED");
  EXPECT_EQ(TreeLines(report, kNow, {true, 0})[0], "\033[32m✓\033[0m train");
}

TEST(Report, HasNoDurationWhereNothingStarted) {
  v1::RunReport report;
  report.set_display_name("fit");
  auto* task = report.add_tasks();
  task->set_path("train");
  task->set_state("FAILED");
  task->set_ended_at(kNow);
  EXPECT_EQ(HeadLine(report, {}), "✗ fit failed");
}

TEST(Report, Durations) {
  EXPECT_EQ(DurationText(12'999), "12 ms");
  EXPECT_EQ(DurationText(3'460'000), "3.4 s");
  EXPECT_EQ(DurationText(125'000'000), "2 min 5 s");
  EXPECT_EQ(DurationText(3'780'000'000), "1 h 3 min");
}

}  // namespace
}  // namespace caudal::cli
