#include <sys/mount.h>
#include <sys/stat.h>

#include "base/sha256.h"
#include "launcher/step_fixture_test.h"

namespace caudal::launcher {
namespace {

using Outcome = v1::AttemptOutcome;

constexpr char kModel[] =
    R"({"artifacts": {"model": {"artifactType": {"schemaTitle": "system.Model"}, "metadata": {"a": 1}}}})";

class CollectTest : public StepTest {
 protected:
  void WriteOutput(const std::string& json) { Write(Output("output_metadata.json"), json); }

  const v1::Artifact& ArtifactOf(const Outcome& outcome, const std::string& name) {
    const auto found = outcome.artifacts().find(name);
    static const v1::Artifact kNone;
    if (found == outcome.artifacts().end() || found->second.artifacts().empty()) return kNone;
    return found->second.artifacts(0);
  }

  void ExpectFailed(const Outcome& outcome, const std::string& code, const std::string& part) {
    EXPECT_EQ(outcome.result(), Outcome::FAILED);
    EXPECT_EQ(outcome.error_code(), code);
    EXPECT_TRUE(Has(outcome.error(), part)) << outcome.error();
    EXPECT_EQ(outcome.objects_size(), 0);
    EXPECT_EQ(outcome.parameters_size(), 0);
    EXPECT_FALSE(base::PathExists(layout_.BlobDir(258)));
  }

  void ExpectSucceeded(const Outcome& outcome) {
    EXPECT_EQ(outcome.result(), Outcome::SUCCEEDED) << outcome.error();
    EXPECT_EQ(outcome.error(), "");
  }

