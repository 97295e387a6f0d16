// Runs tests/conformance/spec: one test per case. A case is a folder with
//   pipeline.yaml, and want.error.txt (one line per fault), or
//     want.plan.txt (components and tasks, then what is not supported yet), or
//     params.json with want.params.json or want.error.txt.
// CAUDAL_UPDATE=1 rewrites what is wanted; read the difference before keeping it.

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cstdlib>

#include "base/file.h"
#include "spec/package.h"
#include "spec/parameters.h"
#include "spec/plan.h"
#include "wire/json.h"

namespace caudal::spec {
namespace {

constexpr char kFolder[] = "tests/conformance/spec";

const char* KindName(ComponentKind kind) {
  return kind == ComponentKind::kDag         ? "dag"
         : kind == ComponentKind::kContainer ? "container"
                                             : "importer";
}

std::string DescribeTask(const Plan& plan, const Component& dag, const TaskPlan& task) {
  std::string line = "  " + task.name + ": " + plan.components[task.component].name;
  for (const int up : task.upstream) {
    line += (up == task.upstream.front() ? " after " : ", ") + dag.tasks[up].name;
  }
  return line + "\n";
}

std::string Describe(const Plan& plan) {
  std::string text;
  for (const Component& component : plan.components) {
    text += component.name + ": " + KindName(component.kind);
    if (component.executor.has_container()) text += " " + component.executor.container().image();
    if (component.kubernetes_config.fields_size() > 0) text += " with Kubernetes settings";
    text += "\n";
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
