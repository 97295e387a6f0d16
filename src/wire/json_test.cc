#include "wire/json.h"

#include <google/protobuf/any.pb.h>
#include <google/protobuf/empty.pb.h>
#include <google/protobuf/wrappers.pb.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <limits>

#include "backend/api/v2beta1/run.pb.h"
#include "google/rpc/status.pb.h"
#include "kubernetes_platform/kubernetes_executor_config.pb.h"
#include "pipeline_spec/pipeline_spec.pb.h"

namespace caudal::wire {
namespace {

using google::protobuf::Value;
using ml_pipelines::PipelineSpec;
using ml_pipelines::PipelineTaskSpec;

template <typename Message>
std::string Error(std::string_view text, UnknownFields unknown = UnknownFields::kReject) {
  Message message;
  return FromJsonText(text, &message, unknown).message();
}

template <typename Message>
std::string Through(std::string_view text, FieldNames names = FieldNames::kCamelCase) {
  Message message;
  const base::Status status = FromJsonText(text, &message);
  return status.ok() ? ToJson(message, names) : status.ToString();
}

std::string GoJson(std::string_view text) {
  Value value;
  const base::Status status = FromJsonText(text, &value);
  return status.ok() ? ValueToGoJson(value) : status.ToString();
}

TEST(FromJson, AcceptsBothSpellingsOfNames) {
  EXPECT_EQ(Through<PipelineTaskSpec>(
                R"({"task_info":{"name":"a"},"cachingOptions":{"enable_cache":true}})"),
            R"({"taskInfo":{"name":"a"},"cachingOptions":{"enableCache":true}})");
  EXPECT_EQ(Through<PipelineTaskSpec>(R"({"taskInfo":{"name":"a"}})", FieldNames::kSnakeCase),
            R"({"task_info":{"name":"a"}})");
}

TEST(FromJson, NamesUnknownFieldsWithTheirPlaceAndTheLikelyMeaning) {
  EXPECT_EQ(Error<PipelineSpec>(R"({"components_1":{}})"),
            "components_1: unknown field, did you mean 'components'");
  EXPECT_EQ(Error<PipelineSpec>(R"({"root":{"dag":{"tasks":{"say":{"taskInf":{}}}}}})"),
            "root.dag.tasks.say.taskInf: unknown field, did you mean 'taskInfo'");
  EXPECT_EQ(Error<PipelineSpec>(R"({"root":{"dag":{"xyzzy":{}}}})"),
            "root.dag.xyzzy: unknown field, known here are tasks, outputs");
  EXPECT_EQ(Error<google::protobuf::Empty>(R"({"a":1})"),
            "a: unknown field, nothing can be given here");
}

TEST(FromJson, DropsUnknownFieldsWhenTold) {
  ml_pipelines::PipelineDeploymentConfig config;
  EXPECT_TRUE(FromJsonText(R"({"@type":"x","executors":{"e":{"container":{"image":"i","z":1}}}})",
                           &config, UnknownFields::kIgnore)
                  .ok());
  EXPECT_EQ(config.executors().at("e").container().image(), "i");
}

TEST(FromJson, CollectsEveryFault) {
  EXPECT_EQ(Error<PipelineTaskSpec>(
                R"({"dependentTasks":["a",7,null],"iteratorPolicy":{"parallelismLimit":1.5},)"
                R"("cachingOptions":{"enableCache":"true"},"triggerPolicy":{"strategy":"LATER"}})"),
            "dependentTasks[1]: wants a string, got 7\n"
            "dependentTasks[2]: wants a value, got null\n"
            "iteratorPolicy.parallelismLimit: wants a whole number (32 bits), got 1.5\n"
            "cachingOptions.enableCache: wants true or false, got \"true\"\n"
            "triggerPolicy.strategy: wants one of TRIGGER_STRATEGY_UNSPECIFIED, "
            "ALL_UPSTREAM_TASKS_SUCCEEDED, ALL_UPSTREAM_TASKS_COMPLETED, got \"LATER\"");
}

TEST(FromJson, StartsPathsWhereTold) {
  PipelineSpec spec;
  const auto faults = FromJson(boost::json::parse(R"({"root":[1]})"), &spec, UnknownFields::kReject,
                               "pipeline_spec");
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_EQ(faults[0].path, "pipeline_spec.root");
  EXPECT_EQ(faults[0].message, "wants an object, got a list");
}

TEST(FromJson, AcceptsNumbersAsProto3Says) {
  using Legacy = ml_pipelines::Value;
  EXPECT_EQ(Through<Legacy>(R"({"intValue":5})"), R"({"intValue":"5"})");
  EXPECT_EQ(Through<Legacy>(R"({"intValue":"-9223372036854775808"})"),
            R"({"intValue":"-9223372036854775808"})");
  EXPECT_EQ(Through<Legacy>(R"({"intValue":1e3})"), R"({"intValue":"1000"})");
  EXPECT_EQ(Through<Legacy>(R"({"doubleValue":"0.5"})"), R"({"doubleValue":0.5})");
  EXPECT_EQ(Through<Legacy>(R"({"doubleValue":3})"), R"({"doubleValue":3})");
  EXPECT_EQ(Through<Legacy>(R"({"doubleValue":"NaN"})"), R"({"doubleValue":"NaN"})");
  EXPECT_EQ(Through<PipelineTaskSpec>(R"({"iteratorPolicy":{"parallelismLimit":"2"}})"),
            R"({"iteratorPolicy":{"parallelismLimit":2}})");
  EXPECT_EQ(Error<Legacy>(R"({"intValue":9223372036854775808})"),
            "intValue: wants a whole number (64 bits), got 9223372036854775808");
  EXPECT_EQ(Error<Legacy>(R"({"intValue":"1x"})"),
            "intValue: wants a whole number (64 bits), got \"1x\"");
  EXPECT_EQ(Error<Legacy>(R"({"doubleValue":""})"), "doubleValue: wants a number, got \"\"");
}

TEST(FromJson, TakesNullAsUnsetExceptForValues) {
  EXPECT_EQ(Through<PipelineTaskSpec>(R"({"taskInfo":null,"dependentTasks":null})"), "{}");
  using Constant = ml_pipelines::ValueOrRuntimeParameter;
  EXPECT_EQ(Through<Constant>(R"({"constant":null})"), R"({"constant":null})");
}

TEST(FromJson, RefusesTwoMembersOfOneChoiceAndBothSpellings) {
  EXPECT_EQ(Error<ml_pipelines::Value>(R"({"intValue":1,"stringValue":"a"})"),
            "stringValue: excludes 'intValue', give only one of them");
  EXPECT_EQ(Error<PipelineTaskSpec>(R"({"taskInfo":{},"task_info":{}})"),
            "task_info: given twice, as 'taskInfo' and as 'task_info'");
}

TEST(FromJson, ReadsTimesAndDurations) {
  using google::protobuf::Duration;
  using google::protobuf::Timestamp;
  EXPECT_EQ(Through<Timestamp>(R"("1970-01-01T00:00:00Z")"), R"("1970-01-01T00:00:00Z")");
  EXPECT_EQ(Through<Timestamp>(R"("2026-01-31T12:00:00.25+02:00")"),
            R"("2026-01-31T10:00:00.250Z")");
  EXPECT_EQ(Through<Timestamp>(R"("1969-12-31T23:59:59.000001Z")"),
            R"("1969-12-31T23:59:59.000001Z")");
  EXPECT_EQ(Through<Duration>(R"("3600s")"), R"("3600s")");
  EXPECT_EQ(Through<Duration>(R"("-1.5s")"), R"("-1.500s")");
  EXPECT_EQ(Error<PipelineTaskSpec>(R"({"retryPolicy":{"backoffDuration":"60"}})"),
            "retryPolicy.backoffDuration: wants seconds such as \"90s\", got \"60\"");
  for (const char* bad :
       {"2026-02-30T00:00:00Z", "2026-01-01 00:00:00Z", "2026-01-01T24:00:00Z",
        "2026-01-01T00:00:00", "2026-01-01T00:00:00Zx", "2026-01-01T00:00:00.Z", "now", ""}) {
    EXPECT_EQ(Error<Timestamp>("\"" + std::string(bad) + "\""),
              "wants a time such as \"2026-01-31T12:00:00Z\", got \"" + std::string(bad) + "\"");
  }
}

TEST(FromJson, ReadsBytes) {
  using google::protobuf::BytesValue;
  EXPECT_EQ(Through<BytesValue>(R"("-_8")"), R"("+/8=")");
  EXPECT_EQ(Through<BytesValue>(R"("YWJj")"), R"("YWJj")");
  EXPECT_EQ(Through<BytesValue>(R"("YQ==")"), R"("YQ==")");
  EXPECT_EQ(Error<BytesValue>(R"("a*b=")"), "wants base64, got \"a*b=\"");
  EXPECT_EQ(Error<BytesValue>(R"("abcde")"), "wants base64, got \"abcde\"");
}

TEST(FromJson, ReadsStructsAndLists) {
  EXPECT_EQ(Through<google::protobuf::Struct>(R"({"b":[1,null,{"c":"x"}],"a":2.50})"),
            R"({"a":2.5,"b":[1,null,{"c":"x"}]})");
  EXPECT_EQ(Through<google::protobuf::ListValue>("[1,[]]"), "[1,[]]");
  EXPECT_EQ(Error<google::protobuf::Struct>("[1]"), "wants an object, got a list");
}

TEST(FromJson, ReadsKubernetesSettings) {
  const std::string text =
      R"({"secretAsEnv":[{"secretName":"s","keyToEnv":[{"secretKey":"k","envVar":"V"}],)"
      R"("optional":false,"secretNameParameter":{"runtimeValue":{"constant":"s"}}}],)"
      R"("nodeSelector":{"labels":{"disk":"ssd"}},"activeDeadlineSeconds":"60"})";
  EXPECT_EQ(Through<kfp_kubernetes::KubernetesExecutorConfig>(text), text);
}

TEST(FromJson, SaysWhereTextIsNotJson) {
  EXPECT_EQ(Error<PipelineSpec>("{\n  \"a\": nil}").substr(0, 27), "not JSON: line 2, column 8:");
  EXPECT_FALSE(Error<PipelineSpec>("").empty());
  EXPECT_FALSE(Error<PipelineSpec>("{} {}").empty());
  EXPECT_FALSE(Error<PipelineSpec>("{").empty());
}

TEST(ParseJson, ReadsNumbersExactly) {
  for (const double number : {123456789012345680000.0, 0.30000000000000004, 5e-324, 1.7e308}) {
    Value value;
    value.set_number_value(number);
    ASSERT_TRUE(FromJsonText(ToJson(value, FieldNames::kCamelCase), &value).ok());
    EXPECT_EQ(value.number_value(), number);
  }
  EXPECT_FALSE(ParseJson("1e999").ok());
}

TEST(ParseJson, RefusesAKeyGivenTwice) {
  EXPECT_EQ(Error<Value>(R"([{"a":{"b":1,"b":2}}])"),
            "an object in the JSON text has one key twice");
}

TEST(ParseJson, BoundsTheNumberOfValues) {
  EXPECT_TRUE(ParseJson("[1,2,3]", {.depth = 10, .nodes = 4}).ok());
  EXPECT_FALSE(ParseJson("[1,2,3,4]", {.depth = 10, .nodes = 4}).ok());
}

TEST(FromJson, BoundsNesting) {
  EXPECT_NE(Error<Value>(std::string(100'000, '[')).find("not JSON"), std::string::npos);
  Value value;
  EXPECT_TRUE(FromJsonText(std::string(150, '[') + std::string(150, ']'), &value).ok());
}

TEST(ToJson, LeavesOutDefaultsButNeverSetMessages) {
  kubeflow::pipelines::backend::api::v2beta1::Run run;
  run.mutable_created_at();
  run.set_run_id("r");
  EXPECT_EQ(ToJson(run, FieldNames::kSnakeCase),
            R"({"run_id":"r","created_at":"1970-01-01T00:00:00Z"})");
}

TEST(ToJson, SortsMapKeys) {
  ml_pipelines::ExecutorInput::Inputs inputs;
  for (const char* name : {"z", "b", "a"}) {
    (*inputs.mutable_parameter_values())[name].set_bool_value(true);
  }
  EXPECT_EQ(ToJson(inputs, FieldNames::kCamelCase),
            R"({"parameterValues":{"a":true,"b":true,"z":true}})");
}

TEST(ToJson, WritesNumbersThatJsonLacksAsNullInValues) {
  Value value;
  value.set_number_value(std::numeric_limits<double>::infinity());
  EXPECT_EQ(ToJson(value, FieldNames::kCamelCase), "null");
}

TEST(ToJson, ReplacesBytesThatAreNotUtf8) {
  Value value;
  value.set_string_value("a\xFF\xED\xA0\x80ü");
  EXPECT_EQ(ToJson(value, FieldNames::kCamelCase),
            "\"a\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDü\"");
}

TEST(ToJson, ExpandsAnyOfKnownType) {
  google::rpc::Status inner, outer;
  inner.set_code(3);
  outer.add_details()->PackFrom(inner);
  EXPECT_EQ(ToJson(outer, FieldNames::kCamelCase),
            R"({"details":[{"@type":"type.googleapis.com/google.rpc.Status","code":3}]})");
}

TEST(ValueToGoJson, EscapesAsGoDoes) {
  EXPECT_EQ(GoJson("{\"b\": [2, 4.0, 6.5], \"a\": \"<&>\\u2028\\u0001\\n\\\"é\", \"c\": {}}"),
            "{\"a\":\"\\u003c\\u0026\\u003e\\u2028\\u0001\\n\\\"é\",\"b\":[2,4,6.5],\"c\":{}}");
}

TEST(ValueToGoJson, WritesNumbersAsGoDoes) {
  EXPECT_EQ(GoJson("[1e20,1e21,0.000001,1e-7,-0.5,1e23,123456789012345680000]"),
            "[100000000000000000000,1e+21,0.000001,1e-7,-0.5,1e+23,123456789012345680000]");
}

TEST(NumberText, IsPlainAndShortest) {
  EXPECT_EQ(NumberText(1), "1");
  EXPECT_EQ(NumberText(0), "0");
  EXPECT_EQ(NumberText(0.1), "0.1");
  EXPECT_EQ(NumberText(-12.75), "-12.75");
  EXPECT_EQ(NumberText(1e20), "100000000000000000000");
  EXPECT_EQ(NumberText(1e23), "100000000000000000000000");
  EXPECT_EQ(NumberText(1.5e-9), "0.0000000015");
}

TEST(ValueText, IsTheTextOfAnyValue) {
  Value value;
  EXPECT_EQ(ValueText(value), "");
  value.set_string_value("a<b");
  EXPECT_EQ(ValueText(value), "a<b");
  value.set_bool_value(false);
  EXPECT_EQ(ValueText(value), "false");
  value.set_number_value(3);
  EXPECT_EQ(ValueText(value), "3");
  value.mutable_list_value()->add_values()->set_string_value("a<b");
  EXPECT_EQ(ValueText(value), "[\"a\\u003cb\"]");
}

TEST(ValueDepth, OfTheDeepestThatMayBeStoredReadsBackInsideOtherMessages) {
  std::string text = "1";
  for (int i = 0; i < kMaxValueDepth; ++i) text = "{\"a\":" + text + "}";
  ml_pipelines::PipelineJob job;
  auto& value = (*job.mutable_runtime_config()->mutable_parameter_values())["p"];
  ASSERT_TRUE(FromJsonText(text, &value).ok());
  EXPECT_EQ(ValueDepth(value), kMaxValueDepth);
  EXPECT_TRUE(job.ParseFromString(std::string(job.SerializeAsString())));
}

TEST(FromValue, IsTheInverseOfToValue) {
  const boost::json::value json = boost::json::parse(R"({"a":[1,2.5,null,true,"x",{}],"b":[]})");
  EXPECT_EQ(FromValue(ToValue(json)), json);
}

}  // namespace
}  // namespace caudal::wire
