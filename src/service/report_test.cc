#include "service/internal/report.h"

#include <gtest/gtest.h>

#include "engine/testing/pipelines.h"
#include "service/internal/task_tree.h"

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

v1::Traceback TracebackAt(const std::string& function, int line) {
  v1::Traceback traceback;
  traceback.set_exception("ValueError: x");
  traceback.set_function(function);
  traceback.set_line(line);
  return traceback;
}

TEST(PlaceOf, IsInTheUsersFile) {
  EXPECT_EQ(PlaceOf(TracebackAt("train", 8), Origin()), "digits.py:40");
  EXPECT_EQ(PlaceOf(TracebackAt("train", 10), Origin()), "digits.py:42");
  EXPECT_EQ(PlaceOf(TracebackAt("train", 17), Origin()), "digits.py:49");
  EXPECT_EQ(PlaceOf(TracebackAt("train", 31), Origin()), "other.py:11");
}

TEST(PlaceOf, IsInTheComponentWhereTheFileIsNotKnown) {
  EXPECT_EQ(PlaceOf(TracebackAt("train", 18), Origin()), "train(), line 18 of the component");
  EXPECT_EQ(PlaceOf(TracebackAt("load", 8), Origin()), "load(), line 8 of the component");
  EXPECT_EQ(PlaceOf(TracebackAt("", 8), {}), "line 8 of the component");
  EXPECT_EQ(PlaceOf(TracebackAt("train", 0), Origin()), "");
}

v1::Task At(int index, int parent, int position, const std::string& name) {
  v1::Task task;
  task.set_index(index);
  task.set_parent(parent);
  task.set_position(position);
  task.set_name(name);
  task.set_state(v1::RUNNING);
  return task;
}

std::vector<std::string> Paths(const std::vector<v1::Task>& tasks, const spec::Plan& plan) {
  const TaskTree tree(tasks, plan);
  std::vector<std::string> paths;
  for (const size_t at : tree.ReadingOrder()) paths.push_back(tree.path(at));
  return paths;
}

using Words = std::vector<std::string>;

TEST(TaskTree, ReadingOrderFollowsDependenciesAndKeepsGroupsTogether) {
  const auto plan = engine::PipelinePlan("a:z b:group group:z{x:y y} z");
  // As the engine makes them: the root's tasks in key order, then those of the group.
  std::vector<v1::Task> tasks(1);
  for (const auto& [position, name] : {std::pair(0, "a"), {1, "b"}, {2, "group"}, {3, "z"}}) {
    tasks.push_back(At(position + 1, 0, position, name));
  }
  tasks.push_back(At(5, 3, 0, "x"));
  tasks.push_back(At(6, 3, 1, "y"));
  EXPECT_EQ(Paths(tasks, *plan), (Words{"", "z", "a", "group", "group/y", "group/x", "b"}));
  // Some, with what encloses them.
  std::vector<v1::Task> some = {tasks[0], tasks[3], tasks[5]};
  EXPECT_EQ(Paths(some, *plan), (Words{"", "group", "group/x"}));
  // Nothing is shown of what a group held in an earlier generation.
  tasks[3].set_state(v1::OMITTED);
  EXPECT_EQ(Paths(tasks, *plan), (Words{"", "z", "a", "group", "b"}));
  tasks.resize(5);  // a list that was cut off
  EXPECT_EQ(Paths(tasks, *plan), (Words{"", "z", "a", "group", "b"}));
  EXPECT_TRUE(Paths({}, *plan).empty());
}

TEST(TaskTree, IterationsAreInOrderUnderTheirLoop) {
  const auto plan = engine::PipelinePlan("loop{x}");
  std::vector<v1::Task> tasks(1);
  tasks.push_back(At(1, 0, 0, "loop"));
  tasks[1].set_iteration_count(2);
  // The second one first, and one that an earlier generation had too many.
  for (const auto& [index, iteration] : {std::pair(2, 1), {4, 0}, {6, 2}}) {
    tasks.push_back(At(index, 1, 0, "loop"));
    tasks.back().set_iteration_index(iteration);
    tasks.push_back(At(index + 1, index, 0, "x"));
  }
  EXPECT_EQ(Paths(tasks, *plan),
            (Words{"", "loop", "loop[0]", "loop[0]/x", "loop[1]", "loop[1]/x"}));
  const TaskTree tree(tasks, *plan);
  EXPECT_STREQ(tree.kind(2), "iteration");
  EXPECT_STREQ(tree.kind(3), "container");
  EXPECT_EQ(tree.planned(2)->name, "loop");
}

TEST(CacheText, SaysWhatCameOfTheLookup) {
  v1::CacheRecord record;
  record.set_fingerprint("3d9a");
  EXPECT_EQ(CacheText(record), "");
  record.set_miss("input 'x' is 2, was 1 in run 7be2");
  EXPECT_EQ(CacheText(record), "miss: input 'x' is 2, was 1 in run 7be2");
  record.set_hit_run_id("7be2");
  EXPECT_EQ(CacheText(record), "hit: outputs of run 7be2");
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
  *tasks[1].mutable_traceback() = TracebackAt("train", 10);
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
