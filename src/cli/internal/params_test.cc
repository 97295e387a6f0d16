#include "cli/internal/params.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/internal/submission.h"
#include "wire/json.h"

namespace caudal::cli {
namespace {

constexpr char kPipeline[] = R"(
pipelineInfo: {name: params}
schemaVersion: 2.1.0
sdkVersion: kfp-2.14.0
deploymentSpec:
  executors:
    exec-say: {container: {image: busybox, command: [echo, hello]}}
components:
  comp-say: {executorLabel: exec-say}
root:
  dag:
    tasks:
      say: {componentRef: {name: comp-say}, taskInfo: {name: say}}
  inputDefinitions:
    parameters:
      count: {parameterType: NUMBER_INTEGER, isOptional: true}
      flag: {parameterType: BOOLEAN, isOptional: true}
      items: {parameterType: LIST, isOptional: true}
      options: {parameterType: STRUCT, isOptional: true}
      rate: {parameterType: NUMBER_DOUBLE, isOptional: true}
      text: {parameterType: STRING, isOptional: true}
)";

std::shared_ptr<const spec::Plan> MakePlan() {
  auto package = spec::LoadPackage(kPipeline);
  EXPECT_TRUE(package.ok()) << package.status().message();
  auto plan = spec::MakePlan(std::move(package).value());
  EXPECT_TRUE(plan.ok()) << plan.status().message();
  return *plan;
}

struct Case {
  const char* given;
  const char* want;  ///< the value as JSON
};

class Accepted : public testing::TestWithParam<Case> {};

TEST_P(Accepted, BecomesAValueOfItsType) {
  const std::string given = GetParam().given;
  const auto values = ConvertParams(*MakePlan(), {{given}, "", ""});
  ASSERT_TRUE(values.ok()) << values.status().message();
  const std::string name = given.substr(0, given.find('='));
  EXPECT_EQ(wire::ToJson(values->at(name), wire::FieldNames::kSnakeCase), GetParam().want);
}

INSTANTIATE_TEST_SUITE_P(
    Params, Accepted,
    testing::Values(Case{"count=3", "3"}, Case{"count=3.0", "3"}, Case{"count= 3 ", "3"},
                    Case{"count=null", "null"}, Case{"rate=0.1", "0.1"}, Case{"rate=1e3", "1000"},
                    Case{"flag=true", "true"}, Case{"flag=False", "false"},
                    Case{"items=[1, \"a\"]", "[1,\"a\"]"}, Case{"options={\"a\": 1}", "{\"a\":1}"},
                    Case{"text=", "\"\""}, Case{"text=1", "\"1\""}, Case{"text=a=b", "\"a=b\""},
                    Case{"text= x ", "\" x \""}, Case{"text=@@home", "\"@home\""}));

class Refused : public testing::TestWithParam<Case> {};

TEST_P(Refused, NamesParameterValueAndType) {
  const auto values = ConvertParams(*MakePlan(), {{GetParam().given}, "", ""});
  EXPECT_EQ(values.status().message(), GetParam().want);
}

INSTANTIATE_TEST_SUITE_P(
    Params, Refused,
    testing::Values(
        Case{"count=fast", "parameter 'count' wants a whole number (NUMBER_INTEGER), got \"fast\""},
        Case{"count=3.5", "parameter 'count' wants a whole number (NUMBER_INTEGER), got \"3.5\""},
        Case{"count=1e300",
             "parameter 'count' wants a whole number (NUMBER_INTEGER), got \"1e300\""},
        Case{"rate=", "parameter 'rate' wants a number (NUMBER_DOUBLE), got \"\""},
        Case{"flag=yes", "parameter 'flag' wants true or false (BOOLEAN), got \"yes\""},
        Case{"items={}", "parameter 'items' wants a JSON list such as [1, 2] (LIST), got \"{}\""},
        Case{"options=[",
             "parameter 'options' wants a JSON object such as {\"a\": 1} (STRUCT), got \"[\""},
        Case{"coutn=3", "the pipeline has no parameter 'coutn', did you mean 'count'?"},
        Case{"zzzzzz=3",
             "the pipeline has no parameter 'zzzzzz', it takes count, flag, items, options, rate, "
             "text"},
        Case{"count", "parameter \"count\" has no value: write -p name=value"}));

TEST(Params, AllFaultsComeAtOnce) {
  const auto values = ConvertParams(*MakePlan(), {{"count=a", "rate=b"}, "", ""});
  EXPECT_EQ(values.status().message(),
            "parameter 'count' wants a whole number (NUMBER_INTEGER), got \"a\"\n"
            "parameter 'rate' wants a number (NUMBER_DOUBLE), got \"b\"");
}

TEST(Params, AssignmentsWinOverTheFile) {
  const auto values =
      ConvertParams(*MakePlan(), {{"count=2"}, "p.json", R"({"count": 1, "text": "t"})"});
  ASSERT_TRUE(values.ok()) << values.status().message();
  EXPECT_EQ(values->at("count").number_value(), 2);
  EXPECT_EQ(values->at("text").string_value(), "t");
}

TEST(Params, ReadsAValueFromAFile) {
  const std::string path = testing::TempDir() + "/caudal_params_" + std::to_string(getpid());
  ASSERT_TRUE(base::WriteFileAtomic(path, "[1]\n").ok());
  const auto values = ConvertParams(*MakePlan(), {{"items=@" + path, "text=@" + path}, "", ""});
  ASSERT_TRUE(values.ok()) << values.status().message();
  EXPECT_EQ(values->at("items").list_value().values_size(), 1);
  EXPECT_EQ(values->at("text").string_value(), "[1]\n");
  EXPECT_FALSE(ConvertParams(*MakePlan(), {{"items=@/nonexistent"}, "", ""}).ok());
  unlink(path.c_str());
}

TEST(Submission, QuotesForTheShell) {
  EXPECT_EQ(ShellQuote("a-b_c/d.yaml"), "a-b_c/d.yaml");
  EXPECT_EQ(ShellQuote("it's"), "'it'\\''s'");
  EXPECT_EQ(ShellQuote(""), "''");
}

}  // namespace
}  // namespace caudal::cli
