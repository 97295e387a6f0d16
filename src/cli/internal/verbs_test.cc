#include "cli/internal/verbs.h"

#include <gtest/gtest.h>

namespace caudal::cli {
namespace {

using Words = std::vector<std::string>;

std::string NameOf(const Words& words) {
  const FoundVerb found = FindVerb(words);
  return found.entry == nullptr ? "" : std::string(found.entry->verb.name);
}

TEST(FindVerb, RunIsVerbAndNoun) {
  EXPECT_EQ(NameOf({"run", "list"}), "run list");
  EXPECT_EQ(NameOf({"run", "./list"}), "run");
  EXPECT_EQ(NameOf({"run", "list.yaml"}), "run");
  EXPECT_EQ(NameOf({"run", "dir/list"}), "run");
  EXPECT_EQ(NameOf({"run", "pipes.py:train"}), "run");
  EXPECT_EQ(NameOf({"run", "-p", "list=1", "x.yaml"}), "run");
  EXPECT_EQ(NameOf({"run"}), "run");
  EXPECT_EQ(NameOf({"run", "lst"}), "");
  EXPECT_EQ(NameOf({"server"}), "server");
  EXPECT_EQ(NameOf({"server", "--help"}), "server");
  EXPECT_EQ(NameOf({"server", "stop"}), "server stop");
  EXPECT_EQ(NameOf({"pipeline"}), "");
  EXPECT_EQ(FindVerb({"run", "logs", "x"}).words, 2u);
}

TEST(UnknownVerb, NamesTheNearest) {
  EXPECT_EQ(UnknownVerbText({"rnu"}), "unknown command 'rnu', did you mean 'run'?");
  EXPECT_EQ(UnknownVerbText({"--server", "x", "run"}),
            "'--server' stands where a command must; flags come after it: see 'caudal --help'");
  EXPECT_EQ(UnknownVerbText({"zzz"}), "unknown command 'zzz': see 'caudal --help'");
  EXPECT_EQ(UnknownVerbText({"x.yaml"}),
            "unknown command 'x.yaml', to run a pipeline write 'caudal run x.yaml'");
  EXPECT_EQ(UnknownVerbText({"run", "lsit"}),
            "unknown command 'run lsit', did you mean 'run list'? For a file of that name write "
            "./lsit");
  EXPECT_EQ(UnknownVerbText({"pipeline", "uplaod"}),
            "unknown command 'pipeline uplaod', did you mean 'pipeline upload'?");
  EXPECT_EQ(UnknownVerbText({"run", "rerun"}),
            "'caudal run rerun' is not part of this version; for a file of that name write "
            "./rerun");
}

TEST(Overview, ListsEveryVerbThatIsNotHidden) {
  const std::string text = OverviewText();
  for (const Entry& entry : AllVerbs()) {
    const bool is_there = text.find("  " + std::string(entry.verb.name) + " ") != std::string::npos;
    EXPECT_EQ(is_there, !entry.verb.is_hidden) << entry.verb.name;
    EXPECT_LE(entry.verb.summary.size(), 70u) << entry.verb.name;
  }
}

}  // namespace
}  // namespace caudal::cli
