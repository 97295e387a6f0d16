// Runs tests/conformance/expr/*.txt, whose README.md has the form, and what no text can hold.

#include "expr/expr.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <map>

#include "base/file.h"
#include "wire/json.h"

namespace caudal::expr {
namespace {

constexpr char kFolder[] = "tests/conformance/expr";

using Block = std::map<std::string, std::string>;

/// Blocks of "key text" lines; a line that starts with '|' goes on with the one before.
std::vector<Block> ReadBlocks(const std::string& text) {
  std::vector<Block> blocks(1);
  std::string last;
  size_t start = 0;
  while (start < text.size()) {
    const size_t end = std::min(text.find('\n', start), text.size());
    const std::string line = text.substr(start, end - start);
    start = end + 1;
    if (line.empty()) {
      if (!blocks.back().empty()) blocks.emplace_back();
    } else if (line[0] == '|') {
      blocks.back()[last] += "\n" + line.substr(1);
    } else if (line[0] != '#') {
      last = line.substr(0, line.find(' '));
      blocks.back()[last] = last.size() < line.size() ? line.substr(last.size() + 1) : "";
    }
  }
  if (blocks.back().empty()) blocks.pop_back();
  return blocks;
}

google::protobuf::Value ValueOf(const std::string& json) {
  const auto parsed = wire::ParseJson(json);
  EXPECT_TRUE(parsed.ok()) << json;
  return parsed.ok() ? wire::ToValue(*parsed) : google::protobuf::Value();
}

Parameters ParametersFrom(const std::string& json) { return ValueOf(json).struct_value().fields(); }

Artifacts ArtifactsFrom(const std::string& json) {
  Artifacts artifacts;
  const auto lists = wire::ParseJson(json);
  EXPECT_TRUE(lists.ok()) << json;
  for (const auto& [name, list] : lists->as_object()) {
    EXPECT_TRUE(wire::FromJson(list, &artifacts[std::string(name)]).empty()) << json;
  }
  return artifacts;
}

/// "want …", "fails …" or "refused …", as a block says it.
std::string Happened(const Block& block) {
  const auto field = [&](const char* key) {
    const auto found = block.find(key);
    return found == block.end() ? std::string("{}") : found->second;
  };
  const bool condition = block.contains("condition");
  const auto program = Compile(field(condition ? "condition" : "selector"),
                               condition ? Scope::kCondition : Scope::kSelector);
  if (!program.ok()) return "refused " + program.status().message();
  if (condition) {
    const auto result = EvaluateCondition(**program, ParametersFrom(field("on")),
                                          ArtifactsFrom(field("artifacts")));
    if (!result.ok()) return "fails " + result.status().message();
    return *result ? "want true" : "want false";
  }
  const auto result = EvaluateSelector(**program, ValueOf(field("on")));
  if (!result.ok()) return "fails " + result.status().message();
  return "want " + wire::ValueToGoJson(*result);
}

std::string Expected(const Block& block) {
  for (const char* key : {"want", "fails", "refused"}) {
    if (block.contains(key)) return std::string(key) + " " + block.at(key);
  }
  return "";
}

// row: E71 row: E72 row: E77 row: E78 row: E79 row: E80 row: E81 row: E82 row: E83 row: E84
// row: E85 row: E86 row: E87 row: E88 row: E95
TEST(Expr, ConformanceCases) {
  const auto names = base::ListDir(kFolder);
  ASSERT_TRUE(names.ok());
  size_t count = 0;
  for (const std::string& name : *names) {
    if (!name.ends_with(".txt")) continue;
    const auto text = base::ReadFile(std::string(kFolder) + "/" + name);
    ASSERT_TRUE(text.ok());
    Block before;
    for (Block block : ReadBlocks(*text)) {
      for (const char* kept : {"on", "artifacts"}) {
        if (!block.contains(kept) && before.contains(kept)) block[kept] = before[kept];
      }
      before = block;
      if (Expected(block).empty()) continue;
      ++count;
      EXPECT_EQ(Happened(block), Expected(block))
          << name << ": " << block["condition"] << block["selector"];
    }
  }
  EXPECT_GT(count, 100u);
}

ProgramPtr Condition(const std::string& text) {
  auto program = Compile(text, Scope::kCondition);
  EXPECT_TRUE(program.ok()) << program.status().message();
  return program.ok() ? *program : nullptr;
}

std::string Repeated(const std::string& text, size_t count) {
  std::string all;
  for (size_t i = 0; i < count; ++i) all += text;
  return all;
}

TEST(Expr, NamesTheParametersThatAConditionReads) {
  const auto program = Condition(
      "!(inputs.parameter_values['b'] == 'x') && int(inputs.parameter_values.a) > 1 && "
      "inputs.parameter_values[\"b\"] != inputs.parameter_values['c' + 'd'] && "
      "has(inputs.parameter_values.e) && ['f'].exists(k, inputs.parameter_values[k] == 1)");
  ASSERT_TRUE(program);
  EXPECT_EQ(ParametersOf(*program), (std::vector<std::string>{"b", "a", "e"}));
  EXPECT_TRUE(TextOf(*program).starts_with("!(inputs.parameter_values['b']"));
}

TEST(Expr, TextThatIsTooLongOrTooDeepIsRefused) {
  EXPECT_TRUE(Compile("true" + std::string((64 << 10) - 4, ' '), Scope::kCondition).ok());
  EXPECT_EQ(Compile(std::string((64 << 10) + 1, ' '), Scope::kCondition).status().code(),
            base::Code::kInvalidArgument);
  for (const auto& [open, inside, close] :
       std::vector<std::array<std::string, 3>>{{"(", "true", ")"},
                                               {"[", "1", "][0]"},
                                               {"[", "1", "]"},
                                               {"{1:", "1", "}"},
                                               {"dyn(", "1", ")"},
                                               {"true ? true : ", "true", ""},
                                               {"1+(", "1", ")"},
                                               {"", "1", "+1"},
                                               {"", "inputs", ".a"},
                                               {"!(", "true", ")"},
                                               {"-(", "1", ")"}}) {
    for (const size_t depth : {300u, 4'000u}) {
      const auto program =
          Compile(Repeated(open, depth) + inside + Repeated(close, depth), Scope::kSelector);
      ASSERT_FALSE(program.ok()) << open;
      EXPECT_NE(program.status().message().find("nested deeper than 250"), std::string::npos)
          << program.status().message();
    }
  }
  EXPECT_TRUE(Compile(Repeated("(", 249) + "true" + Repeated(")", 249), Scope::kCondition).ok());
}

TEST(Expr, ALongChainIsNoNesting) {
  const auto program = Condition(Repeated("!(1 > 2) && ", 3'000) + "true");
  ASSERT_TRUE(program);
  EXPECT_TRUE(*EvaluateCondition(*program, {}, {}));
}

std::string ErrorOf(const std::string& text, const google::protobuf::Value& value) {
  const auto program = Compile(text, Scope::kSelector);
  if (!program.ok()) return program.status().message();
  return EvaluateSelector(**program, value).status().message();
}

google::protobuf::Value Numbers(int count) {
  google::protobuf::Value value;
  for (int i = 0; i < count; ++i) value.mutable_list_value()->add_values()->set_number_value(i);
  return value;
}

TEST(Expr, WorkIsBounded) {
  const std::string steps = "the expression takes more than 1,000,000 steps over these values";
  const std::string bytes = "the expression makes more than 64 MiB of data";
  const auto thousand = Numbers(1000);
  // nothing absorbs it
  EXPECT_EQ(ErrorOf("list_value.all(a, list_value.all(b, a + b < 1e9)) || true", thousand), steps);
  EXPECT_EQ(ErrorOf("list_value.filter(a, list_value in [list_value]).size()", thousand), steps);
  google::protobuf::Value text;
  text.set_string_value(std::string(1 << 20, 'a'));
  const std::string sum = Repeated("string_value + ", 20) + "string_value";
  EXPECT_EQ(ErrorOf("size(" + sum + ")", text), bytes);
  // shared in memory, but not in what comes out
  EXPECT_EQ(ErrorOf("[" + Repeated("string_value, ", 100) + "1]", text), bytes);
  const std::string twice = "[list_value, list_value].map(x, [x, x]).map(x, [x, x])";
  EXPECT_EQ(ErrorOf("[" + Repeated(twice + ", ", 200) + "1]", thousand), steps);
  const std::string slow =
      "list_value.all(x, '" + std::string(60'000, 'a') + "'.matches('(a|aa|b)*$'))";
  EXPECT_EQ(ErrorOf(slow, thousand), steps);
}

TEST(Expr, PatternsAreBounded) {
  EXPECT_NE(ErrorOf("string_value.matches('((a{900}){900}){9}')", {}).find("regular expression"),
            std::string::npos);
  google::protobuf::Value text;
  text.set_string_value("((a{900}){900}){9}");
  EXPECT_NE(ErrorOf("'a'.matches(string_value)", text).find("regular expression"),
            std::string::npos);
}

TEST(Expr, ResultsAndJsonAreNoDeeperThanAValueMayBe) {
  const auto nested = [](size_t depth) { return Repeated("[", depth) + Repeated("]", depth); };
  EXPECT_EQ(ErrorOf(nested(25), {}), "");
  EXPECT_EQ(ErrorOf(nested(26), {}), "the result is nested deeper than 25");
  google::protobuf::Value text;
  text.set_string_value(nested(25));
  EXPECT_EQ(ErrorOf("parseJson(string_value)", text), "");
  text.set_string_value(nested(26));
  EXPECT_NE(ErrorOf("parseJson(string_value)", text).find("failed to unmarshal JSON"),
            std::string::npos);
}

TEST(Expr, TextThatIsNotUtf8IsRefused) {
  EXPECT_FALSE(Compile("'\xFF' == 'a'", Scope::kCondition).ok());
}

TEST(Expr, EveryShapeOfNegationChainsWorks) {
  // an Elif chain of four branches, as the SDK writes it
  const std::string x = "inputs.parameter_values['pipelinechannel--flip-Output']";
  const auto is = [&](const std::string& word) { return x + " == '" + word + "'"; };
  const auto third = Condition("!(" + is("a") + ") && !(" + is("b") + ") && " + is("c"));
  const auto other = Condition("!(" + is("a") + ") && !(" + is("b") + ") && !(" + is("c") + ")");
  ASSERT_TRUE(third && other);
  for (const std::string word : {"a", "b", "c", "d"}) {
    Parameters parameters;
    parameters["pipelinechannel--flip-Output"].set_string_value(word);
    EXPECT_EQ(*EvaluateCondition(*third, parameters, {}), word == "c");
    EXPECT_EQ(*EvaluateCondition(*other, parameters, {}), word == "d");
  }
}

}  // namespace
}  // namespace caudal::expr
