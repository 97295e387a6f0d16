#include "service/internal/report.h"

#include <gtest/gtest.h>

#include "engine/testing/pipelines.h"

namespace caudal::service {
namespace {

v1::RunOrigin Origin() {
  v1::RunOrigin origin;
  for (const auto& [file, file_line, source_line] :
       {std::tuple("digits.py", 40, 8), std::tuple("other.py", 10, 30)}) {
    v1::FunctionPlace& place = *origin.add_functions();
    place.set_function("train");
    place.set_file(file);
    place.set_file_line(file_line);
    place.set_source_line(source_line);
    place.set_line_count(10);
  }
  return origin;
}

v1::Traceback At(const std::string& function, int line) {
  v1::Traceback traceback;
  traceback.set_exception("ValueError: x");
  traceback.set_function(function);
  traceback.set_line(line);
  return traceback;
}

TEST(PlaceOf, IsInTheUsersFile) {
  EXPECT_EQ(PlaceOf(At("train", 8), Origin()), "digits.py:40");
  EXPECT_EQ(PlaceOf(At("train", 10), Origin()), "digits.py:42");
  EXPECT_EQ(PlaceOf(At("train", 17), Origin()), "digits.py:49");
  EXPECT_EQ(PlaceOf(At("train", 31), Origin()), "other.py:11");
}

TEST(PlaceOf, IsInTheComponentWhereTheFileIsNotKnown) {
  EXPECT_EQ(PlaceOf(At("train", 18), Origin()), "train(), line 18 of the component");
  EXPECT_EQ(PlaceOf(At("load", 8), Origin()), "load(), line 8 of the component");
  EXPECT_EQ(PlaceOf(At("", 8), {}), "line 8 of the component");
  EXPECT_EQ(PlaceOf(At("train", 0), Origin()), "");
}

TEST(ReadingOrder, FollowsDependenciesAndKeepsGroupsTogether) {
  const auto plan = engine::PipelinePlan("a:z b:group group:z{x:y y} z");
  // By index as the engine makes them: the root's tasks in key order, then those of the group.
  std::vector<v1::Task> tasks(7);
  tasks[0].set_first_child(1);
  tasks[0].set_child_count(4);
  for (int i = 1; i <= 4; ++i) {
    tasks[static_cast<size_t>(i)].set_parent(0);
    tasks[static_cast<size_t>(i)].set_position(i - 1);
  }
  tasks[3].set_first_child(5);
  tasks[3].set_child_count(2);
  for (int i = 5; i <= 6; ++i) {
    tasks[static_cast<size_t>(i)].set_parent(3);
    tasks[static_cast<size_t>(i)].set_position(i - 5);
  }
  EXPECT_EQ(ReadingOrder(tasks, *plan), (std::vector<size_t>{0, 4, 1, 3, 6, 5, 2}));
  tasks.resize(5);  // a list that was cut off
  EXPECT_EQ(ReadingOrder(tasks, *plan), (std::vector<size_t>{0, 4, 1, 3, 2}));
  EXPECT_TRUE(ReadingOrder({}, *plan).empty());
}

TEST(ToReport, AFailedStepShowsWhatItWasGivenAndRaised) {
  std::vector<v1::Task> tasks(2);
  tasks[0].set_first_child(1);
  tasks[0].set_child_count(1);
  tasks[1].set_index(1);
  tasks[1].set_parent(0);
  tasks[1].set_name("train");
  tasks[1].set_state(v1::FAILED);
  tasks[1].set_error("exit 1: ValueError: x");
  *tasks[1].mutable_traceback() = At("train", 10);
  (*tasks[1].mutable_parameters())["rate"].set_number_value(0.5);
  v1::Artifact& artifact = *(*tasks[1].mutable_artifacts())["rows"].add_artifacts();
  artifact.set_blob("02/258/rows");
  artifact.set_size_bytes(1234);
  tasks[1].mutable_provenance()->set_isolation("sandbox");
  tasks[1].mutable_provenance()->set_interpreter("/usr/bin/python3.11");

  const store::Submission submission{Origin(), {}};
  const v1::RunReport report =
      ToReport({}, tasks, *engine::PipelinePlan("train"), submission, "/data");

  EXPECT_EQ(report.isolation(), "sandbox");
  EXPECT_EQ(report.python(), "3.11");
  const auto& task = report.tasks(0);
  EXPECT_EQ(task.place(), "digits.py:42");
  EXPECT_EQ(task.exception(), "ValueError: x");
  EXPECT_EQ(task.inputs().at("rate").number_value(), 0.5);
  EXPECT_EQ(task.input_artifacts().at("rows").artifacts(0).path(), "/data/objects/02/258/rows");
  EXPECT_EQ(task.input_artifacts().at("rows").artifacts(0).size_bytes(), 1234);

  tasks[1].set_state(v1::SUCCEEDED);
  EXPECT_TRUE(
      ToReport({}, tasks, *engine::PipelinePlan("train"), {}, "/data").tasks(0).inputs().empty());
}

TEST(ToReport, IsolationIsTheOneAskedForUntilAStepTellsIts) {
  std::vector<v1::Task> tasks(1);
  store::Submission submission;
  submission.settings.set_isolation("sandbox");
  EXPECT_EQ(ToReport({}, tasks, *engine::PipelinePlan("train"), submission, "/data").isolation(),
            "sandbox");
  tasks[0].mutable_provenance()->set_isolation("process");
  EXPECT_EQ(ToReport({}, tasks, *engine::PipelinePlan("train"), submission, "/data").isolation(),
            "process");
}

}  // namespace
}  // namespace caudal::service
