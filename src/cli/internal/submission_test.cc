#include "cli/internal/submission.h"

#include <gtest/gtest.h>

#include <array>

namespace caudal::cli {
namespace {

constexpr std::array kFlags = {Flag{"--param", "-p", "NAME=VALUE", "", true},
                               Flag{"--env", "", "NAME", "", true},
                               Flag{"--with", "", "PATH", "", true}, Flag{"--no-cache", "", "", ""},
                               Flag{"--json", "", "", ""}};
constexpr Verb kVerb = {"run", "FILE", "", kFlags, ""};

std::string Again(const std::vector<std::string>& words) {
  const auto arguments = ParseArguments(kVerb, words);
  EXPECT_TRUE(arguments.ok()) << arguments.status().message();
  return AgainCommand(*arguments);
}

TEST(AgainCommand, IsWhatASubmissionWasMadeOf) {
  EXPECT_EQ(Again({"a b.yaml", "-p", "n=it's", "--with", "pkg", "--no-cache", "--json"}),
            "caudal run 'a b.yaml' -p 'n=it'\\''s' --with pkg --no-cache");
}

// It is printed, and what is printed ends in the logs of build servers.
TEST(AgainCommand, ShowsNoValueOfAVariable) {
  EXPECT_EQ(Again({"a.yaml", "--env", "TOKEN=hunter2", "--env", "USER"}),
            "caudal run a.yaml --env TOKEN --env USER");
}

}  // namespace
}  // namespace caudal::cli
