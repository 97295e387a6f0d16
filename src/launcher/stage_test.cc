#include <boost/json.hpp>

#include "launcher/step_fixture_test.h"

namespace caudal::launcher {
namespace {

class StageTest : public StepTest {
 protected:
  const v1::Mount* MountAt(const std::string& target) const {
    for (const v1::Mount& mount : view_.mounts) {
      if (mount.target() == target) return &mount;
    }
    return nullptr;
  }
};

TEST_F(StageTest, LayoutSpreadsAttemptsOver256Shelves) {
  const Layout layout{"/data"};

  EXPECT_EQ(layout.WorkDir(258), "/data/work/258");
  EXPECT_EQ(layout.BlobDir(258), "/data/objects/02/258");
  EXPECT_EQ(layout.BlobPath("02/258/model"), "/data/objects/02/258/model");
}

TEST_F(StageTest, SandboxSeesInputsReadOnlyAndItsOwnDirectories) {
  AddInput("data", "minio://mlpipeline//v2/./in/data", "01/1/data", "bytes");
  AddInput("more", "s3://b/more", "01/1/more", "");
  v1::Artifact& unwritten = *(*spec_.mutable_artifacts())["none"].add_artifacts();
  unwritten.set_uri("minio://mlpipeline/v2/none");

  StageStep(true);

  const v1::Mount* data = MountAt("/minio/mlpipeline/v2/in/data");
  ASSERT_NE(data, nullptr);
  EXPECT_FALSE(data->writable());
  EXPECT_EQ(data->source(), layout_.BlobPath("01/1/data"));
  EXPECT_NE(MountAt("/s3/b/more"), nullptr);
  const v1::Mount* root = MountAt("/minio/mlpipeline/v2/artifacts/pipe/run-1/train/u");
  ASSERT_NE(root, nullptr);
  EXPECT_TRUE(root->writable());
  EXPECT_EQ(root->source(), Work("outputs"));
  EXPECT_EQ(MountAt("/tmp")->source(), Work("tmp"));
  EXPECT_EQ(MountAt("/tmp/kfp/outputs")->source(), Work("params"));
  EXPECT_EQ(MountAt("/home/step")->source(), Work("home"));
  EXPECT_EQ(view_.mounts.size(), 6u);
  EXPECT_TRUE(base::PathExists(Work("tmp/kfp/outputs")));
  EXPECT_EQ(view_.outputs_host, Work("outputs"));
}

TEST_F(StageTest, InputInsideAnotherIsNotMountedTwice) {
  AddInput("dir", "minio://b/dir", "01/1/dir", "");
  AddInput("part", "minio://b/dir/part", "01/1/dir/part", "x");
  AddInput("again", "minio://b/dir", "01/1/dir", "");

  StageStep(true);

  EXPECT_NE(MountAt("/minio/b/dir"), nullptr);
  EXPECT_EQ(view_.mounts.size(), 5u);
}

TEST_F(StageTest, SecondCallStartsFromNothing) {
  Write(Work("step.pb"), "the executor's");
  StageStep(true);
  Write(Output("old"), "x");
  Write(Work("tmp/old"), "x");
  Write(Work("publish/old"), "x");

  StageStep(true);

  EXPECT_FALSE(base::PathExists(Output("old")));
  EXPECT_FALSE(base::PathExists(Work("tmp/old")));
  EXPECT_FALSE(base::PathExists(Work("publish")));
  EXPECT_TRUE(base::PathExists(Work("step.pb")));
}

TEST_F(StageTest, StepsUserOwnsWhatItMayWrite) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to give files away";
  layout_.step_uid = 61000;

  StageStep(true);

  for (const char* name : {"outputs", "params", "tmp", "home", "tmp/kfp", "tmp/kfp/outputs"}) {
    struct stat info {};
    ASSERT_EQ(stat(Work(name).c_str(), &info), 0);
    EXPECT_EQ(info.st_uid, 61000u) << name;
    EXPECT_EQ(info.st_gid, 61000u) << name;
  }
}

TEST_F(StageTest, ProcessGetsCopiesUnderAFakeRoot) {
  AddInput("data", "minio://mlpipeline/v2/in/data", "01/1/data", "bytes");
  AddInput("dir", "gs://b/dir", "01/1/dir", "");
  Write(layout_.BlobPath("01/1/dir/sub/x"), "deep");
  ASSERT_EQ(chmod(layout_.BlobPath("01/1/data").c_str(), 0444), 0);

  StageStep(false);

  EXPECT_TRUE(view_.mounts.empty());
  EXPECT_EQ(view_.env["CAUDAL_MOUNT_ROOT"], Work("fs"));
  EXPECT_EQ(view_.env["TMPDIR"], Work("tmp"));
  EXPECT_EQ(view_.env["HOME"], Work("home"));
  EXPECT_EQ(Read(Work("fs/gcs/b/dir/sub/x")), "deep");
  const std::string copy = Work("fs/minio/mlpipeline/v2/in/data");
  std::ofstream(copy) << "changed";
  EXPECT_EQ(Read(copy), "changed");
  EXPECT_EQ(Read(layout_.BlobPath("01/1/data")), "bytes");
  Write(Work("fs/minio/mlpipeline/v2/artifacts/pipe/run-1/train/u/model"), "m");
  EXPECT_EQ(Read(Output("model")), "m");
}

TEST_F(StageTest, EnvironmentIsTheProtocolsAndTheComponents) {
  auto* variable = spec_.mutable_container()->add_env();
  variable->set_name("LEVEL");
  variable->set_value("{{$.pipeline_job_name}}");
  variable = spec_.mutable_container()->add_env();
  variable->set_name("LEVEL");
  variable->set_value("2");
  spec_.set_retry_index(1);

  StageStep(true);

  EXPECT_EQ(view_.env["LEVEL"], "2");
  EXPECT_EQ(view_.env["HOME"], "/home/step");
  EXPECT_EQ(view_.env.count("KFP_RETRY_INDEX"), 0u);
  EXPECT_EQ(view_.env["KFP_POD_NAME"], spec_.task_id() + "-0");
  EXPECT_EQ(view_.env["KFP_POD_UID"].size(), 36u);
  EXPECT_EQ(view_.env.count("PATH"), 0u);

  spec_.set_has_retry_policy(true);
  StageStep(true);
  EXPECT_EQ(view_.env["KFP_RETRY_INDEX"], "1");
}

TEST_F(StageTest, MakeViewGivesTheSameWithoutTouchingTheDisk) {
  AddInput("data", "minio://b/k", "01/1/data", "x");
  spec_.mutable_container()->add_args("{{$}}");
  StageStep(true);
  ASSERT_TRUE(base::RemoveTree(layout_.WorkDir(258)).ok());

  const auto again = MakeView(layout_, spec_, true);

  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->argv, view_.argv);
  EXPECT_EQ(again->env, view_.env);
  EXPECT_EQ(again->mounts.size(), view_.mounts.size());
  EXPECT_FALSE(base::PathExists(layout_.WorkDir(258)));
}

