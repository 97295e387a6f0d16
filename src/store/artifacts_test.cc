#include "store/artifacts.h"

#include <gtest/gtest.h>

#include "engine/testing/pipelines.h"
#include "store/recorded_run_test.h"

namespace caudal::store {
namespace {

using base::Status;

v1::Artifact Asked(const std::string& uri, const std::string& type = "system.Dataset") {
  v1::Artifact artifact;
  artifact.set_name("artifact");
  artifact.set_uri(uri);
  artifact.mutable_type()->set_schema_title(type);
  return artifact;
}

class ArtifactsTest : public testing::Test {
 protected:
  ArtifactsTest()
      : store_(*Store::Open(":memory:")), run_(*store_, engine::PipelinePlan("a"), "r") {
    run_.Create({"a", "b"});
  }

  Status Import(v1::Artifact artifact, int64_t key, bool is_known = false, int task = 1) {
    artifact.set_key(key);
    artifact.set_id("artifact-" + std::to_string(key));
    v1::Event event;
    event.mutable_import_answered()->set_task(task);
    event.mutable_import_answered()->set_is_known(is_known);
    *event.mutable_import_answered()->mutable_artifact() = artifact;
    v1::Delta delta;
    v1::Task& record = *delta.add_tasks();
    record.set_index(task);
    record.set_state(v1::SUCCEEDED);
    *(*record.mutable_output_artifacts())["artifact"].add_artifacts() = artifact;
    return run_.Commit(event, delta);
  }

  // Key of what is found, 0 for nothing.
  int64_t Find(const v1::Artifact& asked, const std::string& pipeline = "p",
               const std::string& name_space = "") {
    const auto found = Found(*store_, [&](sql::Database& database) {
      return FindImportable(database, name_space, pipeline, asked);
    });
    return found ? found->key() : 0;
  }

  // "blob size", with a slash for directories; empty for nothing.
  std::string Place(const std::string& uri) {
    const auto found =
        Found(*store_, [&](sql::Database& database) { return FindObject(database, uri); });
    if (!found) return "";
    return found->blob + (found->is_directory ? "/ " : " ") + std::to_string(found->size);
  }

  Status AddObject(const std::string& key, const std::string& blob, int64_t size) {
    return store_->Write([&](sql::Database& database) {
      return database.Execute(
          "INSERT INTO object(bucket, key, blob, size, sha256, run_key) VALUES('b',$1,$2,$3,'',1)",
          {std::string_view(key), std::string_view(blob), size});
    });
  }

  std::unique_ptr<Store> store_;
  RecordedRun run_;
};

// row: E183
TEST_F(ArtifactsTest, AnImportIsFoundByTypeUriAndMetadata) {
  v1::Artifact first = Asked("gs://data/a.csv");
  (*first.mutable_metadata()->mutable_fields())["rows"].set_number_value(5);
  (*first.mutable_metadata()->mutable_fields())["more"].set_string_value("x");
  ASSERT_TRUE(Import(first, 10).ok());

  EXPECT_EQ(Find(first), 10);
  EXPECT_EQ(Find(Asked("gs://data/a.csv")), 10) << "the old one may have more";
  EXPECT_EQ(Find(Asked("gs://data/b.csv")), 0);
  EXPECT_EQ(Find(Asked("gs://data/a.csv", "system.Model")), 0);
  EXPECT_EQ(Find(first, "another pipeline"), 0);
  EXPECT_EQ(Find(first, "p", "another namespace"), 0);
  v1::Artifact other = first;
  (*other.mutable_metadata()->mutable_fields())["rows"].set_number_value(6);
  EXPECT_EQ(Find(other), 0);
  other = first;
  (*other.mutable_metadata()->mutable_fields())["new"].set_bool_value(true);
  EXPECT_EQ(Find(other), 0);

  ASSERT_TRUE(Import(first, 11).ok());
  EXPECT_EQ(Find(first), 11) << "the newest";
}

TEST_F(ArtifactsTest, AKnownArtifactIsUsedNotWrittenAgain) {
  ASSERT_TRUE(Import(Asked("gs://data/a.csv"), 10).ok());
  ASSERT_TRUE(Import(Asked("gs://data/a.csv"), 10, true, 2).ok());
  EXPECT_EQ(CountRows(*store_, "artifact"), 1);
  EXPECT_EQ(CountRows(*store_, "artifact_use WHERE artifact_key=10 AND is_output=1"), 2);
}

// What an attempt brought into the workspace is the artifact that was imported, in whatever
// generation: no second row, and what lies under its URI stays.
TEST_F(ArtifactsTest, AnImportThatIsBroughtIsNoNewArtifact) {
  ASSERT_TRUE(AddObject("root/file", "02/258/file", 7).ok());
  v1::Artifact imported = Asked("minio://b/root/file");
  imported.set_blob("02/258/file");
  ASSERT_TRUE(Import(imported, 10).ok());
  imported.set_key(10);
  imported.set_id("artifact-10");
  v1::Event event;
  event.mutable_attempt_finished()->set_task(1);
  auto& outcome = *event.mutable_attempt_finished()->mutable_outcome();
  *(*outcome.mutable_artifacts())["artifact"].add_artifacts() = imported;
  v1::Delta delta;
  delta.mutable_run()->set_generation(2);

  ASSERT_TRUE(run_.Commit(event, delta).ok());

  EXPECT_EQ(CountRows(*store_, "artifact"), 1);
  EXPECT_EQ(CountRows(*store_, "artifact_use WHERE is_output=1"), 1);
  EXPECT_EQ(Place("minio://b/root/file"), "02/258/file 7");
}

TEST_F(ArtifactsTest, OurOwnObjectsAreFoundByTheirUri) {
  ASSERT_TRUE(AddObject("root/file", "02/258/file", 7).ok());
  ASSERT_TRUE(AddObject("root/dir/a", "02/258/dir/a", 1).ok());
  ASSERT_TRUE(AddObject("root/dir/sub/b", "02/258/dir/sub/b", 2).ok());
  ASSERT_TRUE(AddObject("root/dir-of-another/c", "03/259/c", 4).ok());
  EXPECT_EQ(Place("minio://b/root/file"), "02/258/file 7");
  EXPECT_EQ(Place("s3://b/root/dir"), "02/258/dir/ 3");
  EXPECT_EQ(Place("gs://b/root/dir/"), "02/258/dir/ 3");
  EXPECT_EQ(Place("minio://b/root/dir/sub"), "02/258/dir/sub/ 2");
  EXPECT_EQ(Place("minio://b/root"), "") << "several attempts wrote there";
  EXPECT_EQ(Place("minio://b/root/fil"), "");
  EXPECT_EQ(Place("minio://other/root/file"), "");
  EXPECT_EQ(Place("minio://b"), "");
  EXPECT_EQ(Place("https://b/root/file"), "");
}

}  // namespace
}  // namespace caudal::store
