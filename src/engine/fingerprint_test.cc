#include "engine/fingerprint.h"

#include <gtest/gtest.h>

#include "wire/json.h"

namespace caudal::engine {
namespace {

using Container = ml_pipelines::PipelineDeploymentConfig::PipelineContainerSpec;
using google::protobuf::Value;

/// A task's facts, kept alive.
struct Task {
  Container container;
  ml_pipelines::ComponentOutputsSpec outputs;
  google::protobuf::Map<std::string, Value> parameters;
  google::protobuf::Map<std::string, v1::ArtifactList> artifacts;
  std::vector<std::string> claims;
  std::string custom_key;

  explicit Task(const std::vector<std::string>& words) {
    container.set_image("python:3.11");
    for (const auto& word : words) container.add_command(word);
  }
  void Set(const std::string& name, const std::string& json) {
    Value value;
    ASSERT_TRUE(wire::FromJsonText(json, &value).ok()) << json;
    parameters[name] = value;
  }
  void AddArtifact(const std::string& name, int64_t key) {
    artifacts[name].add_artifacts()->set_key(key);
  }
  v1::CacheRecord Record() const {
    KeyFacts facts;
    facts.component = "my-component";
    facts.custom_key = custom_key;
    facts.container = &container;
    facts.outputs = &outputs;
    facts.parameters = &parameters;
    facts.artifacts = &artifacts;
    facts.claims = claims;
    v1::CacheRecord record = MakeCacheRecord(facts);
    record.set_realm("image");
    return record;
  }
  std::string Fingerprint() const { return Record().fingerprint(); }
};

Task Plain() { return Task({"sh", "-c", "run"}); }

// row: E172
TEST(Fingerprint, SmallVector) {
  Task task({"sh", "ec"});
  task.container.add_args("run");
  task.AddArtifact("dataset", 10);
  (*task.outputs.mutable_parameters())["output_parameter"].set_type(
      ml_pipelines::PrimitiveType::DOUBLE);
  EXPECT_EQ(task.Fingerprint(), "3d9a2a778fa3174c6cfc6e639c507c265b5f21ef6e5b1dd70b236462cc6da464");
}

// row: E172
TEST(Fingerprint, FullVector) {
  Task task({"sh", "ec", "test"});
  task.AddArtifact("dataset_one", 1);
  task.AddArtifact("dataset_two", 2);
  task.Set("message", "\"Some string value\"");
  task.Set("num_steps", "5");
  auto& parameters = *task.outputs.mutable_parameters();
  parameters["output_parameter_one"].set_type(ml_pipelines::PrimitiveType::STRING);
  parameters["output_parameter_two"].set_type(ml_pipelines::PrimitiveType::INT);
  auto& metrics = (*task.outputs.mutable_artifacts())["metrics"];
  metrics.mutable_artifact_type()->set_schema_title("kfp.Metrics");
  (*metrics.mutable_metadata()->mutable_fields())["name"].set_string_value("metrics");
  auto& model = (*task.outputs.mutable_artifacts())["model"];
  model.mutable_artifact_type()->set_instance_schema(
      "title: kfp.Model\ntype: object\nproperties:\n  framework:\n    type: string\n  "
      "framework_version:\n    type: string\n");
  (*model.mutable_metadata()->mutable_fields())["name"].set_string_value("model");
  EXPECT_EQ(task.Fingerprint(), "b498530c9016917298999ec0b01f364a180f8a3862bea0fa672a383ca3f22e4e");
}

// row: E171
TEST(Fingerprint, CustomKeyVector) {
  Task task = Plain();
  task.custom_key = "my-custom-cache-key";
  EXPECT_EQ(task.Fingerprint(), "ad05e747b67b95e4fc4ce080cdb5850f89744360a85753b90a1a434d46dedd2e");
  const std::string before = task.Fingerprint();
  task.Set("x", "1");
  EXPECT_EQ(task.Fingerprint(), before) << "nothing but the key counts";
}

// row: E167, E168, E170, E175
TEST(Fingerprint, EachPartCounts) {
  const std::string plain = Plain().Fingerprint();
  EXPECT_EQ(Plain().Fingerprint(), plain);
  std::vector<Task> others(7, Plain());
  others[0].container.set_image("python:3.12");
  others[1].container.add_args("more");
  others[2].Set("x", "1");
  others[3].AddArtifact("a", 1);
  others[4].claims = {"data"};
  (*others[5].outputs.mutable_parameters())["o"].set_parameter_type(
      ml_pipelines::ParameterType::LIST);
  (*others[6].outputs.mutable_artifacts())["a"].mutable_artifact_type()->set_schema_title(
      "system.Model");
  std::set<std::string> seen{plain};
  for (const Task& other : others) EXPECT_TRUE(seen.insert(other.Fingerprint()).second);
}

// row: E169
TEST(Fingerprint, EnvironmentAndResourcesDoNotCount) {
  Task task = Plain();
  auto& env = *task.container.add_env();
  env.set_name("A");
  env.set_value("b");
  task.container.mutable_resources()->set_resource_cpu_limit("2");
  EXPECT_EQ(task.Fingerprint(), Plain().Fingerprint());
}

TEST(Fingerprint, WordsKeepTheirBorders) {
  EXPECT_NE(Task({"a", "bc"}).Fingerprint(), Task({"ab", "c"}).Fingerprint());
}

TEST(Fingerprint, EmptyValuesOfInputsStay) {
  std::set<std::string> seen{Plain().Fingerprint()};
  for (const char* value : {"\"\"", "{}", "[]", "null", "0", "false"}) {
    Task task = Plain();
    task.Set("x", value);
    EXPECT_TRUE(seen.insert(task.Fingerprint()).second) << value;
  }
}

TEST(Fingerprint, ClaimsAreASet) {
  Task task = Plain();
  task.claims = {"b", "a", "b"};
  Task same = Plain();
  same.claims = {"a", "b"};
  EXPECT_EQ(task.Fingerprint(), same.Fingerprint());
}

std::string Difference(const Task& now, const Task& then) {
  return DescribeDifference(now.Record(), then.Record());
}

TEST(DescribeDifference, NamesWhatChanged) {
  Task then = Plain();
  then.Set("x", "1");
  then.AddArtifact("data", 7);
  EXPECT_EQ(Difference(then, then), "");
  Task now = then;
  now.Set("x", "2");
  EXPECT_EQ(Difference(now, then), "input 'x' is 2, was 1");
  now.container.set_image("python:3.12");
  EXPECT_EQ(Difference(now, then), "image is python:3.12, was python:3.11; input 'x' is 2, was 1");
  now = then;
  now.artifacts["data"].mutable_artifacts(0)->set_key(12);
  EXPECT_EQ(Difference(now, then), "artifact 'data' is number 12, was number 7");
  now = then;
  now.container.add_args("more");
  EXPECT_EQ(Difference(now, then), "command changed");
  now = then;
  now.parameters.erase("x");
  EXPECT_EQ(Difference(now, then), "input 'x' is gone");
  EXPECT_EQ(Difference(then, now), "input 'x' is new");
}

TEST(DescribeDifference, LongValuesThatLookAlike) {
  Task then = Plain();
  Task now = Plain();
  then.Set("x", "\"" + std::string(200, 'a') + "1\"");
  now.Set("x", "\"" + std::string(200, 'a') + "2\"");
  EXPECT_EQ(Difference(now, then), "input 'x' changed");
}

TEST(DescribeDifference, AtMostThree) {
  Task then = Plain();
  Task now = Plain();
  for (const char* name : {"a", "b", "c", "d", "e"}) {
    then.Set(name, "1");
    now.Set(name, "2");
  }
  EXPECT_EQ(Difference(now, then),
            "input 'a' is 2, was 1; input 'b' is 2, was 1; input 'c' is 2, was 1; and 2 more");
}

TEST(DescribeDifference, CustomKeyAndRealm) {
  Task now = Plain();
  now.custom_key = "k2";
  EXPECT_EQ(Difference(now, Plain()), "custom key is new");
  EXPECT_EQ(Difference(Plain(), now), "custom key is gone");
  Task then = Plain();
  then.custom_key = "k1";
  EXPECT_EQ(Difference(now, then), "custom key is k2, was k1");
  v1::CacheRecord moved = Plain().Record();
  moved.set_realm("env-2");
  EXPECT_EQ(DescribeDifference(moved, Plain().Record()), "what it runs on is env-2, was image");
}

}  // namespace
}  // namespace caudal::engine
