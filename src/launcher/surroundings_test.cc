#include <sys/stat.h>

#include <boost/json.hpp>
#include <thread>

#include "launcher/step_fixture_test.h"
#include "secrets/secrets.h"

namespace caudal::launcher {
namespace {

class SurroundingsTest : public StepTest {
 protected:
  void SetUp() override {
    StepTest::SetUp();
    // A data directory has these folders.
    ASSERT_TRUE(base::MakeDirs(layout_.data_dir + "/work").ok());
  }

  const v1::Mount* MountAt(const std::string& target) const {
    for (const v1::Mount& mount : view_.mounts) {
      if (mount.target() == target) return &mount;
    }
    return nullptr;
  }

  void SetSecret(const std::string& name, const std::map<std::string, std::string>& values) {
    secrets::Vault vault(layout_.data_dir);
    ASSERT_TRUE(vault.Set(secrets::Kind::kSecret, name, values, false, 1).ok());
  }

  v1::Surroundings::EnvFromKey& AddVariable(const std::string& name, const std::string& key,
                                            const std::string& variable) {
    auto& wanted = *spec_.mutable_surroundings()->add_env_from_keys();
    wanted.set_name(name);
    wanted.set_key(key);
    wanted.set_variable(variable);
    return wanted;
  }

  v1::Surroundings::MountedKeys& AddFiles(const std::string& name, const std::string& path) {
    auto& wanted = *spec_.mutable_surroundings()->add_mounted_keys();
    wanted.set_name(name);
    wanted.set_mount_path(path);
    return wanted;
  }

  v1::Surroundings::MountedVolume& AddVolume(const std::string& claim, const std::string& path) {
    auto& volume = *spec_.mutable_surroundings()->add_mounted_volumes();
    volume.set_claim(claim);
    volume.set_mount_path(path);
    return volume;
  }

  void ExpectFault(bool sandbox, const std::string& part,
                   base::Code code = base::Code::kFailedPrecondition) {
    const auto view = Stage(layout_, spec_, sandbox);
    ASSERT_FALSE(view.ok());
    EXPECT_EQ(view.status().code(), code);
    EXPECT_TRUE(Has(view.status().message(), part)) << view.status().message();
  }

