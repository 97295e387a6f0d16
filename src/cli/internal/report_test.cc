#include "cli/internal/report.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/file.h"
#include "cli/internal/ending.h"
#include "cli/internal/tree.h"
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
    TreeExtras extras;
    extras.place = "local";
    std::string tree;
    for (const std::string& line : TreeLines(report, extras, kNow, {})) tree += line + "\n";
    Compare("want.tree.txt", tree);
    std::string changes;
    for (const auto& task : report.tasks()) changes += ChangeLine(task, kNow) + "\n";
    Compare("want.changes.txt", changes);
    if (report.is_final()) Compare("want.end.txt", Ending(report));
  }

 private:
  static std::string Ending(const v1::RunReport& report) {
    std::vector<FailureDetail> details;
    for (const ReportTask* task : FailedLeaves(report)) {
      details.push_back({task->task_id(), "first line\nlast line\n", "rows = float(value)"});
    }
    std::string text = HeadLine(report, {}) + "\n";
    text += report.has_error() ? FailureText(report, details, {}) : ResultText(report, {});
    return text + NextText(CommandsAfter(report, "caudal run pipeline.yaml", " --data-dir d"), {});
  }

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

TEST(Report, HasNoDurationWhereNothingStarted) {
  v1::RunReport report;
  report.set_display_name("fit");
  auto* task = report.add_tasks();
  task->set_path("train");
  task->set_state("FAILED");
  task->set_ended_at(kNow);
  EXPECT_EQ(HeadLine(report, {}), "✗ fit failed");
}

TEST(Report, ANameLosesTheTimeThatWasAddedToIt) {
  v1::RunReport report;
  report.set_display_name("digits 2026-01-02 03:04:05");
  EXPECT_EQ(ShortName(report), "digits");
  report.set_display_name("digits 2026-01-02");
  EXPECT_EQ(ShortName(report), "digits 2026-01-02");
  report.clear_display_name();
  report.set_run_id("0c0f6f57-4b33-4d1e-9e0c-6f9c1d7d3a10");
  EXPECT_EQ(ShortName(report), "0c0f6f57");
}

TEST(Report, OnlyUuidsAreShortened) {
  EXPECT_EQ(ShortId("0c0f6f57-4b33-4d1e-9e0c-6f9c1d7d3a10"), "0c0f6f57");
  EXPECT_EQ(ShortId("nightly-2026-01-02"), "nightly-2026-01-02");
}

TEST(Report, AFailureDoesNotSayTwiceWhatWasRaised) {
  ReportTask task;
  task.set_error("exit 1: ValueError: x");
  EXPECT_EQ(FailureReason(task), "exit 1: ValueError: x");
  task.set_exception("ValueError: x");
  task.set_attempts(2);
  EXPECT_EQ(FailureReason(task), "exit 1, attempt 2 of 2");
}

}  // namespace
}  // namespace caudal::cli
