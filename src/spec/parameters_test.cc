#include "spec/parameters.h"

#include <gtest/gtest.h>

#include "spec/package.h"
#include "wire/json.h"

namespace caudal::spec {
namespace {

using ml_pipelines::ParameterType;

/// The value as JSON after conversion, or the error.
std::string Convert(ParameterType::ParameterTypeEnum type, std::string_view json) {
  google::protobuf::Value value;
  EXPECT_TRUE(wire::FromJsonText(json, &value).ok());
  const auto converted = ConvertParameter(type, value);
  return converted.ok() ? wire::ValueToGoJson(*converted) : converted.status().message();
}

TEST(ConvertParameter, MakesTextOfAnything) {
  EXPECT_EQ(Convert(ParameterType::STRING, "3"), "\"3\"");
  EXPECT_EQ(Convert(ParameterType::STRING, "0.1"), "\"0.1\"");
  EXPECT_EQ(Convert(ParameterType::STRING, "1e20"), "\"100000000000000000000\"");
  EXPECT_EQ(Convert(ParameterType::STRING, "true"), "\"true\"");
  EXPECT_EQ(Convert(ParameterType::STRING, "null"), "\"\"");
  EXPECT_EQ(Convert(ParameterType::STRING, R"([2.0, "a"])"), R"("[2,\"a\"]")");
  EXPECT_EQ(Convert(ParameterType::STRING, R"({"b": 1, "a": 2})"), R"("{\"a\":2,\"b\":1}")");
}

TEST(ConvertParameter, InterchangesNumbersWithoutRounding) {
  EXPECT_EQ(Convert(ParameterType::NUMBER_INTEGER, "1.5"), "1.5");
  EXPECT_EQ(Convert(ParameterType::NUMBER_DOUBLE, "3"), "3");
}

TEST(ConvertParameter, KnowsBooleansOfTheFirstSdks) {
  EXPECT_EQ(Convert(ParameterType::BOOLEAN, "1.0"), "true");
  EXPECT_EQ(Convert(ParameterType::BOOLEAN, "0"), "false");
}

TEST(ConvertParameter, RefusesOtherKinds) {
  EXPECT_EQ(Convert(ParameterType::NUMBER_INTEGER, "\"1\""), "wants a number, got \"1\"");
  EXPECT_EQ(Convert(ParameterType::BOOLEAN, "2"), "wants true or false, got 2");
  EXPECT_EQ(Convert(ParameterType::BOOLEAN, "\"true\""), "wants true or false, got \"true\"");
  EXPECT_EQ(Convert(ParameterType::LIST, "{}"), "wants a list, got an object");
  EXPECT_EQ(Convert(ParameterType::STRUCT, "[]"), "wants an object, got a list");
  EXPECT_EQ(Convert(ParameterType::STRUCT, "null"), "wants an object, got null");
  EXPECT_EQ(Convert(ParameterType::TASK_FINAL_STATUS, "{}"), "{}");
  EXPECT_EQ(Convert(ParameterType::PARAMETER_TYPE_ENUM_UNSPECIFIED, "1"),
            "has no parameterType, no value fits");
}

// row: E57 E58 E59 E60 E61 E74
TEST(ConvertParameter, TakesObjectsForTheTypesOfTasks) {
  for (const auto type :
       {ParameterType::STRUCT, ParameterType::TASK_FINAL_STATUS, ParameterType::TASK_CONFIG}) {
    EXPECT_EQ(Convert(type, R"({"a": [null, 1.0]})"), R"({"a":[null,1]})");
    EXPECT_EQ(Convert(type, "null"), "wants an object, got null");
    EXPECT_EQ(Convert(type, "\"{}\""), "wants an object, got \"{}\"");
  }
}

TEST(ConvertParameter, TakesNullAsTextOnly) {
  EXPECT_EQ(Convert(ParameterType::STRING, "null"), "\"\"");
  EXPECT_EQ(Convert(ParameterType::NUMBER_DOUBLE, "null"), "wants a number, got null");
  EXPECT_EQ(Convert(ParameterType::BOOLEAN, "null"), "wants true or false, got null");
  EXPECT_EQ(Convert(ParameterType::LIST, "null"), "wants a list, got null");
}

TEST(ConvertParameter, EscapesTextOfObjectsAsGoDoes) {
  EXPECT_EQ(Convert(ParameterType::STRING, R"({"a": "<&>"})"),
            R"("{\"a\":\"\\u003c\\u0026\\u003e\"}")");
}

TEST(TypeName, IsUpstreams) {
  EXPECT_EQ(TypeName(ParameterType::NUMBER_INTEGER), "NUMBER_INTEGER");
  EXPECT_EQ(TypeName(ParameterType::PARAMETER_TYPE_ENUM_UNSPECIFIED),
            "PARAMETER_TYPE_ENUM_UNSPECIFIED");
}

TEST(CheckPipelineName, IsStricterThanLoading) {
  EXPECT_TRUE(CheckPipelineName("a").ok());
  EXPECT_TRUE(CheckPipelineName("0-9-").ok());
  EXPECT_TRUE(CheckPipelineName(std::string(128, 'a')).ok());
  for (const std::string& bad :
       {std::string(), std::string(129, 'a'), std::string("-a"), std::string("A"),
        std::string("a.b"), std::string("a b"), std::string("a\n")}) {
    EXPECT_FALSE(CheckPipelineName(bad).ok()) << bad;
  }
}

TEST(LoadPackage, KeepsPairsOfEscapesInJson) {
  const auto package = LoadPackage(
      R"({"pipelineInfo":{"name":"t","description":"\ud83d\ude00"},"schemaVersion":"2.1.0","root":{}})");
  ASSERT_TRUE(package.ok()) << package.status().message();
  EXPECT_EQ(package->pipeline.pipeline_info().description(), "\xF0\x9F\x98\x80");
}

TEST(LoadPackage, GivesTheApiOneOrTwoParts) {
  const std::string pipeline = "pipelineInfo: {name: t}\nschemaVersion: 2.1.0\nroot: {}\n";
  const auto one = LoadPackage(pipeline);
  ASSERT_TRUE(one.ok());
  EXPECT_EQ(wire::ToJson(one->as_struct, wire::FieldNames::kCamelCase),
            R"({"pipelineInfo":{"name":"t"},"root":{},"schemaVersion":"2.1.0"})");
  const auto two = LoadPackage("platforms: {kubernetes: {}}\n---\n" + pipeline);
  ASSERT_TRUE(two.ok());
  EXPECT_EQ(wire::ToJson(two->as_struct, wire::FieldNames::kCamelCase),
            R"({"pipeline_spec":{"pipelineInfo":{"name":"t"},"root":{},"schemaVersion":"2.1.0"},)"
            R"("platform_spec":{"platforms":{"kubernetes":{}}}})");
}

TEST(LoadPackage, RefusesTextOverItsLimit) {
  EXPECT_EQ(LoadPackage("a: 12345", {.text_bytes = 7}).status().message(),
            "the package has 8 bytes, at most 7 are read");
}

}  // namespace
}  // namespace caudal::spec
