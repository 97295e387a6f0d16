#include "server/internal/loopback.h"

#include <gtest/gtest.h>

namespace caudal::server {
namespace {

TEST(Loopback, IsThisMachineOnly) {
  for (const char* host : {"localhost", "::1", "127.0.0.1", "127.0.0.2"}) {
    EXPECT_TRUE(IsLoopback(host)) << host;
  }
  for (const char* host :
       {"", "0.0.0.0", "::", "10.0.0.1", "127.example.org", "127.1", "1270.0.0.1"}) {
    EXPECT_FALSE(IsLoopback(host)) << host;
  }
}

TEST(Loopback, AServerGoesByTheAddressItListensAt) {
  EXPECT_EQ(NamesOf("127.0.0.2").back(), "127.0.0.2");
  EXPECT_EQ(NamesOf("::1"), NamesOf("localhost"));
}

}  // namespace
}  // namespace caudal::server
