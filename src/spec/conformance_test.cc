// Runs tests/conformance/spec: one test per case. A case is a folder with
//   pipeline.yaml, and want.error.txt (one line per fault), or
//     want.plan.txt (components and tasks, then what is not supported yet), or
//     params.json with want.params.json or want.error.txt.
// CAUDAL_UPDATE=1 rewrites what is wanted; read the difference before keeping it.

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cstdlib>

#include "base/file.h"
#include "expr/expr.h"
#include "kubernetes_platform/kubernetes_executor_config.pb.h"
#include "spec/package.h"
#include "spec/parameters.h"
#include "spec/plan.h"
#include "wire/json.h"

namespace caudal::spec {
namespace {

constexpr char kFolder[] = "tests/conformance/spec";

const char* KindName(ComponentKind kind) {
  switch (kind) {
    case ComponentKind::kDag:
      return "dag";
    case ComponentKind::kContainer:
      return "container";
    case ComponentKind::kImporter:
      return "importer";
    case ComponentKind::kCreateVolume:
      return "create volume";
    case ComponentKind::kDeleteVolume:
      return "delete volume";
  }
  return "";
}

std::string DescribeLoop(const LoopPlan& loop) {
  std::string text = "    for each '" + loop.item_input + "' of ";
  if (loop.over == LoopPlan::Over::kRawList) {
    google::protobuf::Value list;
    *list.mutable_list_value() = loop.raw;
    text += wire::ValueToGoJson(list);
  } else {
    text += (loop.over == LoopPlan::Over::kArtifacts ? "artifacts '" : "parameter '") +
            loop.items_input + "'";
  }
  if (loop.parallelism > 0) text += ", " + std::to_string(loop.parallelism) + " at a time";
  return text + "\n";
}

std::string DescribeTask(const Plan& plan, const Component& dag, const TaskPlan& task) {
  std::string text = "  " + task.name + ": " + plan.components[task.component].name;
  for (const int up : task.upstream) {
    text += (up == task.upstream.front() ? " after " : ", ") + dag.tasks[up].name;
  }
  if (task.runs_always) text += ", runs always";
  text += "\n";
  if (task.condition) text += "    if " + expr::TextOf(*task.condition) + "\n";
  if (task.loop) text += DescribeLoop(*task.loop);
  for (const auto& [input, selector] : task.selectors) {
    text += "    '" + input + "' is " + expr::TextOf(*selector) + "\n";
  }
  return text;
}

std::string DescribeSettings(const Component& component) {
  if (!component.kubernetes) return "";
  return " with " + wire::ToJson(*component.kubernetes, wire::FieldNames::kCamelCase);
}

std::string Describe(const Plan& plan) {
  std::string text;
  if (plan.deadline_seconds > 0) {
    text += "at most " + std::to_string(plan.deadline_seconds) + " s\n";
  }
  if (plan.has_workspace) text += "with a workspace\n";
  for (const Component& component : plan.components) {
    text += component.name + ": " + KindName(component.kind);
    if (component.kind == ComponentKind::kContainer) {
      text += " " + component.executor.container().image();
    }
    text += DescribeSettings(component) + "\n";
    for (const TaskPlan& task : component.tasks) text += DescribeTask(plan, component, task);
  }
  for (const base::Fault& fault : FindUnsupported(plan)) {
    text += "unsupported " + fault.path + ": " + fault.message + "\n";
  }
  return text;
}

MacroSource Macros() {
  MacroSource macros;
  macros.run_id = "11111111-2222-3333-4444-555555555555";
  macros.now = base::TimeFromMicros(1'769'860'800'000'000);  // 2026-01-31T12:00:00Z
  return macros;
}

base::Result<std::string> PrepareText(const Plan& plan, const std::string& json) {
  google::protobuf::Struct given;
  CAUDAL_TRY(wire::FromJsonText(json, &given));
  const Values values(given.fields().begin(), given.fields().end());
  CAUDAL_ASSIGN(const Values prepared, PrepareParameters(plan, values, Macros()));
  google::protobuf::Value result;
  for (const auto& [name, value] : prepared) {
    (*result.mutable_struct_value()->mutable_fields())[name] = value;
  }
  return wire::ValueToGoJson(result) + "\n";
}

class Case : public testing::Test {
 public:
  explicit Case(std::string name) : folder_(std::string(kFolder) + "/" + name) {}

  void TestBody() override {
    const std::string params = Read("params.json");
    const base::Result<std::string> result = Evaluate(params);
    const std::string got = result.ok() ? *result : result.status().message() + "\n";
    const std::string file = !result.ok()     ? "want.error.txt"
                             : params.empty() ? "want.plan.txt"
                                              : "want.params.json";
    if (std::getenv("CAUDAL_UPDATE") != nullptr) {
      ASSERT_TRUE(base::WriteFileAtomic(folder_ + "/" + file, got, 0644).ok());
    }
    ASSERT_TRUE(base::PathExists(folder_ + "/" + file)) << file << " is not wanted, but got\n"
                                                        << got;
    EXPECT_EQ(got, Read(file));
  }

 private:
  base::Result<std::string> Evaluate(const std::string& params) const {
    CAUDAL_ASSIGN(Package package, LoadPackage(Read("pipeline.yaml")));
    CAUDAL_ASSIGN(const auto plan, MakePlan(std::move(package)));
    if (params.empty()) return Describe(*plan);
    return PrepareText(*plan, params);
  }

  std::string Read(const std::string& file) const {
    const auto text = base::ReadFile(folder_ + "/" + file);
    return text.ok() ? *text : "";
  }

  const std::string folder_;
};

const bool kRegistered = [] {
  const auto names = base::ListDir(kFolder);
  if (!names.ok()) return false;
  for (const std::string& name : *names) {
    testing::RegisterTest("SpecConformance", name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                          [name]() -> testing::Test* { return new Case(name); });
  }
  return true;
}();

TEST(SpecConformanceFolder, IsFoundFromTheWorkingDirectory) { EXPECT_TRUE(kRegistered); }

}  // namespace
}  // namespace caudal::spec
