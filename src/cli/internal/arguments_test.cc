#include "cli/internal/arguments.h"

#include <gtest/gtest.h>

#include <array>
#include <set>

#include "cli/internal/verbs.h"

namespace caudal::cli {
namespace {

constexpr std::array kFlags = {Flag{"--param", "-p", "NAME=VALUE", "a parameter", true},
                               Flag{"--data-dir", "", "DIR", "where"},
                               Flag{"--json", "", "", "prints JSON"}};
constexpr Verb kVerb = {"run", "FILE", "Runs.", kFlags, "caudal run a.yaml\ncaudal run b.yaml"};
constexpr Verb kPlainVerb = {"version", "", "Prints.", {}, ""};

using Words = std::vector<std::string>;

std::string FaultOf(const Words& words, const Verb& verb = kVerb) {
  return ParseArguments(verb, words).status().message();
}

TEST(Arguments, ReadsEveryFormOfAFlag) {
  const auto arguments = ParseArguments(
      kVerb, {"-p", "a=1", "-pb=2", "--param=c=3", "file.yaml", "--json", "--data-dir=/d"});
  ASSERT_TRUE(arguments.ok()) << arguments.status().message();
  EXPECT_EQ(arguments->All("--param"), (Words{"a=1", "b=2", "c=3"}));
  EXPECT_EQ(arguments->positionals(), Words{"file.yaml"});
  EXPECT_TRUE(arguments->Has("--json"));
  EXPECT_EQ(arguments->Get("--data-dir"), "/d");
  EXPECT_EQ(arguments->Get("--absent", "otherwise"), "otherwise");
}

TEST(Arguments, TakesWhatFollowsTwoDashesAsItIs) {
  const auto arguments = ParseArguments(kVerb, {"--", "--json"});
  ASSERT_TRUE(arguments.ok());
  EXPECT_EQ(arguments->positionals(), Words{"--json"});
  EXPECT_FALSE(arguments->Has("--json"));
}

TEST(Arguments, AValueMayLookLikeAFlag) {
  const auto arguments = ParseArguments(kVerb, {"file.yaml", "-p", "--json"});
  ASSERT_TRUE(arguments.ok());
  EXPECT_EQ(arguments->Get("--param"), "--json");
}

TEST(Arguments, EveryFaultIsNamed) {
  EXPECT_EQ(FaultOf({"--data-dri", "/d"}), "unknown flag '--data-dri', did you mean '--data-dir'?");
  EXPECT_EQ(FaultOf({"--zzz"}), "unknown flag '--zzz': see 'caudal run --help'");
  EXPECT_EQ(FaultOf({"--json=1"}), "flag '--json' takes no value, got \"1\"");
  EXPECT_EQ(FaultOf({"--data-dir"}), "flag '--data-dir' wants a value: --data-dir DIR");
  EXPECT_EQ(FaultOf({"--data-dir=a", "--data-dir=b"}),
            "flag '--data-dir' is given twice: \"a\" and \"b\"");
  EXPECT_EQ(FaultOf({"x"}, kPlainVerb), "'x' is one word too many: see 'caudal version --help'");
  EXPECT_EQ(FaultOf({"a.yaml", "b.yaml"}),
            "'b.yaml' is one word too many: see 'caudal run --help'");
  EXPECT_EQ(FaultOf({"--json"}), "too few words, want caudal run FILE: see 'caudal run --help'");
  EXPECT_EQ(FaultOf({"--jsn", "--zzz"}),
            "unknown flag '--jsn', did you mean '--json'?\n"
            "unknown flag '--zzz': see 'caudal run --help'");
}

TEST(Arguments, CountsThePositionalsOfAVerb) {
  const auto count = [](std::string_view positional) {
    const PositionalCount found = CountPositionals({"v", positional, "", {}, ""});
    return std::pair(found.least, found.most);
  };
  EXPECT_EQ(count(""), (std::pair<size_t, size_t>(0, 0)));
  EXPECT_EQ(count("NAME URL"), (std::pair<size_t, size_t>(2, 2)));
  EXPECT_EQ(count("[RUN] [STEP]"), (std::pair<size_t, size_t>(0, 2)));
  EXPECT_EQ(count("RUN…"), (std::pair<size_t, size_t>(1, SIZE_MAX)));
  EXPECT_EQ(count("[RUN…]"), (std::pair<size_t, size_t>(0, SIZE_MAX)));
}

TEST(Arguments, HelpShowsFlagsAndExamples) {
  EXPECT_EQ(HelpText(kVerb),
            "caudal run FILE [flags]\n"
            "  Runs.\n"
            "\n"
            "Flags\n"
            "  -p, --param NAME=VALUE …  a parameter\n"
            "  --data-dir DIR            where\n"
            "  --json                    prints JSON\n"
            "\n"
            "Examples\n"
            "  caudal run a.yaml\n"
            "  caudal run b.yaml\n");
}

TEST(Arguments, Durations) {
  EXPECT_EQ(*ParseDurationMillis("15m"), 900'000);
  EXPECT_EQ(*ParseDurationMillis("90"), 90'000);
  EXPECT_EQ(*ParseDurationMillis("250ms"), 250);
  EXPECT_EQ(*ParseDurationMillis("30d"), 30 * 86'400'000LL);
  EXPECT_EQ(*ParseDurationMillis("1.5s"), 1500);
  for (const char* text : {"", "m", "-1s", "5 m", "5x", "1e300h", "inf"}) {
    EXPECT_FALSE(ParseDurationMillis(text).ok()) << text;
  }
}

TEST(Arguments, Sizes) {
  EXPECT_EQ(*ParseBytes("1GiB"), 1LL << 30);
  EXPECT_EQ(*ParseBytes("2MB"), 2'000'000);
  EXPECT_EQ(*ParseBytes("17"), 17);
  for (const char* text : {"", "GiB", "-1", "1gib", "1e30"}) {
    EXPECT_FALSE(ParseBytes(text).ok()) << text;
  }
}

TEST(Arguments, IntegersKeepTheirBounds) {
  EXPECT_EQ(*ParseInteger("0", 0, 65535), 0);
  EXPECT_EQ(ParseInteger("70000", 0, 65535).status().message(),
            "wants a whole number from 0 to 65535, got \"70000\"");
  EXPECT_FALSE(ParseInteger("1.5", 0, 9).ok());
  EXPECT_FALSE(ParseInteger("99999999999999999999", 0, 9).ok());
}

TEST(Verbs, EveryVisibleVerbHasAnExampleThatParses) {
  for (const Entry& entry : AllVerbs()) {
    if (entry.verb.is_hidden) continue;
    const std::string start = "caudal " + std::string(entry.verb.name);
    std::string_view examples = entry.verb.examples;
    ASSERT_FALSE(examples.empty()) << entry.verb.name;
    while (!examples.empty()) {
      const size_t end = std::min(examples.find('\n'), examples.size());
      const std::string line(examples.substr(0, end));
      examples.remove_prefix(std::min(end + 1, examples.size()));
      ASSERT_EQ(line.rfind(start, 0), 0u) << line;
      Words words;
      std::string rest = line.substr(start.size());
      for (size_t at = rest.find_first_not_of(' '); at != std::string::npos;
           at = rest.find_first_not_of(' ', at)) {
        const size_t stop = std::min(rest.find(' ', at), rest.size());
        words.push_back(rest.substr(at, stop - at));
        at = stop;
      }
      EXPECT_TRUE(ParseArguments(entry.verb, words).ok()) << line;
    }
  }
}

TEST(Verbs, NoFlagIsDeclaredTwice) {
  for (const Entry& entry : AllVerbs()) {
    std::set<std::string_view> seen;
    for (const Flag& flag : entry.verb.flags) {
      EXPECT_TRUE(seen.insert(flag.name).second) << entry.verb.name << " " << flag.name;
    }
  }
}

}  // namespace
}  // namespace caudal::cli
