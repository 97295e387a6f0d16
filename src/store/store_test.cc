#include "store/store.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <atomic>
#include <thread>

#include "base/file.h"
#include "engine/testing/pipelines.h"
#include "store/rows.h"
#include "store/run_log.h"

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

TEST(Store, AVersionOfADeletedPipelineIsNotFound) {
  auto store = Store::Open(":memory:");
  ASSERT_TRUE(store.ok());
  PipelineVersion version;
  version.pipeline_key = 7;
  version.pipeline_id = "gone";
  const Status inserted =
      (*store)->Write([&](sql::Database& database) { return InsertVersion(database, &version); });
  EXPECT_EQ(inserted.code(), base::Code::kNotFound) << inserted.ToString();
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

TEST(Store, AFullDiskIsToldAsSuchToAllWhoWroteTogether) {
  const std::string dir = FreshDir();
  auto store = Store::Open(dir + "/db");
  ASSERT_TRUE(store.ok());
  const auto pages = [&](const std::string& most) {
    return (*store)->writer_for_test().Query("PRAGMA max_page_count=" + most, {},
                                             [](const sql::Row&) {});
  };
  ASSERT_TRUE(pages("60").ok());
  std::atomic<int> failures = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 32; ++i) {
    threads.emplace_back([&, i] {
      Experiment row = Named("e" + std::to_string(i));
      row.description.assign(20'000, 'x');
      const Status written = (*store)->Write(
          [&](sql::Database& database) { return InsertExperiment(database, &row); });
      if (written.ok()) return;
      ++failures;
      EXPECT_EQ(written.code(), base::Code::kResourceExhausted) << written.ToString();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(failures, 0);
  ASSERT_TRUE(pages("1000000").ok());
  EXPECT_TRUE(Insert(**store, "later").ok());
  ASSERT_TRUE(base::RemoveTree(dir).ok());
}

// One event after another of a run whose pipeline is long.
TEST(Store, WhatAnEventWritesDoesNotGrowWithThePipeline) {
  const std::string dir = FreshDir();
  auto store = Store::Open(dir + "/db");
  ASSERT_TRUE(store.ok());
  store::Run row;
  row.id = "run";
  row.spec.assign(2'000'000, 'x');
  ASSERT_TRUE(
      (*store)->Write([&](sql::Database& database) { return InsertRun(database, &row); }).ok());
  const auto written = [&] {
    struct stat info {};
    return stat((dir + "/db-wal").c_str(), &info) == 0 ? info.st_size : 0;
  };
  engine::State state(engine::PipelinePlan("a"));
  const auto step = [&](int64_t seq, v1::RunPhase phase) {
    RunChange change;
    change.run_key = row.key;
    change.seq = seq;
    change.event.set_at(seq);
    change.delta.mutable_run()->set_phase(phase);
    engine::Apply(state, change.event, change.delta);
    change.after = &state;
    return (*store)->Write(
        [&](sql::Database& database) { return CommitRunChange(database, change); });
  };
  const auto before = written();
  ASSERT_GT(before, 2'000'000);
  ASSERT_TRUE(step(1, v1::RUN_PENDING).ok());
  ASSERT_TRUE(step(2, v1::RUN_RUNNING).ok());
  ASSERT_TRUE(step(3, v1::RUN_CANCELING).ok());
  EXPECT_LT(written() - before, 200'000);
  const Status read = (*store)->Read([&](sql::Database& database) -> Status {
    CAUDAL_ASSIGN(const store::Run stored, GetRun(database, "run"));
    EXPECT_EQ(stored.spec, row.spec);
    EXPECT_EQ(stored.seq, 3);
    return {};
  });
  EXPECT_TRUE(read.ok()) << read.ToString();
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
