#include "executor/internal/volumes.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <atomic>
#include <fstream>

#include "base/file.h"
#include "executor/internal/operations.h"
#include "executor/workspaces.h"
#include "secrets/secrets.h"
#include "wire/json.h"

namespace caudal::executor::internal {
namespace {

using v1::AttemptOutcome;
using v1::AttemptSpec;

class VolumesTest : public testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/caudal-volumes-XXXXXX";
    ASSERT_NE(mkdtemp(path), nullptr);
    layout_.data_dir = path;
  }
  void TearDown() override { EXPECT_TRUE(base::RemoveTree(layout_.data_dir).ok()); }

  /// `parameters` as JSON.
  AttemptSpec Spec(AttemptSpec::Kind kind, int64_t key, const std::string& parameters) {
    AttemptSpec spec;
    const base::Status read = wire::FromJsonText("{\"parameters\": " + parameters + "}", &spec);
    EXPECT_TRUE(read.ok()) << read.ToString();
    spec.set_kind(kind);
    spec.set_attempt_key(key);
    spec.set_token("t" + std::to_string(key));
    spec.set_run_id("run");
    return spec;
  }

  AttemptSpec Creation(int64_t key, const std::string& more) {
    return Spec(AttemptSpec::CREATE_VOLUME, key,
                R"({"size": "5Gi", "access_modes": ["ReadWriteMany"])" + more + "}");
  }

  AttemptOutcome Do(const AttemptSpec& spec) {
    return Operate(
        layout_, volumes(), spec, [](const std::string&) { return base::Status(); }, 7);
  }

  Volumes volumes() const { return Volumes(layout_); }

  static std::string NameOf(const AttemptOutcome& outcome) {
    EXPECT_EQ(outcome.result(), AttemptOutcome::SUCCEEDED) << outcome.error();
    const auto found = outcome.parameters().find("name");
    return found == outcome.parameters().end() ? "" : found->second.string_value();
  }

  static void ExpectFault(const AttemptOutcome& outcome, const std::string& part) {
    EXPECT_EQ(outcome.result(), AttemptOutcome::FAILED);
    EXPECT_EQ(outcome.error_code(), "VOLUME");
    EXPECT_NE(outcome.error().find(part), std::string::npos) << outcome.error();
  }

  launcher::Layout layout_;
};

