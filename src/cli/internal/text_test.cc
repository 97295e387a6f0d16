#include "cli/internal/text.h"

#include <gtest/gtest.h>

#include "cli/internal/wording.h"

namespace caudal::cli {
namespace {

TEST(Text, CountsColumns) {
  EXPECT_EQ(Columns("train"), 5u);
  EXPECT_EQ(Columns("übung …"), 7u);
  EXPECT_EQ(Columns("学習"), 4u);
  EXPECT_EQ(Columns("e\u0301"), 1u);
  EXPECT_EQ(Columns("🚀"), 2u);
  EXPECT_LE(Columns("\xff\xc3"),
            2u);  // no UTF-8: nobody knows, but it must not be read past its end
}

TEST(Text, CutsToColumns) {
  EXPECT_EQ(CutTo("waiting", 7), "waiting");
  EXPECT_EQ(CutTo("waiting", 6), "waiti…");
  EXPECT_EQ(CutTo("学習中", 4), "学…");
  EXPECT_EQ(CutTo("ab", 1), "…");
  EXPECT_EQ(CutTo("ab", 0), "");
}

TEST(Text, CutsPathsAtTheirBeginning) {
  EXPECT_EQ(CutPathTo("/data/objects/02/258/train.csv", 40), "/data/objects/02/258/train.csv");
  EXPECT_EQ(CutPathTo("/data/objects/02/258/train.csv", 20), "…/02/258/train.csv");
  EXPECT_EQ(CutPathTo("/data/train.csv", 8), "…/train…");
}

TEST(Text, ShowsTheLastLineAsATerminalWould) {
  EXPECT_EQ(LastShownLine("epoch 1\nepoch 2\n\n"), "epoch 2");
  EXPECT_EQ(LastShownLine("\r 10%|#  |\r 20%|## |"), " 20%|## |");
  EXPECT_EQ(LastShownLine("\r 10%|#  |\r 20%|## |\r"), " 20%|## |");
  EXPECT_EQ(LastShownLine("\033[32mgreen\033[0m\tx\a\n"), "green    x");
  EXPECT_EQ(LastShownLine("a\033]0;title\ab\033]8;;http://x\033\\c\033(Bd\0337e"), "abcde");
  EXPECT_EQ(LastShownLine("a\u009b31mb\u009d0;title\u009cc\u0085d"), "abcd");
  EXPECT_EQ(LastShownLine("a\033]0;without end"), "a");
  EXPECT_EQ(LastShownLine("a\033["), "a");
  EXPECT_EQ(LastShownLine("a\033"), "a");
  EXPECT_EQ(LastShownLine("a\x9b"
                          "31m"),
            "a\uFFFD31m");
  EXPECT_EQ(LastShownLine(""), "");
  EXPECT_EQ(LastShownLine("\n \n"), "");
}

TEST(Text, NamesCannotCommandATerminal) {
  EXPECT_EQ(Printable("a\033[2Jb\nc\u009b31m"), "a [2Jb c 31m");
  EXPECT_EQ(Printable("übung\xff"), "übung\uFFFD");
}

TEST(Text, NamesFilesWithoutTheirEndings) {
  EXPECT_EQ(FileStem("x/digits.py"), "digits");
  EXPECT_EQ(FileStem("digits.tar.gz"), "digits");
  EXPECT_EQ(FileStem("two.parts.yaml"), "two.parts");
}

TEST(Text, ShowsTheLastLines) {
  EXPECT_EQ(LastShownLines("a\nb\n\nc\n", 3), "b\n\nc\n");
  EXPECT_EQ(LastShownLines("a", 3), "a\n");
  EXPECT_EQ(LastShownLines("", 3), "");
}

TEST(Text, DurationsAndSizes) {
  EXPECT_EQ(DurationText(12'999), "12 ms");
  EXPECT_EQ(DurationText(3'460'000), "3.4 s");
  EXPECT_EQ(DurationText(125'000'000), "2 min 5 s");
  EXPECT_EQ(DurationText(3'780'000'000), "1 h 3 min");
  EXPECT_EQ(RoughDurationText(5'600'000), "6 s");
  EXPECT_EQ(RoughDurationText(89'000'000), "1 min");
  EXPECT_EQ(RoughDurationText(3'600'000'000), "1 h");
  EXPECT_EQ(SizeText(812), "812 B");
  EXPECT_EQ(SizeText(1234), "1.2 kB");
  EXPECT_EQ(SizeText(999'999), "1.0 MB");
  EXPECT_EQ(SizeText(123'456'789), "123 MB");
  EXPECT_EQ(RoughDurationText(4'300'000'000), "1 h 10 min");
}

}  // namespace
}  // namespace caudal::cli
