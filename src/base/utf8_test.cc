#include "base/utf8.h"

#include <gtest/gtest.h>

namespace caudal::base {
namespace {

TEST(IsUtf8, KnowsTheLimits) {
  for (const char* good :
       {"", "a", "\xc2\x80", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(IsUtf8(good)) << good;
  }
  for (const char* bad :
       {"\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc2", "a\xff"}) {
    EXPECT_FALSE(IsUtf8(bad));
  }
}

TEST(ToUtf8, ReplacesWhatIsNoCharacter) {
  EXPECT_EQ(ToUtf8(""), "");
  EXPECT_EQ(ToUtf8("größe"), "größe");
  EXPECT_EQ(ToUtf8("caf\xe9 x"), "caf\xef\xbf\xbd x");
  EXPECT_EQ(ToUtf8("\xc3\xc3\xb6\xff"), "\xef\xbf\xbdö\xef\xbf\xbd");
}

TEST(Shortened, CutsBetweenCharacters) {
  EXPECT_EQ(Shortened("größe", 7), "größe");
  EXPECT_EQ(Shortened("größe", 6), "größ…");
  EXPECT_EQ(Shortened("größe", 3), "gr…");
  EXPECT_EQ(Shortened("\x80\x80", 1), "…");
}

}  // namespace
}  // namespace caudal::base
