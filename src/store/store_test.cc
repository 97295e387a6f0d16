#include "store/store.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <thread>

#include "base/file.h"
#include "store/rows.h"

namespace caudal::store {
namespace {

using base::Status;

std::string FreshDir() {
  char name[] = "/tmp/caudal_store_XXXXXX";
  return mkdtemp(name);
}

Experiment Named(const std::string& name) {
  Experiment row;
  row.id = "id-of-" + name;
  row.name = name;
  return row;
}

Status Insert(Store& store, const std::string& name) {
  Experiment row = Named(name);
  return store.Write([&](sql::Database& database) { return InsertExperiment(database, &row); });
}

bool Has(Store& store, const std::string& name) {
  return store
      .Read([&](sql::Database& database) {
        return GetExperiment(database, "id-of-" + name).status();
      })
      .ok();
}

TEST(Store, KeepsWhatItAcknowledgedOverReopening) {
  const std::string dir = FreshDir();
  {
    auto store = Store::Open(dir + "/db");
    ASSERT_TRUE(store.ok()) << store.status().ToString();
    ASSERT_TRUE(Insert(**store, "a").ok());
  }
  auto store = Store::Open(dir + "/db");
  ASSERT_TRUE(store.ok());
  EXPECT_TRUE(Has(**store, "a"));
  EXPECT_TRUE((*store)->Checkpoint().ok());
  ASSERT_TRUE(base::RemoveTree(dir).ok());
}

TEST(Store, RefusesANewerSchema) {
  const std::string dir = FreshDir();
  {
    auto store = Store::Open(dir + "/db");
    ASSERT_TRUE(store.ok());
    ASSERT_TRUE((*store)
                    ->Write([](sql::Database& database) {
                      return Store::SetMeta(database, "schema", "999");
                    })
                    .ok());
  }
  const auto store = Store::Open(dir + "/db");
  EXPECT_EQ(store.status().code(), base::Code::kFailedPrecondition);
  EXPECT_NE(store.status().message().find("999"), std::string::npos);
  ASSERT_TRUE(base::RemoveTree(dir).ok());
}

TEST(Store, OneUnitsErrorUndoesThatUnitOnly) {
  const std::string dir = FreshDir();
  auto store = Store::Open(dir + "/db");
  ASSERT_TRUE(store.ok());
  ASSERT_TRUE(Insert(**store, "taken").ok());
  std::atomic<int> failures = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 32; ++i) {
    threads.emplace_back([&, i] {
      const bool collides = i % 4 == 0;
      const Status written = Insert(**store, collides ? "taken" : "e" + std::to_string(i));
      if (!written.ok()) ++failures;
      EXPECT_EQ(written.code() == base::Code::kAlreadyExists, collides);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 8);
  for (int i = 0; i < 32; ++i) EXPECT_EQ(Has(**store, "e" + std::to_string(i)), i % 4 != 0) << i;
  ASSERT_TRUE(base::RemoveTree(dir).ok());
}

TEST(Store, FailedCommitIsToldToTheCallerAndLeavesNothing) {
  auto store = Store::Open(":memory:");
  ASSERT_TRUE(store.ok());
  (*store)->writer_for_test().SetFaultHookForTest([](std::string_view sql) {
    return sql == "COMMIT" ? base::ResourceExhausted("disk is full") : Status();
  });
  EXPECT_EQ(Insert(**store, "a").code(), base::Code::kResourceExhausted);
  (*store)->writer_for_test().SetFaultHookForTest(nullptr);
  EXPECT_FALSE(Has(**store, "a"));
  EXPECT_TRUE(Insert(**store, "a").ok());
}

}  // namespace
}  // namespace caudal::store
