#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <random>

#include "spec/internal/yaml.h"

namespace caudal::spec::internal {
namespace {

namespace json = boost::json;

/// The documents as JSON text joined by "|", or the error.
std::string Read(std::string_view text, const PackageLimits& limits = {}) {
  const auto documents = ReadYaml(text, limits);
  if (!documents.ok()) return documents.status().message();
  std::string joined;
  for (const Document& document : *documents) {
    if (&document != &documents->front()) joined += "|";
    joined += json::serialize(document.value);
  }
  return joined;
}

struct Scalar {
  const char* yaml;
  const char* json;
};

class PlainScalar : public testing::TestWithParam<Scalar> {};

// row: E21
TEST_P(PlainScalar, IsReadAsGoReadsIt) { EXPECT_EQ(Read(GetParam().yaml), GetParam().json); }

INSTANTIATE_TEST_SUITE_P(
    Words, PlainScalar,
    testing::Values(Scalar{"yes", "\"yes\""}, Scalar{"no", "\"no\""}, Scalar{"on", "\"on\""},
                    Scalar{"Off", "\"Off\""}, Scalar{"y", "\"y\""}, Scalar{"true", "true"},
                    Scalar{"True", "true"}, Scalar{"TRUE", "true"}, Scalar{"tRue", "\"tRue\""},
                    Scalar{"FALSE", "false"}, Scalar{"null", "null"}, Scalar{"~", "null"},
                    Scalar{"NULL", "null"}, Scalar{"nil", "\"nil\""}, Scalar{"'true'", "\"true\""},
                    Scalar{"\"null\"", "\"null\""}, Scalar{"'1'", "\"1\""},
                    Scalar{"|\n  1\n", "\"1\\n\""}));

INSTANTIATE_TEST_SUITE_P(
    Numbers, PlainScalar,
    testing::Values(Scalar{"1", "1"}, Scalar{"-17", "-17"}, Scalar{"+5", "5"},
                    Scalar{"1_000", "1000"}, Scalar{"0x1F", "31"}, Scalar{"-0x1F", "-31"},
                    Scalar{"0o7", "7"}, Scalar{"010", "8"}, Scalar{"09", "9E0"},
                    Scalar{"0b101", "5"}, Scalar{"0", "0"}, Scalar{"1e3", "1E3"},
                    Scalar{"1.0", "1E0"}, Scalar{".5", "5E-1"}, Scalar{"5.", "5E0"},
                    Scalar{"1E-2", "1E-2"}, Scalar{"9223372036854775807", "9223372036854775807"},
                    Scalar{"-9223372036854775808", "-9223372036854775808"},
                    Scalar{"18446744073709551615", "18446744073709551615"}));

INSTANTIATE_TEST_SUITE_P(
    AlmostNumbers, PlainScalar,
    testing::Values(Scalar{"2.1.0", "\"2.1.0\""}, Scalar{"12:30:45", "\"12:30:45\""},
                    Scalar{"2026-01-31", "\"2026-01-31\""}, Scalar{"0x", "\"0x\""},
                    Scalar{"1e", "\"1e\""}, Scalar{"+", "\"+\""}, Scalar{"-a", "\"-a\""},
                    Scalar{"1.2e3x", "\"1.2e3x\""}, Scalar{"0x1p-2", "\"0x1p-2\""},
                    Scalar{"...x", "\"...x\""}, Scalar{"._5", "\"._5\""},
                    Scalar{"infinity", "\"infinity\""}, Scalar{"1Gi", "\"1Gi\""}));

INSTANTIATE_TEST_SUITE_P(Tags, PlainScalar,
                         testing::Values(Scalar{"!!str 5", "\"5\""}, Scalar{"!!int '5'", "5"},
                                         Scalar{"!!float 5", "5"}, Scalar{"!!bool 'true'", "true"},
                                         Scalar{"!!null ''", "null"}, Scalar{"! 5", "5"},
                                         Scalar{"! '5'", "\"5\""}, Scalar{"!!seq [1]", "[1]"},
                                         Scalar{"!!map {a: 1}", "{\"a\":1}"}));

TEST(ReadYaml, ReadsEveryDocument) {
  EXPECT_EQ(Read("a: 1\n---\n- x\n---\n---\nlast"), "{\"a\":1}|[\"x\"]|null|\"last\"");
  EXPECT_EQ(Read(""), "");
  EXPECT_EQ(Read("# nothing\n"), "");
}

TEST(ReadYaml, MergesWhatIsNotGiven) {
  EXPECT_EQ(Read("- &a {x: 1, y: 2}\n- &b {y: 3, z: 4}\n- {<<: [*a, *b], x: 0}\n- {'<<': 1}"),
            R"([{"x":1,"y":2},{"y":3,"z":4},{"x":0,"y":2,"z":4},{"<<":1}])");
  EXPECT_EQ(Read("{<<: 1}"), "line 1, column 1: '<<' wants a mapping or a list of mappings");
}

TEST(ReadYaml, TakesKeysAsWritten) {
  EXPECT_EQ(Read("{1: a, true: b, ~: c, &k d: 0, *k : 1}"),
            "line 1, column 32: key 'd' is given twice in one mapping");
  EXPECT_EQ(Read("{1: a, true: b}"), R"({"1":"a","true":"b"})");
  EXPECT_EQ(Read("{[a]: b}"), "line 1, column 2: a key must be a string here");
}

TEST(ReadYaml, KnowsAnchorsOnlyInTheirDocument) {
  EXPECT_EQ(Read("- &a 1\n- *a\n- &a 2\n- *a"), "[1,1,2,2]");
  EXPECT_EQ(Read("&a 1\n---\n*a"), "line 3, column 1: no anchor 'a' before this place");
}

TEST(ReadYaml, SaysWhereTheSyntaxIsWrong) {
  EXPECT_EQ(Read("a: 1\n b: 2").substr(0, 26), "line 2, column 3: not YAML");
  EXPECT_EQ(Read("a: \"open").substr(0, 26), "line 1, column 9: not YAML");
  EXPECT_NE(Read("a: \xff").find("not YAML"), std::string::npos);
  EXPECT_NE(Read("a:\n\t- b").find("not YAML"), std::string::npos);
}

TEST(ReadYaml, StopsAtItsLimits) {
  EXPECT_EQ(Read("[[[1]]]", {.depth = 4}), "[[[1]]]");
  EXPECT_EQ(Read("[[[1]]]", {.depth = 3}), "line 1, column 4: nested deeper than 3 levels");
  EXPECT_EQ(Read("[1, 2, 3]", {.nodes = 4}), "[1,2,3]");
  EXPECT_EQ(Read("[1, 2, 3, 4]", {.nodes = 4}),
            "line 1, column 11: more than 4 values, aliases expanded");
  EXPECT_EQ(Read("[abc, defg]", {.expanded_bytes = 6}),
            "line 1, column 7: more than 6 bytes of text, aliases expanded");
  EXPECT_EQ(Read("- &a [x, x]\n- [*a, *a, *a]", {.nodes = 15}),
            "line 2, column 12: more than 15 values, aliases expanded");
}

/// Damages a document in many ways: whatever comes out, nothing may crash or run away.
TEST(ReadYaml, SurvivesDamagedText) {
  const std::string good =
      "a: &x [1, 'two', \"th\\u0041ree\", {b: *x0}]\n<<: {c: !!str 5}\nd: |\n  text\n---\n- *x\n? "
      "k\n: v\n";
  const std::string noise = "[]{}&*!|>'\"%@`:-?#,\n\t \\x0\xff~";
  std::mt19937 random(1);
  for (int i = 0; i < 3000; ++i) {
    std::string text = good;
    for (int j = 0; j < 4; ++j) {
      text[random() % text.size()] = noise[random() % noise.size()];
      if (random() % 3 == 0) text.resize(1 + random() % text.size());
    }
    Read(text, {.depth = 20, .nodes = 1000});
  }
}

}  // namespace
}  // namespace caudal::spec::internal
