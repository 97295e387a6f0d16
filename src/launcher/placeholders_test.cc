#include "launcher/internal/placeholders.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <fstream>

#include "base/file.h"
#include "wire/json.h"

namespace caudal::launcher::internal {
namespace {

constexpr char kCases[] = "tests/conformance/placeholders/";

struct Case {
  int line = 0;
  std::string word;
  std::vector<std::string> want;
  std::string fault;
};

std::vector<Case> ReadCases(const std::string& path) {
  std::ifstream file(path);
  std::vector<Case> cases;
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    if (line.starts_with("word ")) {
      cases.push_back({number, line.substr(5), {}, ""});
    } else if (line.starts_with("want ")) {
      cases.back().want.push_back(line.substr(5));
    } else if (line.starts_with("fault ")) {
      cases.back().fault = line.substr(6);
    } else {
      EXPECT_TRUE(line.empty() || line.starts_with('#')) << path << ":" << number;
    }
  }
  return cases;
}

v1::AttemptSpec ReadSpec() {
  v1::AttemptSpec spec;
  const auto text = base::ReadFile(std::string(kCases) + "spec.json");
  EXPECT_TRUE(text.ok()) << text.status().ToString();
  const base::Status read = wire::FromJsonText(*text, &spec);
  EXPECT_TRUE(read.ok()) << read.ToString();
  return spec;
}

Places Sandboxed() { return Places{true, "/data/work/258"}; }

TEST(Placeholders, FollowTheTable) {
  const v1::AttemptSpec spec = ReadSpec();
  auto placeholders = Placeholders::Make(spec, Sandboxed());
  const std::vector<Case> cases = ReadCases(std::string(kCases) + "cases.txt");
  EXPECT_GT(cases.size(), 40u);

  for (const Case& one : cases) {
    SCOPED_TRACE("cases.txt:" + std::to_string(one.line) + ": " + one.word);
    const auto words = placeholders.Words(one.word);
    if (!one.fault.empty()) {
      ASSERT_FALSE(words.ok());
      EXPECT_NE(words.status().message().find(one.fault), std::string::npos)
          << words.status().message();
      continue;
    }
    ASSERT_TRUE(words.ok()) << words.status().ToString();
    EXPECT_EQ(*words, one.want);
  }
}

TEST(Placeholders, WholeInputIsJsonWithDefaults) {
  const v1::AttemptSpec spec = ReadSpec();
  auto placeholders = Placeholders::Make(spec, Sandboxed());

  const auto text = placeholders.Replace("{{$}}");

  ASSERT_TRUE(text.ok());
  const auto input = boost::json::parse(*text);
  const auto& values = input.at("inputs").at("parameterValues").as_object();
  EXPECT_EQ(values.at("lr"), 0.1);
  EXPECT_EQ(values.at("n"), 3);
  EXPECT_EQ(values.at("hello"), "hello {{$.inputs.parameters['chain']}}!");
  EXPECT_FALSE(values.contains("optional"));
  EXPECT_FALSE(values.contains("nothing"));
  const auto& outputs = input.at("outputs");
  EXPECT_EQ(outputs.at("parameters").at("n").at("outputFile"), "/tmp/kfp/outputs/n");
  EXPECT_EQ(outputs.at("outputFile"),
            "/minio/mlpipeline/v2/artifacts/pipe/run-1/train/uuid/output_metadata.json");
  const auto& log = outputs.at("artifacts").at("executor-logs").at("artifacts").at(0);
  EXPECT_EQ(log.at("type").at("schemaTitle"), "system.Artifact");
  EXPECT_EQ(log.at("uri"), "minio://mlpipeline/v2/artifacts/pipe/run-1/train/uuid/executor-logs-0");
  const auto& data = input.at("inputs").at("artifacts").at("data").at("artifacts").at(0);
  EXPECT_EQ(data.at("name"), "17");
  EXPECT_EQ(data.at("metadata").at("rows"), 10);
}

TEST(Placeholders, OutputFileIsGivenEvenWithoutInputsAndOutputs) {
  v1::AttemptSpec spec;
  spec.set_task_root("s3://b/root");

  auto placeholders = Placeholders::Make(spec, Sandboxed());

  const auto input = boost::json::parse(*placeholders.Replace("{{$}}"));
  EXPECT_EQ(input.at("outputs").at("outputFile"), "/s3/b/root/output_metadata.json");
}

TEST(Placeholders, ValueWithQuotesKeepsTheInputJson) {
  v1::AttemptSpec spec;
  (*spec.mutable_parameters())["a"].set_string_value("say \"hi\"\\\n");
  (*spec.mutable_parameters())["b"].set_string_value("<{{$.inputs.parameters['a']}}>\"{{$}}");

  auto placeholders = Placeholders::Make(spec, Sandboxed());

  const auto input = boost::json::parse(*placeholders.Replace("{{$}}"));
  EXPECT_EQ(input.at("inputs").at("parameterValues").at("b"),
            "<{{$.inputs.parameters['a']}}>\"{{$}}");
}

TEST(Placeholders, ProcessIsolationGivesHostPaths) {
  const v1::AttemptSpec spec = ReadSpec();
  const Places places{false, "/data/work/258"};
  auto placeholders = Placeholders::Make(spec, places);

  EXPECT_EQ(*placeholders.Replace("{{$.inputs.artifacts['data'].path}}"),
            "/data/work/258/fs/minio/mlpipeline/v2/a/data");
  EXPECT_EQ(*placeholders.Replace("{{$.outputs.parameters['n'].output_file}}"),
            "/data/work/258/params/n");
}

}  // namespace
}  // namespace caudal::launcher::internal
