#include "cli/internal/completion.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "cli/internal/verbs.h"

namespace caudal::cli {
namespace {

using Words = std::vector<std::string>;

Words OffersFor(const Words& words) {
  Words offers;
  for (const Offer& offer : Complete(words).offers) offers.push_back(offer.word);
  return offers;
}

bool Has(const Words& offers, const std::string& word) {
  return std::find(offers.begin(), offers.end(), word) != offers.end();
}

TEST(Complete, FirstWordsAreNounsAndVerbs) {
  const Words all = OffersFor({""});
  for (const char* word : {"run", "pipeline", "experiment", "server", "context", "secret",
                           "configmap", "doctor", "completion", "version"}) {
    EXPECT_TRUE(Has(all, word)) << word;
    EXPECT_EQ(std::count(all.begin(), all.end(), word), 1) << word;
  }
  EXPECT_FALSE(Has(all, "supervise"));
  EXPECT_FALSE(Has(all, "complete"));
  EXPECT_EQ(OffersFor({"pip"}), Words{"pipeline"});
}

TEST(Complete, AfterANounItsVerbsAndForRunFilesToo) {
  const Completion run = Complete({"run", "l"});
  EXPECT_EQ(run.offers.size(), 2u);  // list, logs
  EXPECT_EQ(run.kind, "file");
  EXPECT_EQ(Complete({"pipeline", ""}).kind, "");
  EXPECT_EQ(OffersFor({"pipeline", "up"}), Words{"upload"});
}

TEST(Complete, FlagsOfTheVerbThatAreNotGivenYet) {
  EXPECT_EQ(OffersFor({"run", "logs", "--f"}), Words{"--follow"});
  EXPECT_EQ(OffersFor({"run", "logs", "-f", "--f"}), Words{});
  EXPECT_TRUE(Has(OffersFor({"run", "-p", "a=1", "--"}), "--param"));
}

TEST(Complete, ValuesOfFlags) {
  EXPECT_EQ(OffersFor({"run", "list", "-o", "j"}), (Words{"json", "jsonl"}));
  const Completion glued = Complete({"run", "list", "--output=y"});
  EXPECT_EQ(glued.before, "--output=");
  EXPECT_EQ(glued.offers[0].word, "yaml");
  EXPECT_EQ(Complete({"run", "list", "-e", ""}).kind, "experiment");
  EXPECT_EQ(Complete({"run", "--params", ""}).kind, "file");
  EXPECT_EQ(Complete({"server", "--data-dir", ""}).kind, "dir");
}

TEST(Complete, PositionalsByTheirPlace) {
  EXPECT_EQ(Complete({"run", "logs", ""}).kind, "run");
  const Completion step = Complete({"run", "logs", "--server", "http://h:1", "7be2", ""});
  EXPECT_EQ(step.kind, "step");
  EXPECT_EQ(step.positionals, Words{"7be2"});
  EXPECT_EQ(step.server, "http://h:1");
  EXPECT_EQ(Complete({"run", "logs", "7be2", "train", ""}).kind, "");
  EXPECT_EQ(Complete({"run", "delete", "a", "b", "c", ""}).kind, "run");
  EXPECT_EQ(OffersFor({"completion", ""}), (Words{"bash", "zsh", "fish"}));
  EXPECT_EQ(OffersFor({"help", "run", "lo"}), Words{"logs"});
}

TEST(Complete, WordsThatAreNoVerbOfferNothing) {
  EXPECT_EQ(OffersFor({"rnu", ""}), Words{});
  EXPECT_EQ(OffersFor({"run", "lst", ""}), Words{});
  EXPECT_EQ(OffersFor({}), Words{});
}

TEST(Complete, EveryKindIsOneThatIsLookedUp) {
  const Words known = {"",         "file",       "dir",     "run",    "step",
                       "pipeline", "experiment", "context", "secret", "configmap"};
  const auto check = [&known](std::string_view completes, std::string_view where) {
    if (completes.find('|') != std::string_view::npos) return;
    size_t begin = 0;
    while (begin <= completes.size()) {
      const size_t end = std::min(completes.find(' ', begin), completes.size());
      EXPECT_TRUE(Has(known, std::string(completes.substr(begin, end - begin)))) << where;
      begin = end + 1;
    }
  };
  for (const Entry& entry : AllVerbs()) {
    check(entry.verb.completes, entry.verb.name);
    for (const Flag& flag : entry.verb.flags) check(flag.completes, flag.name);
  }
}

}  // namespace
}  // namespace caudal::cli
