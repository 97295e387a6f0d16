#include "base/quantity.h"

#include <gtest/gtest.h>

namespace caudal::base {
namespace {

TEST(Quantity, ReadsWhatKubernetesReads) {
  EXPECT_EQ(ParseQuantity("500m", 1000), 500);
  EXPECT_EQ(ParseQuantity("0.1", 1000), 100);
  EXPECT_EQ(ParseQuantity("2", 1000), 2000);
  EXPECT_EQ(ParseQuantity("1e3", 1), 1000);
  EXPECT_EQ(ParseQuantity("1.5Gi", 1), 1'610'612'736);
  EXPECT_EQ(ParseQuantity("1G", 1), 1'000'000'000);
  EXPECT_EQ(ParseQuantity("1n", 1000), 1);  // rounded up: asking for something is not nothing
}

TEST(Quantity, RefusesTheRest) {
  for (const char* text : {"", "x", "-1", "1 Gi", "1gi", "nan", "inf", "1e400", "9e18Ei"}) {
    EXPECT_FALSE(ParseQuantity(text, 1).has_value()) << text;
  }
}

}  // namespace
}  // namespace caudal::base