  static mode_t ModeOf(const std::string& path) {
    struct stat info {};
    EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
    return info.st_mode & 07777;
  }
};

// row: E229, E230
TEST_F(SurroundingsTest, VariablesComeFromTheVaultAndStayOutOfTheRest) {
  SetSecret("login", {{"password", "hunter2"}});
  ASSERT_TRUE(secrets::Vault(layout_.data_dir)
                  .Set(secrets::Kind::kConfigMap, "login", {{"mode", "fast"}}, false, 1)
                  .ok());
  AddVariable("login", "password", "PASSWORD");
  AddVariable("login", "mode", "MODE").set_source(v1::Surroundings::CONFIG_MAP);

  for (const bool sandbox : {true, false}) {
    StageStep(sandbox);

    const std::map<std::string, std::string> want = {{"PASSWORD", "hunter2"}, {"MODE", "fast"}};
    EXPECT_EQ(view_.private_env, want);
    EXPECT_EQ(view_.env.count("PASSWORD"), 0u);
  }
  EXPECT_TRUE(MakeView(layout_, spec_, true)->private_env.empty());
}

TEST_F(SurroundingsTest, WhatIsMissingIsNotedWithTheCommand) {
  AddVariable("login", "password", "PASSWORD");
  AddFiles("settings", "/etc/settings").set_source(v1::Surroundings::CONFIG_MAP);

  StageStep(true);

  EXPECT_TRUE(view_.private_env.empty());
  ASSERT_EQ(view_.notes.size(), 2u);
  EXPECT_NE(view_.notes[0].find("caudal secret set login password=VALUE"), std::string::npos);
  EXPECT_NE(view_.notes[1].find("caudal configmap set settings KEY=VALUE"), std::string::npos);
}

TEST_F(SurroundingsTest, WhatIsRequiredAndMissingNamesTheCommand) {
  layout_.require_secrets = true;
  AddVariable("login", "password", "PASSWORD");
  ExpectFault(true, "caudal secret set login password=VALUE");

  SetSecret("login", {{"user", "hunter2"}});
  ExpectFault(false, "key 'password' of secret 'login', which has no such key");

  spec_.clear_surroundings();
  AddFiles("settings", "/etc/settings").set_source(v1::Surroundings::CONFIG_MAP);
  ExpectFault(true, "caudal configmap set settings KEY=VALUE");
}

TEST_F(SurroundingsTest, WhatIsOptionalAndMissingIsLeftOut) {
  SetSecret("login", {{"user", "u"}});
  AddVariable("login", "password", "A").set_optional(true);
  AddVariable("nobody", "password", "B").set_optional(true);
  AddFiles("nobody", "/etc/nobody").set_optional(true);
  AddFiles("login", "/etc/login").set_optional(true);

  StageStep(true);

  EXPECT_TRUE(view_.private_env.empty());
  EXPECT_EQ(MountAt("/etc/nobody"), nullptr);
  ASSERT_NE(MountAt("/etc/login"), nullptr);
  EXPECT_EQ(Read(MountAt("/etc/login")->source() + "/user"), "u");
}

// row: E229
TEST_F(SurroundingsTest, KeysAreFilesForTheOwnerOnly) {
  SetSecret("tls", {{"tls.crt", "certificate"}, {"tls.key", std::string("k\0y", 3)}});
  AddFiles("tls", "/etc/tls/");

  StageStep(true);

  const v1::Mount* mount = MountAt("/etc/tls");
  ASSERT_NE(mount, nullptr);
  EXPECT_FALSE(mount->writable());
  EXPECT_EQ(mount->source(), Work("keys/0"));
  EXPECT_EQ(Read(Work("keys/0/tls.key")), std::string("k\0y", 3));
  EXPECT_EQ(ModeOf(Work("keys/0/tls.crt")), 0400u);
  EXPECT_EQ(ModeOf(Work("keys/0")), 0500u);

  StageStep(true);  // a second time, over what only the owner may read
  EXPECT_EQ(Read(Work("keys/0/tls.crt")), "certificate");
}

TEST_F(SurroundingsTest, ProcessIsolationCannotMount) {
  SetSecret("tls", {{"k", "v"}});
  AddFiles("tls", "/etc/tls").set_optional(true);
  StageStep(false);
  ASSERT_EQ(view_.notes.size(), 1u);
  EXPECT_TRUE(Has(view_.notes[0], "secret 'tls' is not at '/etc/tls'"));

  AddFiles("tls", "/etc/more");
  ExpectFault(false, "'/etc/more' in process isolation; use --isolation sandbox");
  spec_.clear_surroundings();
  AddVolume("data", "/data");
  ExpectFault(false, "volume claim 'data' cannot be shown at '/data'");
}

// row: E232
TEST_F(SurroundingsTest, ClaimsAreFoldersThatStay) {
  ASSERT_TRUE(base::MakeDirs(layout_.VolumeDir("data")).ok());
  AddVolume("data", "/data");
  AddVolume("data", "/more").set_sub_path("a/./b");

  StageStep(true);

  ASSERT_NE(MountAt("/data"), nullptr);
  EXPECT_EQ(MountAt("/data")->source(), layout_.VolumeDir("data"));
  EXPECT_TRUE(MountAt("/data")->writable());
  ASSERT_NE(MountAt("/more"), nullptr);
  EXPECT_EQ(MountAt("/more")->source(), layout_.VolumeDir("data") + "/a/b");
  EXPECT_EQ(MountAt("/more")->anchor(), layout_.VolumeDir("data"));
  EXPECT_EQ(ModeOf(layout_.VolumeDir("data") + "/a/b"), 0777u);
}

// row: E233
TEST_F(SurroundingsTest, VolumesWithoutAClaimAreEmptyEachTime) {
  AddVolume("", "/scratch");
  StageStep(true);
  ASSERT_NE(MountAt("/scratch"), nullptr);
  Write(MountAt("/scratch")->source() + "/old", "x");

  StageStep(true);

  EXPECT_FALSE(base::PathExists(MountAt("/scratch")->source() + "/old"));
}

TEST_F(SurroundingsTest, SubPathsStayInside) {
  ASSERT_TRUE(base::MakeDirs(layout_.VolumeDir("data")).ok());
  ASSERT_EQ(symlink("/etc", (layout_.VolumeDir("data") + "/link").c_str()), 0);
  auto& volume = AddVolume("data", "/data");

  volume.set_sub_path("link/x");
  ExpectFault(true, "sub path 'link/x' of volume claim 'data'");
  volume.set_sub_path("../secrets");
  ExpectFault(true, "without '..'", base::Code::kInvalidArgument);
  volume.set_sub_path("/etc");
  ExpectFault(true, "must be relative", base::Code::kInvalidArgument);
}

TEST_F(SurroundingsTest, ClaimsMustExist) {
  AddVolume("data", "/data");
  ExpectFault(true, "volume claim 'data' does not exist on this server");
  spec_.clear_surroundings();
  AddVolume("../work", "/data");
  ExpectFault(true, "cannot be the name of a volume claim", base::Code::kInvalidArgument);
}

TEST_F(SurroundingsTest, MountPathsOfTheSystemAreRefused) {
  for (const char* path : {"/", "/proc/x", "/dev", "data", "/a/../etc", ""}) {
    spec_.clear_surroundings();
    AddVolume("", path);
    ExpectFault(true, "mount path '" + std::string(path) + "'", base::Code::kInvalidArgument);
  }
}

TEST_F(SurroundingsTest, WhatLiesInsideAnotherMountComesAfterIt) {
  AddVolume("", "/tmp/kfp");
  AddVolume("", "/a/b");
  AddVolume("", "/a");
  StageStep(true);

  const auto at = [&](const std::string& target) { return MountAt(target) - view_.mounts.data(); };
  EXPECT_LT(at("/a"), at("/a/b"));
  EXPECT_LT(at("/tmp"), at("/tmp/kfp"));
  EXPECT_LT(at("/tmp/kfp"), at("/tmp/kfp/outputs"));
}

// row: E238
TEST_F(SurroundingsTest, FieldPathsAreVariables) {
  auto* variable = spec_.mutable_container()->add_env();
  variable->set_name("POD");
  variable->set_value("the component's");
  (*spec_.mutable_surroundings()->mutable_env())["POD"] = "say-0";

  StageStep(true);

  EXPECT_EQ(view_.env.at("POD"), "say-0");
}

// row: E241
TEST_F(SurroundingsTest, AWorkspaceIsOneFolderPerRun) {
  spec_.set_has_workspace(true);
  StageStep(true);

  ASSERT_NE(MountAt("/kfp-workspace"), nullptr);
  EXPECT_TRUE(MountAt("/kfp-workspace")->writable());
  const std::string folder = layout_.data_dir + "/workspaces/run-1";
  EXPECT_EQ(MountAt("/kfp-workspace")->source(), folder + "/files");
  EXPECT_EQ(Read(folder + "/run_id"), "run-1");
  EXPECT_EQ(ModeOf(folder + "/files"), 0777u);
  EXPECT_NE(layout_.WorkspaceDir("../x"), layout_.data_dir + "/workspaces/../x/files");
}

TEST_F(SurroundingsTest, FirstStepsAtTheSameTimeShareTheWorkspace) {
  spec_.set_has_workspace(true);
  std::vector<std::thread> steps;
  for (int i = 0; i < 16; ++i) {
    steps.emplace_back([this, i] {
      v1::AttemptSpec spec = spec_;
      spec.set_attempt_key(1000 + i);
      const auto view = Stage(layout_, spec, false);
      EXPECT_TRUE(view.ok()) << view.status().ToString();
    });
  }
  for (std::thread& step : steps) step.join();
}

// row: E199
TEST_F(SurroundingsTest, ProcessIsolationNamesTheWorkspacesFolder) {
  spec_.set_has_workspace(true);
  auto& values = *spec_.mutable_parameters();
  values["path"].set_string_value(
      "/kfp-workspace/a:/kfp-workspace x/kfp-workspace /kfp-workspaces");
  (*values["nested"].mutable_struct_value()->mutable_fields())["k"]
      .mutable_list_value()
      ->add_values()
      ->set_string_value("/kfp-workspace");
  for (const char* word : {"{{$.inputs.parameters['path']}}", "{{$.workspace_path}}/b", "{{$}}"}) {
    spec_.mutable_container()->add_args(word);
  }

  StageStep(false);

  const std::string folder = layout_.WorkspaceDir("run-1");
  EXPECT_EQ(view_.argv[1], folder + "/a:" + folder + " x/kfp-workspace /kfp-workspaces");
  EXPECT_EQ(view_.argv[2], folder + "/b");
  const auto input = boost::json::parse(view_.argv[3]);
  EXPECT_EQ(input.at("inputs").at("parameterValues").at("nested").at("k").at(0), folder.c_str());
  EXPECT_TRUE(base::PathExists(Work("fs/kfp-workspace/.")));

  StageStep(true);
  EXPECT_EQ(view_.argv[2], "/kfp-workspace/b");

  spec_.mutable_container()->add_args("ls /kfp-workspace/a");
  ExpectFault(false, "names '/kfp-workspace/a'");
}

// row: E186
TEST_F(SurroundingsTest, ImportedBytesLieWhereTheSdkLooks) {
  spec_.set_has_workspace(true);
  Write(layout_.BlobPath("01/1/model"), "weights");
  v1::Artifact artifact;
  artifact.set_uri("minio://mlpipeline/v2/model");
  artifact.set_blob("01/1/model");

  const auto brought =
      BringIntoWorkspace(layout_, spec_, artifact, *LocalSource(layout_, artifact));

  ASSERT_TRUE(brought.ok()) << brought.status().ToString();
  EXPECT_TRUE(brought->metadata().fields().at("_kfp_workspace").bool_value());
  const std::string path = layout_.WorkspaceDir("run-1") + "/.artifacts/minio/mlpipeline/v2/model";
  EXPECT_EQ(Read(path), "weights");
  EXPECT_EQ(ModeOf(path), 0666u);

  // A consumer finds it there, nothing is mounted over it, and an older SDK finds it, too.
  *(*spec_.mutable_artifacts())["data"].add_artifacts() = *brought;
  spec_.mutable_container()->add_args("{{$.inputs.artifacts['data'].path}}");
  StageStep(true);
  EXPECT_EQ(view_.argv[1], "/kfp-workspace/.artifacts/minio/mlpipeline/v2/model");
  EXPECT_NE(MountAt("/minio/mlpipeline/v2/model"), nullptr);
  EXPECT_EQ(view_.mounts.size(), 6u);

  // Once more, after somebody wrote to it.
  Write(path, "changed");
  ASSERT_TRUE(BringIntoWorkspace(layout_, spec_, artifact, *LocalSource(layout_, artifact)).ok());
  EXPECT_EQ(Read(path), "weights");
}

TEST_F(SurroundingsTest, ImportsOfFoldersAndPaths) {
  spec_.set_has_workspace(true);
  const std::string source = layout_.data_dir + "/elsewhere";
  Write(source + "/a/b", "x");
  v1::Artifact artifact;
  artifact.set_uri("file://" + source);
  ASSERT_EQ(*LocalSource(layout_, artifact), source);

  ASSERT_TRUE(BringIntoWorkspace(layout_, spec_, artifact, source).ok());
  EXPECT_EQ(Read(layout_.WorkspaceDir("run-1") + "/.artifacts/file:" + source + "/a/b"), "x");

  artifact.set_uri(source);
  ASSERT_TRUE(BringIntoWorkspace(layout_, spec_, artifact, source).ok());
  EXPECT_EQ(Read(layout_.WorkspaceDir("run-1") + "/.artifacts" + source + "/a/b"), "x");
}

TEST_F(SurroundingsTest, ImportsFollowNoLinkOfAStep) {
  spec_.set_has_workspace(true);
  Write(layout_.BlobPath("01/1/model"), "weights");
  Write(layout_.data_dir + "/mine/b/k", "mine");
  ASSERT_TRUE(base::MakeDirs(layout_.WorkspaceDir("run-1")).ok());
  ASSERT_EQ(
      symlink(layout_.data_dir.c_str(), (layout_.WorkspaceDir("run-1") + "/.artifacts").c_str()),
      0);
  v1::Artifact artifact;
  artifact.set_uri("s3://b/k");
  artifact.set_blob("01/1/model");

  const auto brought =
      BringIntoWorkspace(layout_, spec_, artifact, *LocalSource(layout_, artifact));

  ASSERT_FALSE(brought.ok());
  EXPECT_TRUE(Has(brought.status().message(), "'.artifacts'")) << brought.status().message();
  EXPECT_FALSE(base::PathExists(layout_.data_dir + "/s3"));
}

TEST_F(SurroundingsTest, WhatCannotBeReadSaysWhy) {
  v1::Artifact artifact;
  artifact.set_uri("gs://bucket/key");
  EXPECT_TRUE(Has(LocalSource(layout_, artifact).status().message(), "'gs' storage"));
  artifact.set_uri("minio://bucket/key");
  EXPECT_EQ(LocalSource(layout_, artifact).status().code(), base::Code::kNotFound);
  artifact.set_uri("minio://b/../k");
  artifact.set_blob("01/1/x");
  spec_.set_has_workspace(true);
  EXPECT_EQ(BringIntoWorkspace(layout_, spec_, artifact, "/etc/hostname").status().code(),
            base::Code::kInvalidArgument);
}

}  // namespace
}  // namespace caudal::launcher