struct FaultCase {
  const char* name;
  base::Code code;
  const char* message;
  void (*spoil)(v1::AttemptSpec*);
  bool sandbox;
};

class StageFaultTest : public StepTest, public testing::WithParamInterface<FaultCase> {};

TEST_P(StageFaultTest, NamesThingAndRemedy) {
  GetParam().spoil(&spec_);

  const auto view = Stage(layout_, spec_, GetParam().sandbox);

  ASSERT_FALSE(view.ok());
  EXPECT_EQ(view.status().code(), GetParam().code);
  EXPECT_TRUE(Has(view.status().message(), GetParam().message)) << view.status().message();
}

void SetCommand(v1::AttemptSpec* spec, const std::string& word) {
  spec->mutable_container()->add_args(word);
}

const FaultCase kFaults[] = {
    {"NoCommand", base::Code::kFailedPrecondition, "container has no command",
     [](v1::AttemptSpec* spec) { spec->mutable_container()->clear_command(); }, true},
    {"CommandVanished", base::Code::kFailedPrecondition, "container has no command",
     [](v1::AttemptSpec* spec) {
       spec->mutable_container()->clear_command();
       SetCommand(spec, R"({"IfPresent": {"InputName": "x", "Then": "a"}})");
     },
     true},
    {"InputBytesGone", base::Code::kNotFound, "input 'data': its stored file",
     [](v1::AttemptSpec* spec) {
       auto* artifact = (*spec->mutable_artifacts())["data"].add_artifacts();
       artifact->set_uri("minio://b/k");
       artifact->set_blob("01/1/gone");
     },
     true},
    {"InputClimbs", base::Code::kInvalidArgument, "'..' part",
     [](v1::AttemptSpec* spec) {
       auto* artifact = (*spec->mutable_artifacts())["data"].add_artifacts();
       artifact->set_uri("minio://b/../../etc");
       artifact->set_blob("01/1/x");
     },
     false},
    {"MissingParameter", base::Code::kInvalidArgument, "input parameter 'who'",
     [](v1::AttemptSpec* spec) { SetCommand(spec, "{{$.inputs.parameters['who']}}"); }, true},
    {"UnusableRoot", base::Code::kInvalidArgument, "minio://, s3:// or gs://",
     [](v1::AttemptSpec* spec) { spec->set_task_root("file:///x/y/z"); }, true},
    {"LiteralMount", base::Code::kFailedPrecondition, "use --isolation sandbox",
     [](v1::AttemptSpec* spec) { SetCommand(spec, "cat '/minio/mlpipeline/x y'"); }, false},
    {"LiteralParameterFile", base::Code::kFailedPrecondition, "/tmp/kfp/outputs/x",
     [](v1::AttemptSpec* spec) { SetCommand(spec, "echo 1 >/tmp/kfp/outputs/x"); }, false},
    {"OutputNameIsAPath", base::Code::kInvalidArgument, "output '../x'",
     [](v1::AttemptSpec* spec) {
       (*spec->mutable_component()->mutable_output_definitions()->mutable_artifacts())["../x"];
     },
     true},
};

INSTANTIATE_TEST_SUITE_P(Each, StageFaultTest, testing::ValuesIn(kFaults),
                         [](const auto& fault) { return std::string(fault.param.name); });

TEST_F(StageTest, AddressesAreNotTakenForMountPoints) {
  spec_.mutable_container()->add_args(
      "curl https://example.org/s3/x s3://b/k a/minio/b /tmp/kfp_nb_outputs/log /s3-data");

  EXPECT_TRUE(Stage(layout_, spec_, false).ok());
}

TEST_F(StageTest, UnknownSchemeHasNoFileAndNoError) {
  v1::Artifact& web = *(*spec_.mutable_artifacts())["web"].add_artifacts();
  web.set_uri("https://example.org/x");
  spec_.mutable_container()->add_args("{{$.inputs.artifacts['web'].path}}");

  StageStep(true);

  EXPECT_EQ(view_.argv[1], "https://example.org/x");
  EXPECT_EQ(view_.mounts.size(), 4u);
}

}  // namespace
}  // namespace caudal::launcher