// row: E231
TEST_F(VolumesTest, MakesAndRemovesAFolder) {
  const AttemptOutcome made = Do(Creation(1, R"(, "pvc_name": "data")"));
  EXPECT_EQ(NameOf(made), "data");
  ASSERT_FALSE(made.provenance().notes().empty());
  struct stat info {};
  ASSERT_EQ(stat(layout_.VolumeDir("data").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0777u);
  std::ofstream(layout_.VolumeDir("data") + "/file") << "x";

  const AttemptSpec deletion = Spec(AttemptSpec::DELETE_VOLUME, 2, R"({"pvc_name": "data"})");
  EXPECT_EQ(Do(deletion).result(), AttemptOutcome::SUCCEEDED);
  EXPECT_FALSE(base::PathExists(layout_.VolumeDir("data")));
  EXPECT_EQ(Do(deletion).result(), AttemptOutcome::SUCCEEDED) << "done again after a crash";

  volumes().FreeOthers({2});
  EXPECT_EQ(Do(deletion).result(), AttemptOutcome::SUCCEEDED) << "its outcome is not told yet";
  volumes().Free(2);
  ExpectFault(Do(deletion), "'data' does not exist");
  EXPECT_EQ(NameOf(Do(Creation(3, R"(, "pvc_name": "data")"))), "data");
}

TEST_F(VolumesTest, NamesThatExistAreRefusedButNotToTheirMaker) {
  const AttemptSpec mine = Creation(1, R"(, "pvc_name": "data")");
  EXPECT_EQ(NameOf(Do(mine)), "data");
  std::ofstream(layout_.VolumeDir("data") + "/file") << "x";

  EXPECT_EQ(NameOf(Do(mine)), "data");
  EXPECT_TRUE(base::PathExists(layout_.VolumeDir("data") + "/file"));
  ExpectFault(Do(Creation(2, R"(, "pvc_name": "data")")), "'data' exists already");
  ASSERT_TRUE(base::MakeDirs(layout_.VolumeDir("by-hand")).ok());
  ExpectFault(Do(Creation(3, R"(, "pvc_name": "by-hand")")), "'by-hand' exists already");
}

TEST_F(VolumesTest, GeneratedNamesAreTheAttemptsOwn) {
  const std::string one = NameOf(Do(Creation(1, R"(, "pvc_name_suffix": "-data")")));
  const std::string two =
      NameOf(Do(Creation(2, R"(, "pvc_name_suffix": "-data", "pvc_name": "")")));
  const std::string plain = NameOf(Do(Creation(3, "")));

  EXPECT_TRUE(one.ends_with("-data")) << one;
  EXPECT_NE(one, two);
  EXPECT_EQ(plain.size(), 36u);
  EXPECT_EQ(NameOf(Do(Creation(1, R"(, "pvc_name_suffix": "-data")"))), one);
}

// row: E231
TEST_F(VolumesTest, WrongInputsAreNamed) {
  ExpectFault(Do(Creation(1, R"(, "pvc_name": "a", "pvc_name_suffix": "-b")")),
              "exclude each other");
  ExpectFault(Do(Creation(1, R"(, "pvc_name": "../a")")), "'../a' cannot be the name");
  ExpectFault(Do(Creation(1, R"(, "pvc_name": 5)")), "'pvc_name' must be a text");
  const auto creation = [&](const std::string& inputs) {
    return Do(Spec(AttemptSpec::CREATE_VOLUME, 1, inputs));
  };
  ExpectFault(creation(R"({"access_modes": ["ReadWriteOnce"]})"), "size '' is no quantity");
  ExpectFault(creation(R"({"access_modes": ["ReadWriteOnce"], "size": "5 apples"})"), "5 apples");
  ExpectFault(creation(R"({"size": "1"})"), "'access_modes'");
  ExpectFault(creation(R"({"size": "1", "access_modes": ["ReadWrite"]})"), "'ReadWrite'");
  ExpectFault(Do(Spec(AttemptSpec::DELETE_VOLUME, 1, "{}")), "'pvc_name'");
  ExpectFault(Do(Spec(AttemptSpec::DELETE_VOLUME, 1, R"({"pvc_name": ".claims"})")), "'.claims'");
  EXPECT_FALSE(base::PathExists(layout_.data_dir + "/a"));
}

TEST_F(VolumesTest, WhatMeansNothingHereIsNoted) {
  const AttemptOutcome made =
      Do(Creation(1, R"(, "storage_class_name": "fast", "volume_name": "pv-1",
                       "annotations": {"a": "b"}, "data_source": {"name": "other"})"));

  NameOf(made);
  std::string notes;
  for (const std::string& note : made.provenance().notes()) notes += note + "\n";
  for (const char* part :
       {"5Gi", "ReadWriteMany", "'fast'", "'pv-1'", "annotations", "data_source"}) {
    EXPECT_NE(notes.find(part), std::string::npos) << part;
  }
}

// row: E186
TEST_F(VolumesTest, ImportsReportTheArtifactUnderTheComponentsName) {
  ASSERT_TRUE(base::MakeDirs(layout_.data_dir + "/objects/01/1").ok());
  std::ofstream(layout_.BlobPath("01/1/x")) << "bytes";
  AttemptSpec spec = Spec(AttemptSpec::IMPORT, 1, "{}");
  spec.set_has_workspace(true);
  (*spec.mutable_component()->mutable_output_definitions()->mutable_artifacts())["imported"];
  v1::Artifact& artifact = *(*spec.mutable_artifacts())["artifact"].add_artifacts();
  artifact.set_uri("minio://b/k");
  artifact.set_blob("01/1/x");
  (*artifact.mutable_metadata()->mutable_fields())["rows"].set_number_value(3);

  const AttemptOutcome outcome = Do(spec);

  ASSERT_EQ(outcome.result(), AttemptOutcome::SUCCEEDED) << outcome.error();
  const v1::Artifact& brought = outcome.artifacts().at("imported").artifacts(0);
  EXPECT_EQ(brought.name(), "imported");
  EXPECT_EQ(brought.metadata().fields().at("rows").number_value(), 3);
  EXPECT_TRUE(brought.metadata().fields().at("_kfp_workspace").bool_value());
  EXPECT_TRUE(base::PathExists(layout_.WorkspaceDir("run") + "/.artifacts/minio/b/k"));
}

TEST_F(VolumesTest, WorkspacesGoWithTheirRuns) {
  for (const char* run : {"kept", "Gone/../gone", "asked"}) {
    const std::string files = layout_.WorkspaceDir(run);
    ASSERT_TRUE(base::MakeDirs(files).ok());
    ASSERT_TRUE(base::WriteFileAtomic(files + "/../run_id", run).ok());
  }
  const std::atomic<bool> is_stopping = false;

  SweepWorkspaces(layout_.data_dir, is_stopping, [](const std::string& run) -> base::Result<bool> {
    if (run == "asked") return base::Unavailable("busy");
    return run == "kept";
  });

  EXPECT_TRUE(base::PathExists(layout_.WorkspaceDir("kept")));
  EXPECT_TRUE(base::PathExists(layout_.WorkspaceDir("asked")));
  EXPECT_FALSE(base::PathExists(layout_.WorkspaceDir("Gone/../gone")));
}

TEST_F(VolumesTest, ImportsAskBeforeTheyRead) {
  AttemptSpec spec = Spec(AttemptSpec::IMPORT, 1, "{}");
  spec.set_has_workspace(true);
  (*spec.mutable_artifacts())["artifact"].add_artifacts()->set_uri("/etc/hostname");

  const AttemptOutcome outcome = Operate(
      layout_, volumes(), spec,
      [](const std::string& path) { return base::FailedPrecondition("not " + path); }, 7);

  EXPECT_EQ(outcome.result(), AttemptOutcome::FAILED);
  EXPECT_EQ(outcome.error_code(), "IMPORT");
  EXPECT_EQ(outcome.error(), "not /etc/hostname");
}

}  // namespace
}  // namespace caudal::executor::internal