  /// Collects again: the outcome must not change.
  Outcome CollectTwice() {
    const Outcome first = CollectStep();
    const Outcome second = CollectStep();
    EXPECT_EQ(wire::ToJson(first, wire::FieldNames::kSnakeCase),
              wire::ToJson(second, wire::FieldNames::kSnakeCase));
    return second;
  }
};

TEST_F(CollectTest, ExitDecidesWhatHappened) {
  StageStep(true);

  exit_.set_exit_code(3);
  ExpectFailed(CollectStep(), "EXIT", "exit 3");
  EXPECT_EQ(CollectStep().exit_code(), 3);

  exit_.set_exit_code(0);
  exit_.set_signal(9);
  ExpectFailed(CollectStep(), "SIGNAL", "was ended by signal 9 (SIGKILL)");
  EXPECT_EQ(CollectStep().exit_code(), 137);

  exit_.set_error_code("OOM");
  exit_.set_error("the step used more than its limit of 1 MiB");
  ExpectFailed(CollectStep(), "OOM", "its limit of 1 MiB");

  exit_.set_kill_requested(true);
  EXPECT_EQ(CollectStep().result(), Outcome::KILLED);

  exit_.Clear();
  exit_.set_error_code("START");
  exit_.set_error("no such program: foo");
  ExpectFailed(CollectStep(), "START", "no such program: foo");
  EXPECT_EQ(CollectStep().exit_code(), -1);
}

TEST_F(CollectTest, LogIsAnArtifactAlsoOfAFailure) {
  spec_.set_retry_index(2);
  StageStep(true);
  exit_.set_exit_code(1);

  const v1::Artifact log = ArtifactOf(CollectStep(), "executor-logs");

  EXPECT_EQ(log.uri(), std::string(kTaskRoot) + "/executor-logs-2");
  EXPECT_EQ(log.type().schema_title(), "system.Artifact");
  EXPECT_EQ(log.blob(), "");
}

TEST_F(CollectTest, AFailureSaysWhatPythonRaised) {
  spec_.mutable_container()->clear_command();
  for (const char* word : {"python3", "--function_to_execute", "train"}) {
    spec_.mutable_container()->add_command(word);
  }
  spec_.set_log_path("logs/02/258.log");
  StageStep(true);
  Write(layout_.data_dir + "/logs/02/258.log",
        "Traceback (most recent call last):\n"
        "  File \"/tmp/x/ephemeral_component.py\", line 12, in train\n"
        "    raise ValueError('no rows')\n"
        "ValueError: no rows\n");

  exit_.set_exit_code(1);
  const Outcome failed = CollectTwice();
  ExpectFailed(failed, "EXIT", "exit 1: ValueError: no rows");
  EXPECT_EQ(failed.traceback().function(), "train");
  EXPECT_EQ(failed.traceback().line(), 12);

  exit_.set_exit_code(0);
  exit_.set_signal(9);
  EXPECT_FALSE(CollectStep().has_traceback());
}

TEST_F(CollectTest, PublishesAFile) {
  Declare(kModel);
  StageStep(true);
  Write(Output("model"), "weights");
  Write(Output("scratch"), "not declared");
  ASSERT_EQ(chmod(Output("model").c_str(), 0200), 0);

  const Outcome outcome = CollectTwice();

  ExpectSucceeded(outcome);
  EXPECT_EQ(outcome.token(), "t0ken");
  const v1::Artifact& model = ArtifactOf(outcome, "model");
  EXPECT_EQ(model.uri(), std::string(kTaskRoot) + "/model");
  EXPECT_EQ(model.blob(), "02/258/model");
  EXPECT_EQ(model.size_bytes(), 7);
  EXPECT_FALSE(model.is_directory());
  EXPECT_EQ(model.type().schema_title(), "system.Model");
  EXPECT_EQ(model.metadata().fields().at("a").number_value(), 1);
  EXPECT_EQ(model.metadata().fields().at("display_name").string_value(), "model");
  ASSERT_EQ(outcome.objects_size(), 1);
  EXPECT_EQ(outcome.objects(0).bucket(), "mlpipeline");
  EXPECT_EQ(outcome.objects(0).key(), std::string(kTaskKey) + "/model");
  EXPECT_EQ(outcome.objects(0).blob(), "02/258/model");
  EXPECT_EQ(outcome.objects(0).size(), 7);
  EXPECT_EQ(outcome.objects(0).sha256(), base::Sha256Hex("weights"));
  EXPECT_EQ(Read(Blob("model")), "weights");
  struct stat info {};
  ASSERT_EQ(stat(Blob("model").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0444u);
  EXPECT_FALSE(base::PathExists(Blob("scratch")));
}

TEST_F(CollectTest, PublishesADirectoryOneObjectPerFile) {
  Declare(kModel);
  StageStep(true);
  Write(Output("model/a"), "1");
  Write(Output("model/sub/b"), "22");
  ASSERT_TRUE(base::MakeDirs(Output("model/empty")).ok());
  if (geteuid() == 0) {
    ASSERT_EQ(lchown(Output("model/sub").c_str(), 61000, 61000), 0);
  }
  ASSERT_EQ(chmod(Output("model/sub").c_str(), 0100), 0);

  const Outcome outcome = CollectTwice();

  ExpectSucceeded(outcome);
  EXPECT_TRUE(ArtifactOf(outcome, "model").is_directory());
  ASSERT_EQ(outcome.objects_size(), 2);
  EXPECT_EQ(outcome.objects(1).key(), std::string(kTaskKey) + "/model/sub/b");
  EXPECT_EQ(Read(Blob("model/sub/b")), "22");
  struct stat info {};
  ASSERT_EQ(stat(Blob("model/sub").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0755u);
  EXPECT_EQ(info.st_uid, geteuid());
}

TEST_F(CollectTest, UnwrittenArtifactIsRegisteredWithoutBytes) {
  Declare(kModel);
  StageStep(true);

  const Outcome outcome = CollectTwice();

  ExpectSucceeded(outcome);
  EXPECT_EQ(ArtifactOf(outcome, "model").uri(), std::string(kTaskRoot) + "/model");
  EXPECT_EQ(ArtifactOf(outcome, "model").blob(), "");
  EXPECT_FALSE(base::PathExists(layout_.BlobDir(258)));
}

TEST_F(CollectTest, CrashBetweenMovesIsMadeGood) {
  Declare(R"({"artifacts": {"a": {}, "b": {}}})");
  StageStep(true);
  Write(Output("b"), "bb");
  Write(Work("publish/a"), "aa");          // moved before the crash
  Write(Work("publish/.part/half"), "x");  // a copy that was under way

  const Outcome outcome = CollectTwice();

  ExpectSucceeded(outcome);
  EXPECT_EQ(Read(Blob("a")), "aa");
  EXPECT_EQ(Read(Blob("b")), "bb");
  EXPECT_FALSE(base::PathExists(Blob(".part")));
  EXPECT_FALSE(base::PathExists(Work("publish")));
}

// row: E202
TEST_F(CollectTest, ParametersComeFromFilesAndTheOutputFileWins) {
  Declare(R"({"parameters": {"n": {"parameterType": "NUMBER_INTEGER"},
                             "s": {"parameterType": "STRING"},
                             "file": {"parameterType": "BOOLEAN"}}})");
  StageStep(true);
  Write(Work("params/n"), "1");
  Write(Work("params/s"), " text\n");
  Write(Work("params/file"), " True\n");
  WriteOutput(R"({"parameterValues": {"n": 2, "extra": [null]}})");

  const Outcome outcome = CollectTwice();

  ExpectSucceeded(outcome);
  EXPECT_EQ(outcome.parameters().at("n").number_value(), 2);
  EXPECT_EQ(outcome.parameters().at("s").string_value(), " text\n");
  EXPECT_TRUE(outcome.parameters().at("file").bool_value());
  EXPECT_EQ(outcome.parameters().count("extra"), 1u);
}

TEST_F(CollectTest, MissingAndWrongParametersFail) {
  Declare(R"({"parameters": {"n": {"parameterType": "NUMBER_INTEGER"}}})");
  StageStep(true);
  ExpectFailed(CollectStep(), "OUTPUT", "output 'n' was not written");
  EXPECT_TRUE(Has(CollectStep().error(), "/tmp/kfp/outputs/n"));

  Write(Work("params/n"), "3.0");
  ExpectFailed(CollectStep(), "OUTPUT", "integer in decimal digits, got \"3.0\"");

  ASSERT_TRUE(base::RemoveTree(Work("params/n")).ok());
  ASSERT_EQ(symlink("/etc/passwd", Work("params/n").c_str()), 0);
  ExpectFailed(CollectStep(), "OUTPUT", "is no plain file");
}

struct ValueCase {
  const char* type;
  const char* text;
  const char* want;  // JSON, or null for a fault
};

class OutputValueTest : public CollectTest, public testing::WithParamInterface<ValueCase> {};

TEST_P(OutputValueTest, IsReadByType) {
  Declare(std::string(R"({"parameters": {"v": {"parameterType": ")") + GetParam().type + "\"}}}");
  StageStep(true);
  Write(Work("params/v"), GetParam().text);

  const Outcome outcome = CollectStep();

  if (GetParam().want == nullptr) {
    ExpectFailed(outcome, "OUTPUT", "output 'v'");
  } else {
    ExpectSucceeded(outcome);
    EXPECT_EQ(wire::ToJson(outcome.parameters().at("v"), wire::FieldNames::kCamelCase),
              GetParam().want);
  }
}

const ValueCase kValues[] = {
    {"STRING", " a\n", "\" a\\n\""},
    {"STRING", "", "\"\""},
    {"STRING", "\xff", nullptr},
    {"NUMBER_INTEGER", " 42\n", "42"},
    {"NUMBER_INTEGER", "+7", "7"},
    {"NUMBER_INTEGER", "-7", "-7"},
    {"NUMBER_INTEGER", "+-7", nullptr},
    {"NUMBER_INTEGER", "1e3", nullptr},
    {"NUMBER_INTEGER", "99999999999999999999", nullptr},
    {"NUMBER_INTEGER", "", nullptr},
    {"NUMBER_DOUBLE", "0.5\n", "0.5"},
    {"NUMBER_DOUBLE", "-1e3", "-1000"},
    {"NUMBER_DOUBLE", "0x1p-2", "0.25"},
    {"NUMBER_DOUBLE", "nan", nullptr},
    {"NUMBER_DOUBLE", "Infinity", nullptr},
    {"NUMBER_DOUBLE", "1,5", nullptr},
    {"BOOLEAN", "t", "true"},
    {"BOOLEAN", "False\n", "false"},
    {"BOOLEAN", "yes", nullptr},
    {"LIST", " [1, \"a\"]\n", "[1,\"a\"]"},
    {"LIST", "{}", nullptr},
    {"STRUCT", "{\"a\": [2]}", "{\"a\":[2]}"},
    {"STRUCT", "[", nullptr},
    {"TASK_CONFIG", "{}", nullptr},
};

INSTANTIATE_TEST_SUITE_P(Each, OutputValueTest, testing::ValuesIn(kValues));

TEST_F(CollectTest, BadOutputFileFailsAndIsNamed) {
  Declare(kModel);
  StageStep(true);
  Write(Output("model"), "m");
  for (const char* text : {"{", "[]", R"({"unknown": 1})", R"({"parameterValues": {"a": NaN}})"}) {
    WriteOutput(text);
    ExpectFailed(CollectStep(), "OUTPUT", "train/u/output_metadata.json");
  }
  EXPECT_EQ(Read(Output("model")), "m");
}

// row: E209
TEST_F(CollectTest, MetadataIsMerged) {
  Declare(kModel);
  StageStep(true);
  WriteOutput(R"({"artifacts": {"model": {"artifacts": [{"name": "x", "metadata":
                {"b": true, "l": [1, {"c": "d"}], "_kfp_workspace": true}}]}, "other": {}}})");

  const Outcome outcome = CollectTwice();

  ExpectSucceeded(outcome);
  google::protobuf::Value metadata;
  *metadata.mutable_struct_value() = ArtifactOf(outcome, "model").metadata();
  EXPECT_EQ(wire::ValueToGoJson(metadata),
            R"({"a":1,"b":true,"display_name":"model","l":[1,{"c":"d"}]})");
  EXPECT_EQ(outcome.artifacts().count("other"), 0u);
}

