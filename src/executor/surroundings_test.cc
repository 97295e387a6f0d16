#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "executor/local_executor_fixture_test.h"
#include "secrets/secrets.h"

namespace caudal::executor {
namespace {

using v1::AttemptOutcome;
using v1::AttemptSpec;

class SurroundingsTest : public LocalExecutorTest {
 protected:
  void SetSecret(const std::string& name, const std::map<std::string, std::string>& values) {
    ASSERT_TRUE(secrets::Vault(data_dir_).Set(secrets::Kind::kSecret, name, values, false, 1).ok());
  }

  /// Files below the data directory, but the vault's, that hold `text`.
  std::vector<std::string> FilesWith(const std::string& text) {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(data_dir_)) {
      const std::string path = entry.path().string();
      if (!entry.is_regular_file() || path.starts_with(data_dir_ + "/secrets/")) continue;
      const auto content = base::ReadFile(path);
      if (content.ok() && content->find(text) != std::string::npos) found.push_back(path);
    }
    return found;
  }

  void AddVolume(AttemptSpec* spec, const std::string& claim, const std::string& path) {
    auto& volume = *spec->mutable_surroundings()->add_mounted_volumes();
    volume.set_claim(claim);
    volume.set_mount_path(path);
  }

  AttemptOutcome Run(const AttemptSpec& spec) {
    executor_->Launch(spec);
    return recorder_->WaitFinished(spec.attempt_key());
  }
};

INSTANTIATE_TEST_SUITE_P(Isolation, SurroundingsTest, testing::Values("process", "sandbox"),
                         [](const auto& given) { return given.param; });

// row: E229
TEST_P(SurroundingsTest, SecretsReachTheStepAndNoFileThatStays) {
  SetSecret("login", {{"password", "hunter2-and-more"}});
  AttemptSpec spec = Spec(1, "echo \"${#PASSWORD} $PLAIN\"; exec sleep 1000");
  auto* variable = spec.mutable_container()->add_env();
  variable->set_name("PASSWORD");
  variable->set_value("the component's");
  (*spec.mutable_surroundings()->mutable_env())["PLAIN"] = "plain";
  auto& wanted = *spec.mutable_surroundings()->add_env_from_keys();
  wanted.set_name("login");
  wanted.set_key("password");
  wanted.set_variable("PASSWORD");
  spec.mutable_surroundings()->add_notes("a note of the engine");

  executor_->Launch(spec);
  recorder_->WaitStarted(1);
  for (int i = 0; i < 60'000 && Log(1).empty(); ++i) usleep(1000);
  EXPECT_EQ(Log(1), "16 plain\n");
  EXPECT_EQ(FilesWith("hunter2"), std::vector<std::string>());

  Restart({1});  // the next server has none of it and needs none of it
  executor_->Kill(1, "token-1", true);
  const AttemptOutcome outcome = recorder_->WaitFinished(1);
  EXPECT_EQ(outcome.result(), AttemptOutcome::KILLED);
  ASSERT_GE(outcome.provenance().notes_size(), 1);
  std::string notes;
  for (const std::string& note : outcome.provenance().notes()) notes += note + "\n";
  EXPECT_NE(notes.find("a note of the engine"), std::string::npos);
  EXPECT_EQ(FilesWith("hunter2"), std::vector<std::string>());
}

// row: E229
TEST_P(SurroundingsTest, AMissingSecretIsNotedOrFailsTheStart) {
  AttemptSpec spec = Spec(1, "echo \"${PASSWORD:-none}\"");
  auto& wanted = *spec.mutable_surroundings()->add_env_from_keys();
  wanted.set_name("login");
  wanted.set_key("password");
  wanted.set_variable("PASSWORD");

  const AttemptOutcome without = Run(spec);
  EXPECT_EQ(without.result(), AttemptOutcome::SUCCEEDED) << without.error();
  EXPECT_EQ(Log(1), "none\n");
  std::string notes;
  for (const std::string& note : without.provenance().notes()) notes += note + "\n";
  EXPECT_NE(notes.find("caudal secret set login password=VALUE"), std::string::npos) << notes;

  require_secrets_ = true;
  Restart({});
  spec.set_attempt_key(2);
  const AttemptOutcome outcome = Run(spec);
  EXPECT_EQ(outcome.result(), AttemptOutcome::FAILED);
  EXPECT_EQ(outcome.error_code(), "START");
  EXPECT_NE(outcome.error().find("caudal secret set login password=VALUE"), std::string::npos)
      << outcome.error();
}

// row: E229
TEST_P(SurroundingsTest, MountedKeysAreGoneWithTheStep) {
  SetSecret("tls", {{"key", "hunter2"}});
  AttemptSpec spec = Spec(1, "cat /etc/tls/key; echo x 2>/dev/null >/etc/tls/key; ls /etc | wc -l");
  auto& wanted = *spec.mutable_surroundings()->add_mounted_keys();
  wanted.set_name("tls");
  wanted.set_mount_path("/etc/tls");

  const AttemptOutcome outcome = Run(spec);

  if (GetParam() == "process") {
    EXPECT_EQ(outcome.error_code(), "START");
    EXPECT_NE(outcome.error().find("--isolation sandbox"), std::string::npos) << outcome.error();
    return;
  }
  EXPECT_EQ(outcome.result(), AttemptOutcome::SUCCEEDED) << outcome.error();
  EXPECT_TRUE(Log(1).starts_with("hunter2")) << Log(1);
  EXPECT_FALSE(base::PathExists(WorkDir(1) + "/keys"));
}

// row: E231 E232
TEST_P(SurroundingsTest, VolumesOutliveTheStepsThatShareThem) {
  AttemptSpec creation = Spec(1, "");
  creation.set_kind(AttemptSpec::CREATE_VOLUME);
  auto& inputs = *creation.mutable_parameters();
  inputs["pvc_name"].set_string_value("data");
  inputs["size"].set_string_value("1Gi");
  inputs["access_modes"].mutable_list_value()->add_values()->set_string_value("ReadWriteOnce");
  const AttemptOutcome made = Run(creation);
  ASSERT_EQ(made.result(), AttemptOutcome::SUCCEEDED) << made.error();
  EXPECT_EQ(made.parameters().at("name").string_value(), "data");
  EXPECT_EQ(made.token(), "token-1");
  if (GetParam() == "process") return;

  AttemptSpec writer = Spec(2, "echo text > /data/file; echo more > /sub/file");
  AddVolume(&writer, "data", "/data");
  AddVolume(&writer, "data", "/sub");
  writer.mutable_surroundings()->mutable_mounted_volumes(1)->set_sub_path("a/b");
  ASSERT_EQ(Run(writer).result(), AttemptOutcome::SUCCEEDED) << Log(2);
  AttemptSpec reader =
      Spec(3, "cat /mnt/deep/data/file /mnt/deep/data/a/b/file; ls /empty | wc -l");
  AddVolume(&reader, "data", "/mnt/deep/data");
  AddVolume(&reader, "", "/empty");
  ASSERT_EQ(Run(reader).result(), AttemptOutcome::SUCCEEDED) << Log(3);
  EXPECT_EQ(Log(3), "text\nmore\n0\n");

  AttemptSpec deletion = Spec(4, "");
  deletion.set_kind(AttemptSpec::DELETE_VOLUME);
  (*deletion.mutable_parameters())["pvc_name"].set_string_value("data");
  EXPECT_EQ(Run(deletion).result(), AttemptOutcome::SUCCEEDED);
  EXPECT_FALSE(base::PathExists(data_dir_ + "/volumes/data"));
}

TEST_P(SurroundingsTest, AVolumeIsMadeOnceWhateverCrashes) {
  AttemptSpec creation = Spec(1, "");
  creation.set_kind(AttemptSpec::CREATE_VOLUME);
  auto& inputs = *creation.mutable_parameters();
  inputs["pvc_name"].set_string_value("data");
  inputs["size"].set_string_value("1Gi");
  inputs["access_modes"].mutable_list_value()->add_values()->set_string_value("ReadWriteOnce");
  ASSERT_EQ(Run(creation).result(), AttemptOutcome::SUCCEEDED);

  Restart({1});
  EXPECT_EQ(recorder_->WaitFinished(1).result(), AttemptOutcome::SUCCEEDED) << "told once more";

  ASSERT_EQ(unlink((WorkDir(1) + "/outcome.pb").c_str()), 0);
  Restart({1});
  EXPECT_EQ(Run(creation).result(), AttemptOutcome::SUCCEEDED) << "done once more";
}

TEST_P(SurroundingsTest, ALinkPutIntoASubPathIsNotFollowed) {
  if (GetParam() == "process") GTEST_SKIP() << "process isolation mounts nothing";
  ASSERT_TRUE(base::MakeDirs(data_dir_ + "/volumes/data").ok());
  ASSERT_EQ(symlink((data_dir_ + "/work").c_str(), (data_dir_ + "/volumes/data/a").c_str()), 0);
  AttemptSpec spec = Spec(1, "ls /data");
  AddVolume(&spec, "data", "/data");
  spec.mutable_surroundings()->mutable_mounted_volumes(0)->set_sub_path("a");

  const AttemptOutcome outcome = Run(spec);

  EXPECT_EQ(outcome.result(), AttemptOutcome::FAILED);
  EXPECT_EQ(outcome.error_code(), "START") << outcome.error();
}

// row: E241
TEST_P(SurroundingsTest, StepsOfARunShareItsWorkspace) {
  AttemptSpec writer = Spec(1, "echo shared > \"$0/file\"");
  writer.mutable_container()->add_args("{{$.inputs.parameters['folder']}}");
  writer.set_has_workspace(true);
  (*writer.mutable_parameters())["folder"].set_string_value("/kfp-workspace");
  ASSERT_EQ(Run(writer).result(), AttemptOutcome::SUCCEEDED) << Log(1);
  AttemptSpec reader = Spec(2, "cat \"$0/file\"");
  reader.mutable_container()->add_args("{{$.workspace_path}}");
  reader.set_has_workspace(true);
  ASSERT_EQ(Run(reader).result(), AttemptOutcome::SUCCEEDED) << Log(2);
  EXPECT_EQ(Log(2), "shared\n");

  AttemptSpec other = Spec(3, "ls -A \"$0\" | wc -l");
  other.set_run_id("other");
  other.mutable_container()->add_args("{{$.workspace_path}}");
  other.set_has_workspace(true);
  ASSERT_EQ(Run(other).result(), AttemptOutcome::SUCCEEDED);
  EXPECT_EQ(Log(3), "0\n");
}

TEST_P(SurroundingsTest, ImportsDoNotReadWhatStepsMayNotSee) {
  SetSecret("login", {{"password", "hunter2"}});
  AttemptSpec spec = Spec(1, "");
  spec.set_kind(AttemptSpec::IMPORT);
  spec.set_has_workspace(true);
  v1::Artifact& artifact = *(*spec.mutable_artifacts())["artifact"].add_artifacts();
  artifact.set_uri("file://" + data_dir_ + "/secrets/login");

  const AttemptOutcome outcome = Run(spec);

  EXPECT_EQ(outcome.error_code(), "IMPORT");
  EXPECT_NE(outcome.error().find("steps may not see"), std::string::npos) << outcome.error();
  EXPECT_EQ(FilesWith("hunter2"), std::vector<std::string>());
}

TEST_P(SurroundingsTest, TheRealmIsTheEnvironmentAndTheCode) {
  AttemptSpec plain = Spec(1, "true");
  const std::string realm = executor_->Realm(plain);
  EXPECT_TRUE(realm.starts_with("python 3.") || realm == "host") << realm;
  AttemptSpec other = Spec(2, "false");
  EXPECT_EQ(executor_->Realm(other), realm) << "the command is in the fingerprint already";

  other.mutable_settings()->add_code()->set_sha256("abc");
  EXPECT_EQ(executor_->Realm(other), realm + " code abc");
  (*other.mutable_settings()->mutable_env())["TOKEN"] = "hunter2";
  const std::string with_variables = executor_->Realm(other);
  EXPECT_TRUE(with_variables.starts_with(realm + " code abc env ")) << with_variables;
  EXPECT_EQ(with_variables.find("hunter2"), std::string::npos);
  (*other.mutable_settings()->mutable_env())["TOKEN"] = "hunter3";
  EXPECT_NE(executor_->Realm(other), with_variables);
}

TEST_P(SurroundingsTest, BlobsAreThereOrNot) {
  ASSERT_TRUE(base::MakeDirs(data_dir_ + "/objects/01/1").ok());
  std::ofstream(data_dir_ + "/objects/01/1/model") << "x";

  EXPECT_TRUE(executor_->HasBlob("01/1/model"));
  EXPECT_FALSE(executor_->HasBlob("01/1/other"));
  EXPECT_FALSE(executor_->HasBlob(""));
}

}  // namespace
}  // namespace caudal::executor
