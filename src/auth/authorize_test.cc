#include "auth/authorize.h"

#include <gtest/gtest.h>

namespace caudal::auth {
namespace {

TEST(Authorize, LocalUserOwnsTheOneNamespace) {
  EXPECT_TRUE(Authorize(LocalUser(), {Verb::kDelete, Resource::kRun}, "", "local").ok());
}

TEST(Authorize, NobodyElseAndNowhereElse) {
  EXPECT_EQ(Authorize({"ann", false}, {Verb::kGet, Resource::kRun}, "", "local").code(),
            base::Code::kPermissionDenied);
  const auto denied = Authorize(LocalUser(), {Verb::kDelete, Resource::kRun}, "team-b", "bob");
  EXPECT_EQ(denied.message(), "'local' may not delete a run of 'bob' in namespace 'team-b'");
}

}  // namespace
}  // namespace caudal::auth