// row: E209
TEST_F(CollectTest, NullMetadataFails) {
  Declare(kModel);
  StageStep(true);
  WriteOutput(R"({"artifacts": {"model": {"artifacts": [{"metadata": {"b": null}}]}}})");

  ExpectFailed(CollectStep(), "OUTPUT", "output 'model': its metadata 'b' is null");
}

std::string WithUri(const std::string& uri) {
  return R"({"artifacts": {"model": {"artifacts": [{"uri": ")" + uri + "\"}]}}}";
}

TEST_F(CollectTest, UriBelowTheTaskRootIsFoundThere) {
  Declare(kModel);
  StageStep(true);
  Write(Output("deep/er/file.bin"), "x");
  WriteOutput(WithUri(std::string(kTaskRoot) + "/deep/er/file.bin"));

  const Outcome outcome = CollectTwice();

  ExpectSucceeded(outcome);
  EXPECT_EQ(ArtifactOf(outcome, "model").blob(), "02/258/model");
  EXPECT_EQ(outcome.objects(0).key(), std::string(kTaskKey) + "/deep/er/file.bin");
  EXPECT_EQ(Read(Blob("model")), "x");
}

// row: E207
TEST_F(CollectTest, UriOutsideTheRunFails) {
  Declare(kModel);
  StageStep(true);
  for (const char* uri : {"minio://mlpipeline/v2/artifacts/pipe/run-2/x", "minio://other/x",
                          "s3://mlpipeline/v2/artifacts/pipe/run-1/x",
                          "minio://mlpipeline/v2/artifacts/pipe/run-11/x"}) {
    WriteOutput(WithUri(uri));
    ExpectFailed(CollectStep(), "OUTPUT", "outside the run's root");
  }
  WriteOutput(WithUri(std::string(kTaskRoot) + "/../../../../x"));
  ExpectFailed(CollectStep(), "OUTPUT", "'..' part");
}

