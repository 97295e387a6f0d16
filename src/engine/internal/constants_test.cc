#include "engine/internal/constants.h"

#include <gtest/gtest.h>

#include "engine/testing/scene.h"
#include "wire/json.h"

namespace caudal::engine {
namespace {

// A task `use` in a sub-pipeline; its wiring is given.
std::string Package(const std::string& wiring) {
  return R"(
pipelineInfo: {name: p}
schemaVersion: 2.1.0
deploymentSpec: {executors: {exec-use: {container: {image: none}}}}
components:
  comp-use:
    executorLabel: exec-use
    inputDefinitions:
      parameters:
        text: {parameterType: STRING, isOptional: true}
        defaulted: {parameterType: NUMBER_INTEGER, isOptional: true, defaultValue: 4}
        empty: {parameterType: STRING, isOptional: true}
  comp-sub:
    dag:
      tasks:
        use:
          taskInfo: {name: shown}
          componentRef: {name: comp-use}
          inputs: {parameters: {)" +
         wiring + R"(}}
    inputDefinitions: {parameters: {given: {parameterType: STRING, isOptional: true}}}
root:
  dag:
    tasks:
      sub:
        taskInfo: {name: sub}
        componentRef: {name: comp-sub}
        inputs: {parameters: {given: {componentInputParameter: given}}}
  inputDefinitions: {parameters: {given: {parameterType: STRING, isOptional: true}}}
)";
}

// What `constant` (JSON) becomes at the task.
std::string Got(const std::string& constant, const std::string& wiring = "",
                std::string_view parameters = "{}") {
  Scene scene(Package(wiring), parameters);
  google::protobuf::Value value;
  const auto status = wire::FromJsonText(constant, &value);
  EXPECT_TRUE(status.ok()) << status.message();
  return wire::ValueToGoJson(ResolveConstant(scene.draft(), scene.Enter("sub/use"), value));
}

std::string Text(const std::string& text) { return Got("\"" + text + "\""); }

TEST(Constants, JobPlaceholdersAnywhereInAText) {
  EXPECT_EQ(Text("<{{$.pipeline_job_name}}>"), "\"\\u003cmy run\\u003e\"");
  EXPECT_EQ(Text("{{$.pipeline_job_resource_name}}-{{$.pipeline_job_uuid}}"),
            "\"p-abcde-3f0e3c1e-1d1f-4a53-8a0f-0d9b7b8d6a11\"");
  EXPECT_EQ(Text("{{$.pipeline_task_name}}"), "\"use\"") << "the key, not the display name";
  EXPECT_EQ(Text("{{$.pipeline_task_uuid}}"), "\"101\"") << "of the enclosing DAG's execution";
  EXPECT_EQ(Text("{{$.pipeline_job_create_time_utc}}"), "\"2026-01-02T03:00:00Z\"");
  EXPECT_EQ(Text("{{$.pipeline_job_schedule_time_utc}}"), "\"2026-01-02T03:00:00Z\"")
      << "of a run without schedule: when it was made";
  EXPECT_EQ(Text("{{$.workspace_path}}/x"), "\"/kfp-workspace/x\"");
  EXPECT_EQ(Text("{{$.workspace_path}}/{{$.pipeline_job_uuid}}"),
            "\"/kfp-workspace/3f0e3c1e-1d1f-4a53-8a0f-0d9b7b8d6a11\"");
  EXPECT_EQ(Text("{{$.pipeline_root}}"), "\"minio://bucket/root\"");
}

TEST(Constants, WhatIsNoneStays) {
  for (const char* text : {"{{$.nobody}}", "{{$.pipeline_job_name", "{{$}}", "{{workflow.name}}",
                           "{{$.inputs.parameters['nobody']}}", "{{$.inputs.parameters[x]}}"}) {
    EXPECT_EQ(Text(text), "\"" + std::string(text) + "\"");
  }
  EXPECT_EQ(Got("[1, null, true, {\"a\": 2.5}]"), "[1,null,true,{\"a\":2.5}]");
}

TEST(Constants, AtAnyDepthAndInKeys) {
  EXPECT_EQ(Got(R"({"{{$.pipeline_task_name}}": [{"a": ["{{$.pipeline_task_name}}"]}]})"),
            R"({"use":[{"a":["use"]}]})");
}

TEST(Constants, Inputs) {
  const std::string wiring = "text: {componentInputParameter: given}";
  const std::string text =
      R"("a {{$.inputs.parameters['text']}} {{$.inputs.parameters[\"text\"]}}")";
  EXPECT_EQ(Got(text, wiring, R"({"given": "b"})"), "\"a b b\"");
  EXPECT_EQ(Got(text, wiring), "\"a  \"") << "wired, but null";
  EXPECT_EQ(Got(R"("{{$.inputs.parameters['defaulted']}}")"), "\"4\"");
  EXPECT_EQ(Got(R"("<{{$.inputs.parameters['empty']}}>")"), "\"\\u003c\\u003e\"");
  EXPECT_EQ(Got(text, wiring, R"({"given": "{{$.pipeline_job_uuid}}"})"),
            "\"a {{$.pipeline_job_uuid}} {{$.pipeline_job_uuid}}\"")
      << "text from outside is not scanned";
}

// The order in which inputs are resolved must not matter.
TEST(Constants, ChainsOfConstants) {
  const std::string chain =
      "a: {runtimeValue: {constant: \"a{{$.inputs.parameters['b']}}\"}},"
      "b: {runtimeValue: {constant: \"b{{$.inputs.parameters['c']}}\"}},"
      "c: {runtimeValue: {constant: \"c{{$.pipeline_task_name}}\"}}";
  Scene scene(Package(chain));
  const int task = scene.Enter("sub/use");
  EXPECT_EQ(scene.draft().parameters(task).at("a").string_value(), "abcuse");
  EXPECT_EQ(scene.draft().parameters(task).at("b").string_value(), "bcuse");
}

TEST(Constants, CirclesEnd) {
  const std::string circle =
      "a: {runtimeValue: {constant: \"{{$.inputs.parameters['b']}}{{$.inputs.parameters['b']}}\"}},"
      "b: {runtimeValue: {constant: \"{{$.inputs.parameters['a']}}{{$.inputs.parameters['a']}}\"}}";
  Scene scene(Package(circle));
  const int task = scene.Enter("sub/use");
  EXPECT_LE(scene.draft().parameters(task).at("a").string_value().size(), 64u << 20);
}

TEST(Constants, RefersToInput) {
  const auto refers = [](const std::string& json) {
    google::protobuf::Value value;
    EXPECT_TRUE(wire::FromJsonText(json, &value).ok());
    return RefersToInput(value);
  };
  EXPECT_TRUE(refers(R"("x {{$.inputs.parameters['a']}}")"));
  EXPECT_TRUE(refers(R"([{"k": "{{$.inputs.parameters['a']}}"}])"));
  EXPECT_TRUE(refers(R"({"{{$.inputs.parameters['a']}}": 1})"));
  EXPECT_FALSE(refers(R"(["{{$.pipeline_job_name}}", 1, null])"));
}

}  // namespace
}  // namespace caudal::engine
