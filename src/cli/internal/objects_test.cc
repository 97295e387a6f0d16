#include "cli/internal/objects.h"

#include <gtest/gtest.h>

#include "cli/internal/steps.h"

namespace caudal::cli {
namespace {

const std::vector<Candidate> kRuns = {{"7be2aaaa-1", "digits", "succeeded, 3 min ago"},
                                      {"7be2bbbb-2", "digits", "failed, 2 h ago"},
                                      {"9c41cccc-3", "train", "running, just now"},
                                      {"trainaaa-4", "other", "failed, 5 d ago"}};

base::Result<size_t> Pick(const std::string& given) {
  return PickCandidate("run", given, kRuns, "caudal run list");
}

TEST(PickCandidate, ByUniquePrefixOrName) {
  EXPECT_EQ(*Pick("9"), 2u);
  EXPECT_EQ(*Pick("7be2b"), 1u);
  EXPECT_EQ(*Pick("other"), 3u);
}

TEST(PickCandidate, ANameIsMoreThanThePrefixOfAnId) { EXPECT_EQ(*Pick("train"), 2u); }

TEST(PickCandidate, AnAmbiguousWordListsWhatFits) {
  EXPECT_EQ(Pick("7be2").status().message(),
            "'7be2' is the beginning of the ids of 2 runs, name one by its id:\n"
            "  7be2aaaa-1  digits  (succeeded, 3 min ago)\n"
            "  7be2bbbb-2  digits  (failed, 2 h ago)");
  EXPECT_EQ(Pick("digits").status().message().substr(0, 34), "'digits' is the name of 2 runs, na");
}

TEST(PickCandidate, AWordThatFitsNothingNamesTheList) {
  EXPECT_EQ(Pick("zzz").status().code(), base::Code::kNotFound);
  EXPECT_EQ(Pick("zzz").status().message(),
            "no run is called 'zzz', and no id starts so: see 'caudal run list'");
}

TEST(RunStateWord, ACanceledRunIsToldByItsHistory) {
  v2beta1::Run run;
  EXPECT_EQ(RunStateWord(run), "pending");
  run.set_state(v2beta1::FAILED);
  EXPECT_EQ(RunStateWord(run), "failed");
  run.add_state_history()->set_state(v2beta1::CANCELING);
  EXPECT_EQ(RunStateWord(run), "canceled");
  run.set_state(v2beta1::SUCCEEDED);
  EXPECT_EQ(RunStateWord(run), "succeeded");
}

ReportTask* AddTask(const std::string& path, const std::string& state, v1::RunReport* report) {
  ReportTask* task = report->add_tasks();
  task->set_path(path);
  task->set_state(state);
  task->set_kind("container");
  task->set_attempts(state == "OMITTED" || state == "PENDING" ? 0 : 1);
  return task;
}

v1::RunReport SomeRun() {
  v1::RunReport report;
  report.set_run_id("7be2aaaa");
  AddTask("load", "SUCCEEDED", &report)->set_ended_at(5);
  AddTask("outer", "FAILED", &report)->set_kind("dag");
  AddTask("outer/train", "FAILED", &report);
  AddTask("outer/test", "OMITTED", &report);
  AddTask("inner/test", "OMITTED", &report);
  return report;
}

TEST(FindStep, ByPathEndOrBeginning) {
  const v1::RunReport report = SomeRun();
  EXPECT_EQ((*FindStep(report, "outer/train"))->path(), "outer/train");
  EXPECT_EQ((*FindStep(report, "train"))->path(), "outer/train");
  EXPECT_EQ((*FindStep(report, "lo"))->path(), "load");
  EXPECT_EQ(FindStep(report, "test").status().message(),
            "several steps fit 'test': outer/test, inner/test");
  EXPECT_EQ(FindStep(report, "laod").status().message(),
            "run 7be2aaaa has no step 'laod', did you mean 'load'?");
  EXPECT_EQ(FindStep(report, "zzzzzz").status().message(),
            "run 7be2aaaa has no step 'zzzzzz', its steps are load, outer/train, outer/test, "
            "inner/test");
}

TEST(StepToRead, IsTheOneThatFailedElseTheLast) {
  v1::RunReport report = SomeRun();
  EXPECT_EQ((*StepToRead(report))->path(), "outer/train");
  report.mutable_tasks(1)->set_state("SUCCEEDED");
  report.mutable_tasks(2)->set_state("SUCCEEDED");
  report.mutable_tasks(2)->set_ended_at(9);
  EXPECT_EQ((*StepToRead(report))->path(), "outer/train");
  AddTask("late", "RUNNING", &report);
  EXPECT_EQ((*StepToRead(report))->path(), "late");
  EXPECT_EQ(StepToRead({}).status().code(), base::Code::kNotFound);
}

}  // namespace
}  // namespace caudal::cli