// row: E207
TEST_F(CollectTest, ForeignUriIsAReference) {
  Declare(kModel);
  StageStep(true);
  Write(Output("model"), "x");
  WriteOutput(WithUri("https://example.org/model"));

  const Outcome outcome = CollectTwice();

  ExpectSucceeded(outcome);
  EXPECT_EQ(ArtifactOf(outcome, "model").uri(), "https://example.org/model");
  EXPECT_EQ(ArtifactOf(outcome, "model").blob(), "");
}

TEST_F(CollectTest, InputHandedOnKeepsItsBytes) {
  Declare(kModel);
  AddInput("in", "minio://mlpipeline/v2/artifacts/pipe/run-0/t/u/data", "01/1/data", "bytes");
  StageStep(true);
  WriteOutput(WithUri("minio://mlpipeline/v2/artifacts/pipe/run-0/t/u/data"));

  const Outcome outcome = CollectTwice();

  ExpectSucceeded(outcome);
  EXPECT_EQ(ArtifactOf(outcome, "model").blob(), "01/1/data");
  EXPECT_EQ(outcome.objects_size(), 0);
}

std::string WithCustomPath(const std::string& path) {
  return R"({"artifacts": {"model": {"artifacts": [{"custom_path": ")" + path + "\"}]}}}";
}

