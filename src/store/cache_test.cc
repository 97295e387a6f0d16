#include "store/cache.h"

#include <gtest/gtest.h>

#include "engine/fingerprint.h"
#include "engine/testing/pipelines.h"
#include "store/recorded_run_test.h"

namespace caudal::store {
namespace {

using base::Status;

// The key of a step with one parameter and one input artifact.
v1::CacheRecord Key(const std::string& value, int64_t artifact = 10) {
  static const ml_pipelines::PipelineDeploymentConfig::PipelineContainerSpec kContainer;
  static const ml_pipelines::ComponentOutputsSpec kOutputs;
  google::protobuf::Map<std::string, google::protobuf::Value> parameters;
  parameters["x"].set_string_value(value);
  google::protobuf::Map<std::string, v1::ArtifactList> artifacts;
  artifacts["data"].add_artifacts()->set_key(artifact);
  engine::KeyFacts facts;
  facts.container = &kContainer;
  facts.outputs = &kOutputs;
  facts.parameters = &parameters;
  facts.artifacts = &artifacts;
  v1::CacheRecord record = engine::MakeCacheRecord(facts);
  record.set_realm("host");
  return record;
}

CacheQuestion Question(const v1::CacheRecord& record, const std::string& path = "train") {
  CacheQuestion question;
  question.pipeline_name = "p";
  question.task_path = path;
  question.record = record;
  return question;
}

class CacheTest : public testing::Test {
 protected:
  CacheTest() : store_(*Store::Open(":memory:")) {}

  /// A run whose step `train` has this key and ends so; its output is the run's id.
  std::unique_ptr<RecordedRun> Run(
      const std::string& id, const v1::CacheRecord& record,
      v1::AttemptOutcome::Result result = v1::AttemptOutcome::SUCCEEDED,
      const std::string& name_space = "") {
    auto run = std::make_unique<RecordedRun>(*store_, engine::PipelinePlan("a"), id);
    run->info.set_namespace_(name_space);
    run->next_key = ++last_key_ * 100;
    run->Create({"train"});
    EXPECT_TRUE(Launch(*run, record).ok());
    EXPECT_TRUE(End(*run, result).ok());
    return run;
  }

  static Status Launch(RecordedRun& run, const v1::CacheRecord& record) {
    v1::Event event;
    event.mutable_cache_answered()->set_task(1);
    v1::Delta delta;
    v1::Task& task = *delta.add_tasks();
    task.set_index(1);
    task.set_live_attempt(run.next_key);
    *task.mutable_cache() = record;
    v1::Command::Launch& launch = *delta.add_commands()->mutable_launch();
    launch.set_task(1);
    launch.set_attempt_key(run.next_key++);
    return run.Commit(event, delta);
  }

  static Status End(RecordedRun& run, v1::AttemptOutcome::Result result) {
    const bool succeeds = result == v1::AttemptOutcome::SUCCEEDED;
    const int64_t attempt = run.state.task(1).live_attempt();
    v1::Event event;
    event.mutable_attempt_finished()->set_task(1);
    v1::AttemptOutcome& outcome = *event.mutable_attempt_finished()->mutable_outcome();
    outcome.set_result(result);
    outcome.set_attempt_key(attempt);
    v1::Delta delta;
    v1::Task& task = *delta.add_tasks();
    task.set_index(1);
    task.set_live_attempt(0);
    task.set_state(succeeds ? v1::SUCCEEDED : v1::FAILED);
    if (succeeds) {
      const std::string blob = "xx/" + std::to_string(attempt) + "/model";
      (*outcome.mutable_parameters())["Output"].set_string_value(run.row.id);
      v1::Artifact& artifact = *(*outcome.mutable_artifacts())["model"].add_artifacts();
      artifact.set_key(run.next_key++);
      artifact.set_id("artifact-" + std::to_string(artifact.key()));
      artifact.set_uri("minio://bucket/" + run.row.id + "/model");
      artifact.set_blob(blob);
      v1::StoredObject& object = *outcome.add_objects();
      object.set_bucket("bucket");
      object.set_key(run.row.id + "/model");
      object.set_blob(blob);
      *task.mutable_output_parameters() = outcome.parameters();
      *task.mutable_output_artifacts() = outcome.artifacts();
    }
    return run.Commit(event, delta);
  }

