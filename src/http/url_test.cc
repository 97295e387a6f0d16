#include <gtest/gtest.h>

#include "http/server.h"

namespace caudal::http {
namespace {

TEST(PercentDecode, DecodesEscapesOfEitherCase) {
  EXPECT_EQ(PercentDecode("a%20b%2Fc%2f", false), "a b/c/");
  EXPECT_EQ(PercentDecode("a+b", false), "a+b");
  EXPECT_EQ(PercentDecode("a+b", true), "a b");
  EXPECT_EQ(PercentDecode("%E2%82%AC", false), "\xE2\x82\xAC");
}

TEST(PercentDecode, RefusesBrokenEscapes) {
  EXPECT_EQ(PercentDecode("%", false), std::nullopt);
  EXPECT_EQ(PercentDecode("a%2", false), std::nullopt);
  EXPECT_EQ(PercentDecode("%zz", false), std::nullopt);
}

TEST(ParseQuery, KeepsOrderRepetitionAndEmptyValues) {
  const auto pairs = ParseQuery("b=1&a=x%26y&b=2&flag&empty=&&c=d=e");

  ASSERT_TRUE(pairs);
  const std::vector<std::pair<std::string, std::string>> want = {
      {"b", "1"}, {"a", "x&y"}, {"b", "2"}, {"flag", ""}, {"empty", ""}, {"c", "d=e"}};
  EXPECT_EQ(*pairs, want);
}

TEST(ParseQuery, RefusesABrokenEscape) { EXPECT_FALSE(ParseQuery("a=%4")); }

TEST(Request, FindsTheFirstHeaderOfAName) {
  Request request;
  request.headers = {{"x", "1"}, {"y", "2"}, {"x", "3"}};
  EXPECT_EQ(request.Header("x"), "1");
  EXPECT_EQ(request.Header("z"), "");
}

}  // namespace
}  // namespace caudal::http