TEST_F(CollectTest, CustomPathInSandboxIsMappedBack) {
  Declare(kModel);
  StageStep(true);
  Write(Work("tmp/x/y"), "from tmp");
  WriteOutput(WithCustomPath("/tmp/x/./y"));

  const Outcome outcome = CollectTwice();

  ExpectSucceeded(outcome);
  EXPECT_EQ(Read(Blob("model")), "from tmp");
  EXPECT_EQ(ArtifactOf(outcome, "model").uri(), std::string(kTaskRoot) + "/model");
}

TEST_F(CollectTest, RelativeCustomPathStartsAtTheWorkingDirectory) {
  Declare(kModel);
  StageStep(true);
  Write(Work("home/local.bin"), "home");
  WriteOutput(WithCustomPath("local.bin"));

  ExpectSucceeded(CollectTwice());
  EXPECT_EQ(Read(Blob("model")), "home");
}

TEST_F(CollectTest, CustomPathThatIsNotKeptFails) {
  Declare(kModel);
  StageStep(true);
  for (const char* path : {"/data/x", "/etc/passwd", "/tmp/../etc/passwd"}) {
    WriteOutput(WithCustomPath(path));
    ExpectFailed(CollectStep(), "OUTPUT", "is not kept");
  }
}

TEST_F(CollectTest, CustomPathMayBeAnInputAndIsCopied) {
  Declare(kModel);
  AddInput("in", "minio://b/in", "01/1/in", "input");
  StageStep(true);
  WriteOutput(WithCustomPath("/minio/b/in"));

  ExpectSucceeded(CollectTwice());
  EXPECT_EQ(Read(Blob("model")), "input");
  EXPECT_EQ(Read(layout_.BlobPath("01/1/in")), "input");
}

TEST_F(CollectTest, WhatCollectingReadsIsNeverMovedAway) {
  Declare(R"({"artifacts": {"model": {}}, "parameters": {"n": {"parameterType": "STRING"}}})");
  const std::string root = "/minio/mlpipeline/" + std::string(kTaskKey);
  for (const std::string& path :
       {std::string("/tmp/kfp/outputs/n"), root, root + "/output_metadata.json"}) {
    SCOPED_TRACE(path);
    ASSERT_TRUE(base::RemoveTree(layout_.BlobDir(258)).ok());
    StageStep(true);
    Write(Work("params/n"), "value");
    WriteOutput(WithCustomPath(path));

    const Outcome outcome = CollectTwice();

    ExpectSucceeded(outcome);
    EXPECT_EQ(outcome.parameters().at("n").string_value(), "value");
    EXPECT_NE(ArtifactOf(outcome, "model").blob(), "");
  }
}

TEST_F(CollectTest, TwoOutputsMayShareFiles) {
  Declare(R"({"artifacts": {"a": {}, "b": {}}})");
  StageStep(true);
  Write(Output("a/part"), "shared");
  const std::string inner = "/minio/mlpipeline/" + std::string(kTaskKey) + "/a/part";
  WriteOutput(R"({"artifacts": {"b": {"artifacts": [{"custom_path": ")" + inner + "\"}]}}}");

  const Outcome outcome = CollectTwice();

  ExpectSucceeded(outcome);
  EXPECT_EQ(Read(Blob("a/part")), "shared");
  EXPECT_EQ(Read(Blob("b")), "shared");
}

TEST_F(CollectTest, ProcessCustomPathOutsideIsCopied) {
  Declare(kModel);
  StageStep(false);
  Write(layout_.data_dir + "/elsewhere/x", "far");
  WriteOutput(WithCustomPath(layout_.data_dir + "/elsewhere"));

  ExpectSucceeded(CollectTwice());
  EXPECT_EQ(Read(Blob("model/x")), "far");
  EXPECT_EQ(Read(layout_.data_dir + "/elsewhere/x"), "far");
}