  /// A run whose step takes the outputs of `hit`.
  std::unique_ptr<RecordedRun> RunCached(const std::string& id,
                                         const v1::Event::CacheAnswered::Hit& hit) {
    auto run = std::make_unique<RecordedRun>(*store_, engine::PipelinePlan("a"), id);
    run->Create({"train"});
    v1::Event event;
    event.mutable_cache_answered()->set_task(1);
    *event.mutable_cache_answered()->mutable_hit() = hit;
    v1::Delta delta;
    v1::Task& task = *delta.add_tasks();
    task.set_index(1);
    task.set_state(v1::CACHED);
    *task.mutable_output_parameters() = hit.parameters();
    *task.mutable_output_artifacts() = hit.artifacts();
    EXPECT_TRUE(run->Commit(event, delta).ok());
    return run;
  }

  std::vector<CachedTask> Find(const CacheQuestion& question, int limit = 10) {
    return Found(*store_,
                 [&](sql::Database& database) { return FindCached(database, question, limit); });
  }

  std::string Explain(const CacheQuestion& question) {
    return Found(*store_, [&](sql::Database& database) { return ExplainMiss(database, question); });
  }

  std::vector<v1::CacheEntry> List(const v1::ListCacheEntriesRequest& ask = {}) {
    return Found(*store_,
                 [&](sql::Database& database) { return ListCacheEntries(database, "", ask); });
  }

  base::Result<int64_t> Evict(const v1::EvictCacheEntriesRequest& ask) {
    int64_t count = 0;
    CAUDAL_TRY(store_->Write([&](sql::Database& database) -> Status {
      CAUDAL_ASSIGN(count, EvictCacheEntries(database, "", ask));
      return {};
    }));
    return count;
  }

  Status Write(const Unit& unit) { return store_->Write(unit); }