TEST_F(CollectTest, ProcessHostPathAsUriIsUnderstood) {
  Declare(kModel);
  StageStep(false);
  Write(Output("other"), "x");
  WriteOutput(WithUri(Work("fs/minio/mlpipeline/") + kTaskKey + "/other"));

  const Outcome outcome = CollectTwice();

  ExpectSucceeded(outcome);
  EXPECT_EQ(ArtifactOf(outcome, "model").uri(), std::string(kTaskRoot) + "/other");
  EXPECT_EQ(Read(Blob("model")), "x");
}

TEST_F(CollectTest, ListOutputMayHaveSeveralEntries) {
  Declare(
      R"({"artifacts": {"parts": {"isArtifactList": true}, "none": {"isArtifactList": true}}})");
  StageStep(true);
  Write(Output("p0"), "0");
  Write(Output("p1"), "1");
  const std::string root = kTaskRoot;
  WriteOutput(R"({"artifacts": {"none": {}, "parts": {"artifacts": [{"uri": ")" + root +
              R"(/p0"}, {"uri": ")" + root + "/p1\"}]}}}");

  const Outcome outcome = CollectTwice();

  ExpectSucceeded(outcome);
  ASSERT_EQ(outcome.artifacts().at("parts").artifacts_size(), 2);
  const std::string second = outcome.artifacts().at("parts").artifacts(1).blob();
  EXPECT_EQ(Read(layout_.BlobPath(second)), "1");
  ASSERT_EQ(outcome.artifacts().count("none"), 1u);
  EXPECT_EQ(outcome.artifacts().at("none").artifacts_size(), 0);
}

TEST_F(CollectTest, RemovedOutputDirectoryIsTheStepsFault) {
  StageStep(true);
  ASSERT_TRUE(base::RemoveTree(Work("outputs")).ok());

  ExpectFailed(CollectStep(), "OUTPUT", "is gone");
}

/// A data directory on a file system of one MiB.
class FullDiskTest : public CollectTest {
 protected:
  void SetUp() override {
    CollectTest::SetUp();
    small_ = layout_.data_dir + "/small";
    ASSERT_TRUE(base::MakeDirs(small_).ok());
    is_mounted_ = mount("tmpfs", small_.c_str(), "tmpfs", 0, "size=1m") == 0;
    if (!is_mounted_) GTEST_SKIP() << "needs the right to mount a small file system";
    outer_ = layout_.data_dir;
    layout_.data_dir = small_;
  }
  void TearDown() override {
    if (is_mounted_) {
      layout_.data_dir = outer_;
      EXPECT_EQ(umount2(small_.c_str(), MNT_DETACH), 0);
    }
    CollectTest::TearDown();
  }

  std::string small_;
  std::string outer_;
  bool is_mounted_ = false;
};

TEST_F(FullDiskTest, PublishingFailsWholeAndSaysHowMuch) {
  Declare(R"({"artifacts": {"a": {}, "b": {}}})");
  StageStep(true);
  Write(Output("a"), std::string(600000, 'a'));
  Write(Output("b"), "small");
  ASSERT_EQ(symlink("a", Output("link").c_str()), 0);  // a link must be copied: no room for that
  WriteOutput(R"({"artifacts": {"a": {"artifacts": [{"uri": ")" + std::string(kTaskRoot) +
              "/link\"}]}}}");

  for (int call = 0; call < 2; ++call) {
    const Outcome outcome = CollectStep();
    ExpectFailed(outcome, "DISK", "output 'a' (600000 bytes)");
    EXPECT_TRUE(Has(outcome.error(), "free space")) << outcome.error();
    EXPECT_FALSE(base::PathExists(Work("publish")));
    EXPECT_EQ(Read(Output("b")), "small");
  }
}

TEST_F(FullDiskTest, StagingFailsWithItsCode) {
  AddInput("in", "minio://b/in", "01/1/in", std::string(600000, 'a'));

  const auto view = Stage(layout_, spec_, false);

  ASSERT_FALSE(view.ok());
  EXPECT_EQ(view.status().code(), base::Code::kResourceExhausted);
  EXPECT_TRUE(Has(view.status().message(), "input 'in'")) << view.status().message();
}

}  // namespace
}  // namespace caudal::launcher