  std::unique_ptr<Store> store_;
  int64_t last_key_ = 0;
};

// row: E165
TEST_F(CacheTest, AnIdenticalTaskFindsTheOutputs) {
  const auto run = Run("first", Key("1"));
  const auto found = Find(Question(Key("1")));
  ASSERT_EQ(found.size(), 1u);
  const auto& hit = found[0].hit;
  EXPECT_EQ(hit.run_id(), "first");
  EXPECT_FALSE(hit.task_id().empty());
  EXPECT_EQ(hit.parameters().at("Output").string_value(), "first");
  const v1::Artifact& artifact = hit.artifacts().at("model").artifacts(0);
  EXPECT_EQ(artifact.key(), run->next_key - 1);
  EXPECT_EQ(artifact.id(), "artifact-" + std::to_string(artifact.key()));

  RunCached("second", hit);
  EXPECT_EQ(CountRows(*store_, "artifact"), 1);
  EXPECT_EQ(CountRows(*store_, "artifact_use WHERE is_output=1 AND artifact_key=" +
                                   std::to_string(artifact.key())),
            2);
  EXPECT_EQ(List().size(), 1u) << "a hit makes no entry";
}

// row: E167, E170
TEST_F(CacheTest, AnotherParameterOrArtifactIsAMiss) {
  Run("first", Key("1"));
  EXPECT_TRUE(Find(Question(Key("2"))).empty());
  EXPECT_TRUE(Find(Question(Key("1", 11))).empty());
  EXPECT_EQ(Explain(Question(Key("2"))), "input 'x' is \"2\", was \"1\" (in run first)");
  EXPECT_EQ(Explain(Question(Key("1", 11))),
            "artifact 'data' is number 11, was number 10 (in run first)");
}

// row: E173
TEST_F(CacheTest, AnotherPipelineNamespaceOrRealmIsAMiss) {
  Run("first", Key("1"));
  CacheQuestion question = Question(Key("1"));
  question.pipeline_name = "another";
  EXPECT_TRUE(Find(question).empty());
  EXPECT_EQ(Explain(question), "no earlier success of this task");
  question = Question(Key("1"));
  question.name_space = "another";
  EXPECT_TRUE(Find(question).empty());
  question = Question(Key("1"));
  question.record.set_realm("image");
  EXPECT_TRUE(Find(question).empty());
  EXPECT_EQ(Explain(question), "what it runs on is image, was host (in run first)");

  Run("of-a-team", Key("1"), v1::AttemptOutcome::SUCCEEDED, "team");
  ASSERT_EQ(Find(Question(Key("1"))).size(), 1u);
  EXPECT_EQ(Find(Question(Key("1")))[0].hit.run_id(), "first");
  EXPECT_EQ(List().size(), 1u);
}

// row: E174
TEST_F(CacheTest, OnlySuccessMakesAnEntry) {
  Run("failed", Key("1"), v1::AttemptOutcome::FAILED);
  Run("killed", Key("1"), v1::AttemptOutcome::KILLED);
  Run("without-a-key", v1::CacheRecord());
  v1::CacheRecord without_realm = Key("1");
  without_realm.clear_realm();
  Run("without-a-realm", without_realm);
  EXPECT_TRUE(List().empty());
}

// row: E177
TEST_F(CacheTest, TheNewestComesFirstAndOthersStandBy) {
  for (const char* id : {"one", "two", "three", "four"}) Run(id, Key("1"));
  const auto found = Find(Question(Key("1")));
  ASSERT_EQ(found.size(), 3u) << "the oldest is of no more use";
  EXPECT_EQ(found[0].hit.run_id(), "four");
  EXPECT_EQ(found[2].hit.run_id(), "two");
  EXPECT_EQ(Find(Question(Key("1")), 1).size(), 1u);
}

TEST_F(CacheTest, PinnedEntriesStay) {
  Run("one", Key("1"));
  const int64_t id = List()[0].id();
  ASSERT_TRUE(
      Write([&](sql::Database& database) { return PinCacheEntry(database, id, true); }).ok());
  for (const char* run : {"two", "three", "four", "five"}) Run(run, Key("1"));
  EXPECT_EQ(List().size(), 4u);
  EXPECT_TRUE(List().back().pinned());

  v1::EvictCacheEntriesRequest everything;
  everything.set_everything(true);
  EXPECT_EQ(*Evict(everything), 3);
  ASSERT_EQ(List().size(), 1u);
  EXPECT_EQ(List()[0].run_id(), "one");
  v1::EvictCacheEntriesRequest by_id;
  by_id.add_ids(id);
  EXPECT_EQ(*Evict(by_id), 1);
  EXPECT_TRUE(List().empty());
}

TEST_F(CacheTest, AnEntryEndsWithItsOutputs) {
  auto run = Run("first", Key("1"));
  Run("second", Key("1"));
  // The run is retried, and its step with it.
  v1::Event event;
  event.mutable_retry_requested()->set_by("ann");
  v1::Delta delta;
  delta.add_tasks()->set_index(1);
  delta.mutable_tasks(0)->set_fresh(true);
  delta.mutable_tasks(0)->set_state(v1::PENDING);
  ASSERT_TRUE(run->Commit(event, delta).ok());
  ASSERT_EQ(Find(Question(Key("1"))).size(), 1u);
  EXPECT_EQ(Find(Question(Key("1")))[0].hit.run_id(), "second");
  EXPECT_EQ(List().size(), 1u);
}

TEST_F(CacheTest, ArtifactsInUseOutliveTheRunThatMadeThem) {
  const auto first = Run("first", Key("1"));
  const auto cached = RunCached("second", Find(Question(Key("1")))[0].hit);
  const int64_t attempt = 100;
  const auto is_known = [&] {
    return Found(*store_,
                 [&](sql::Database& database) { return IsKnownAttempt(database, attempt); });
  };
  const auto remove = [&](const RecordedRun& run) {
    return Write([&](sql::Database& database) { return DeleteRun(database, run.row.key); });
  };
  ASSERT_TRUE(is_known());
  ASSERT_TRUE(remove(*first).ok());
  EXPECT_TRUE(Find(Question(Key("1"))).empty());
  EXPECT_TRUE(List().empty());
  EXPECT_TRUE(is_known());
  EXPECT_EQ(CountRows(*store_, "artifact"), 1);
  EXPECT_EQ(CountRows(*store_, "object"), 1);
  ASSERT_TRUE(remove(*cached).ok());
  EXPECT_FALSE(is_known());
  for (const char* table : {"artifact", "artifact_use", "object", "task", "task_data", "event",
                            "event_archive", "run_state", "attempt", "cache_entry"}) {
    EXPECT_EQ(CountRows(*store_, table), 0) << table;
  }
}

TEST_F(CacheTest, AMissIsExplainedByTheNearestOfTheNewest) {
  Run("near", Key("1"));
  Run("far", Key("2", 11));
  EXPECT_EQ(Explain(Question(Key("3"))), "input 'x' is \"3\", was \"1\" (in run near)");
  EXPECT_EQ(Explain(Question(Key("1"))), "the outputs of run near are gone");
  EXPECT_EQ(Explain(Question(Key("3"), "another")), "no earlier success of this task");
  for (int i = 0; i < 20; ++i) Run("r" + std::to_string(i), Key(std::to_string(100 + i), 12));
  EXPECT_NE(Explain(Question(Key("3"))).find("(in run r19)"), std::string::npos);
}

TEST_F(CacheTest, EntriesAreShownToTheirUsers) {
  Run("one", Key("1"));
  Run("two", Key("2"));
  Run("three", Key("3"));
  const int64_t entry = Find(Question(Key("2")))[0].entry;
  ASSERT_TRUE(
      Write([&](sql::Database& database) { return TouchCacheEntry(database, entry, 77); }).ok());
  v1::ListCacheEntriesRequest ask;
  ask.set_page_size(2);
  const auto page = List(ask);
  ASSERT_EQ(page.size(), 2u);
  EXPECT_EQ(page[0].run_id(), "three");
  EXPECT_EQ(page[1].run_id(), "two");
  EXPECT_EQ(page[1].hits(), 1);
  EXPECT_EQ(page[1].last_hit_at(), 77);
  EXPECT_EQ(page[1].task_path(), "train");
  EXPECT_EQ(page[1].parts_size(), 0);
  ask.set_before_id(page[1].id());
  ASSERT_EQ(List(ask).size(), 1u);
  EXPECT_EQ(List(ask)[0].run_id(), "one");
  ask.Clear();
  ask.set_task_path("another");
  EXPECT_TRUE(List(ask).empty());

  const auto whole =
      Found(*store_, [&](sql::Database& database) { return GetCacheEntry(database, entry); });
  EXPECT_EQ(whole.fingerprint(), Key("2").fingerprint());
  EXPECT_EQ(whole.parts_size(), Key("2").parts_size());
}

TEST_F(CacheTest, EvictsWhatIsNotUsed) {
  Run("one", Key("1"));
  Run("two", Key("2"));
  v1::EvictCacheEntriesRequest ask;
  EXPECT_EQ(Evict(ask).status().code(), base::Code::kInvalidArgument);
  ask.set_pipeline_name("another");
  EXPECT_EQ(*Evict(ask), 0);
  const int64_t made_at = List().back().created_at();
  const int64_t first = List().back().id();
  ASSERT_TRUE(Write([&](sql::Database& database) {
                return TouchCacheEntry(database, first, made_at + 1'000'000);
              }).ok());
  ask.Clear();
  ask.set_unused_since(made_at + 1);
  EXPECT_EQ(*Evict(ask), 1);
  ASSERT_EQ(List().size(), 1u);
  EXPECT_EQ(List()[0].run_id(), "one");
}

TEST_F(CacheTest, AnUnknownEntryIsNamed) {
  sql::Database& database = store_->writer_for_test();
  const base::Status statuses[] = {GetCacheEntry(database, 77).status(),
                                   PinCacheEntry(database, 77, true),
                                   EvictCacheEntries(database, "",
                                                     [] {
                                                       v1::EvictCacheEntriesRequest ask;
                                                       ask.add_ids(77);
                                                       return ask;
                                                     }())
                                       .status()};
  for (const Status& status : statuses) {
    EXPECT_EQ(status.code(), base::Code::kNotFound);
    EXPECT_NE(status.message().find("77"), std::string::npos);
  }
}

TEST(CachePath, IsTheSameForAllIterations) {
  EXPECT_EQ(WithoutIterations("loop[3]/inner[0]/train"), "loop/inner/train");
  EXPECT_EQ(WithoutIterations("train"), "train");
  EXPECT_EQ(WithoutIterations("loop[12]"), "loop");
  EXPECT_EQ(WithoutIterations("odd[]/x[a]/y]"), "odd[]/x[a]/y]");
  EXPECT_EQ(WithoutIterations(""), "");
}

}  // namespace
}  // namespace caudal::store
