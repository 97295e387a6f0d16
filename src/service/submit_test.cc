#include <gtest/gtest.h>
#include <sys/stat.h>
#include <utime.h>

#include <atomic>
#include <filesystem>

#include "archive/archive.h"
#include "base/file.h"
#include "base/sha256.h"
#include "base/testing/fake_clock.h"
#include "engine/testing/pipelines.h"
#include "executor/testing/fake_executor.h"
#include "service/service.h"
#include "spec/package.h"
#include "store/run_log.h"

// Where runs come from, what their steps get, and users' code.

namespace caudal::service {
namespace {

namespace fs = std::filesystem;
using base::Code;

class SubmitTest : public testing::Test {
 protected:
  SubmitTest()
      : root_(MakeRoot()),
        store_(*store::Store::Open(":memory:")),
        orchestrator_(*store_, executor_, clock_, [this] { return std::to_string(++salt_); }),
        service_(*store_, orchestrator_, clock_, {root_, "process", nullptr, "no namespaces"}) {
    EXPECT_TRUE(service_.Prepare().ok());
    EXPECT_TRUE(orchestrator_.Recover().ok());
    orchestrator_.Start();
  }
  ~SubmitTest() override {
    orchestrator_.Stop();
    EXPECT_TRUE(base::RemoveTree(root_).ok());
  }

  static std::string MakeRoot() {
    std::string name = (fs::temp_directory_path() / "caudal-XXXXXX").string();
    return mkdtemp(name.data());
  }

  v1::SubmitRunRequest Request() {
    v1::SubmitRunRequest request;
    request.mutable_run()->set_display_name("a run");
    const auto package = spec::LoadPackage(engine::PipelineText("a"));
    EXPECT_TRUE(package.ok());
    google::protobuf::Struct& spec = *request.mutable_run()->mutable_pipeline_spec();
    spec = package->as_struct;
    (*spec.mutable_fields())["sdkVersion"].set_string_value("kfp-2.14.0");
    return request;
  }

  std::string FaultOf(const v1::RunSettings& settings) {
    v1::SubmitRunRequest request = Request();
    *request.mutable_settings() = settings;
    return service_.SubmitRun(caller_, request).status().message();
  }

  std::string FaultOf(const v1::RunOrigin& origin) {
    v1::SubmitRunRequest request = Request();
    *request.mutable_origin() = origin;
    return service_.SubmitRun(caller_, request).status().message();
  }

  v1::RunProvenance ProvenanceOf(const std::string& run_id) {
    v1::GetRunProvenanceRequest request;
    request.set_run_id(run_id);
    auto provenance = service_.GetRunProvenance(caller_, request);
    EXPECT_TRUE(provenance.ok()) << provenance.status().ToString();
    return *std::move(provenance);
  }

  std::string AddCode(const std::string& text) {
    const std::string tar = *archive::CanonicalTar({{"pkg/__init__.py", text, false}});
    const std::string sha256 = base::Sha256Hex(tar);
    const base::Status added = service_.AddCode(caller_, sha256, tar);
    EXPECT_TRUE(added.ok()) << added.message();
    return sha256;
  }

  void MakeOld(const std::string& sha256) {
    const utimbuf old{1, 1};
    ASSERT_EQ(utime((root_ + "/code/" + sha256).c_str(), &old), 0);
  }

  const std::string root_;
  base::FakeClock clock_;
  std::unique_ptr<store::Store> store_;
  executor::FakeExecutor executor_;
  int salt_ = 0;
  orchestrator::Orchestrator orchestrator_;
  Service service_;
  const Caller caller_{auth::LocalUser(), "caudal/1.2"};
};

TEST_F(SubmitTest, APlainRunHasAnOriginToo) {
  v2beta1::CreateRunRequest request;
  *request.mutable_run() = Request().run();
  const auto run = service_.CreateRun(caller_, request);
  ASSERT_TRUE(run.ok());
  const v1::RunProvenance provenance = ProvenanceOf(run->run_id());
  EXPECT_EQ(provenance.origin().submitter(), "local");
  EXPECT_EQ(provenance.origin().client(), "caudal/1.2");
  EXPECT_EQ(provenance.origin().sdk_version(), "kfp-2.14.0");
  EXPECT_EQ(provenance.origin().source_sha256().size(), 64u);
  EXPECT_EQ(provenance.settings().isolation(), "process");
}

// Protobuf writes text that is not UTF-8 and then cannot read it: the run's log would be lost.
TEST_F(SubmitTest, AClientMayCallItselfWhateverItLikes) {
  for (const std::string& name : {std::string("caf\xe9"), std::string(511, 'x') + "é"}) {
    const auto run = service_.SubmitRun({auth::LocalUser(), name}, Request());
    ASSERT_TRUE(run.ok()) << run.status().message();
    EXPECT_EQ(ProvenanceOf(run->run_id()).origin().client().substr(0, 3), name.substr(0, 3));
    const base::Status read = store_->Read([&](sql::Database& database) -> base::Status {
      CAUDAL_ASSIGN(const store::Run row, store::GetRun(database, run->run_id()));
      return store::ReadLog(database, row.key).status();
    });
    EXPECT_TRUE(read.ok()) << read.ToString();
  }
}

TEST_F(SubmitTest, WhatTheClientKnowsIsKeptAndTheRestIsOurs) {
  v1::SubmitRunRequest request = Request();
  request.mutable_origin()->set_submitter("somebody else");
  request.mutable_origin()->set_source_path("train.py");
  request.mutable_origin()->set_source_sha256(std::string(64, 'a'));
  request.mutable_origin()->set_git_commit(std::string(40, 'b'));
  request.mutable_origin()->set_git_dirty(true);
  request.mutable_origin()->add_functions()->set_function("train");
  request.mutable_settings()->set_kfp_package("kfp==2.9.0");
  const auto run = service_.SubmitRun(caller_, request);
  ASSERT_TRUE(run.ok()) << run.status().message();
  const v1::RunProvenance provenance = ProvenanceOf(run->run_id());
  EXPECT_EQ(provenance.origin().submitter(), "local");
  EXPECT_EQ(provenance.origin().source_path(), "train.py");
  EXPECT_EQ(provenance.origin().source_sha256(), std::string(64, 'a'));
  EXPECT_EQ(provenance.origin().git_commit(), std::string(40, 'b'));
  EXPECT_TRUE(provenance.origin().git_dirty());
  EXPECT_EQ(provenance.origin().functions(0).function(), "train");
  EXPECT_EQ(provenance.settings().kfp_package(), "kfp==2.9.0");
}

TEST_F(SubmitTest, StepsGetVariablesThatNoAnswerShows) {
  v1::SubmitRunRequest request = Request();
  (*request.mutable_settings()->mutable_env())["TOKEN"] = "hunter2";
  request.mutable_settings()->set_kfp_package("kfp @ https://me:hunter2@host/kfp.whl");
  const auto run = service_.SubmitRun(caller_, request);
  ASSERT_TRUE(run.ok());
  const v1::RunProvenance provenance = ProvenanceOf(run->run_id());
  ASSERT_EQ(provenance.settings().env().count("TOKEN"), 1u);
  EXPECT_EQ(provenance.settings().env().at("TOKEN"), "");
  EXPECT_EQ(provenance.settings().kfp_package(), "kfp @ https://***@host/kfp.whl");
  EXPECT_EQ(run->DebugString().find("hunter2"), std::string::npos);
}

TEST_F(SubmitTest, RefusesSettingsThatMakeNoSense) {
  v1::RunSettings settings;
  settings.set_isolation("cloud");
  EXPECT_EQ(FaultOf(settings),
            "settings.isolation: isolation \"cloud\" does not exist: choose sandbox or process");
  settings.set_isolation("sandbox");
  EXPECT_EQ(FaultOf(settings),
            "this machine cannot make sandboxes: no namespaces; use --isolation process");
  settings.Clear();
  settings.set_kfp_package("--index-url=x");
  EXPECT_EQ(FaultOf(settings),
            "settings.kfp_package: is no requirement; write for example kfp==2.14.0");
  settings.Clear();
  settings.add_code()->set_sha256("../../etc");
  EXPECT_EQ(FaultOf(settings), "settings.code.sha256: '../../etc' is no SHA-256 in lower-case hex");
  settings.mutable_code(0)->set_sha256(std::string(64, '0'));
  EXPECT_NE(FaultOf(settings).find("is not on this server"), std::string::npos);
}

TEST_F(SubmitTest, RefusesVariablesThatDecideWhatAStepIs) {
  for (const char* name : {"KFP_POD_NAME", "LD_PRELOAD", "PYTHONHOME", "PATH", "PYTHONPATH"}) {
    v1::RunSettings settings;
    (*settings.mutable_env())[name] = "hunter2";
    const std::string fault = FaultOf(settings);
    EXPECT_NE(fault.find("'" + std::string(name) + "' cannot be set: "), std::string::npos)
        << fault;
    EXPECT_EQ(fault.find("hunter2"), std::string::npos);
  }
  v1::RunSettings settings;
  (*settings.mutable_env())["A=B"] = "1";
  EXPECT_EQ(FaultOf(settings), "settings.env: 'A=B' is no name of a variable");
  settings.Clear();
  (*settings.mutable_env())["BIG"] = std::string(200'000, 'x');
  EXPECT_NE(FaultOf(settings).find("at most 131072 go to a step"), std::string::npos);
}

TEST_F(SubmitTest, FaultsOfAPipelineThatCameAlongAreTheClients) {
  v1::SubmitRunRequest request = Request();
  google::protobuf::Struct& spec = *request.mutable_run()->mutable_pipeline_spec();
  google::protobuf::Struct& root = *(*spec.mutable_fields())["root"].mutable_struct_value();
  google::protobuf::Struct& dag = *(*root.mutable_fields())["dag"].mutable_struct_value();
  google::protobuf::Struct& tasks = *(*dag.mutable_fields())["tasks"].mutable_struct_value();
  google::protobuf::Struct& task = *(*tasks.mutable_fields())["a"].mutable_struct_value();
  (*task.mutable_fields())["dependentTasks"].mutable_list_value()->add_values()->set_string_value(
      "nowhere");

  const base::Status refused = service_.SubmitRun(caller_, request).status();

  EXPECT_EQ(refused.code(), Code::kInvalidArgument) << refused.ToString();
  EXPECT_NE(refused.message().find("nowhere"), std::string::npos) << refused.message();

  v2beta1::CreateRunRequest upstream;
  *upstream.mutable_run() = request.run();
  const base::Status as_upstream = service_.CreateRun(caller_, upstream).status();
  EXPECT_EQ(as_upstream.code(), Code::kInternal) << as_upstream.ToString();
  EXPECT_NE(as_upstream.message().find("nowhere"), std::string::npos) << as_upstream.message();
}

TEST_F(SubmitTest, RefusesOriginsThatAreNone) {
  v1::RunOrigin origin;
  origin.set_source_path(std::string(5000, 'x'));
  EXPECT_EQ(FaultOf(origin), "origin.source_path: has 5000 bytes; at most 4096 are kept");
  origin.Clear();
  origin.set_source_sha256("ABC");
  EXPECT_EQ(FaultOf(origin), "origin.source_sha256: 'ABC' is no SHA-256 in lower-case hex");
  origin.Clear();
  origin.set_git_commit("main");
  EXPECT_EQ(FaultOf(origin),
            "origin.git_commit: 'main' is no commit: 40 or 64 lower-case hex digits");
  origin.Clear();
  for (int i = 0; i < 1001; ++i) origin.add_functions();
  EXPECT_EQ(FaultOf(origin), "origin.functions: has 1001 entries; at most 1000 are taken");
}

TEST_F(SubmitTest, CodeIsUnpackedOnceAndReadOnly) {
  EXPECT_EQ(service_.HasCode(caller_, std::string(64, '0')).code(), Code::kNotFound);
  const std::string sha256 = AddCode("x = 1");
  EXPECT_TRUE(service_.HasCode(caller_, sha256).ok());
  EXPECT_EQ(AddCode("x = 1"), sha256);
  const std::string file = root_ + "/code/" + sha256 + "/pkg/__init__.py";
  EXPECT_EQ(*base::ReadFile(file), "x = 1");
  struct stat info {};
  ASSERT_EQ(stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0444u);
  EXPECT_EQ(base::ListDir(root_ + "/code")->size(), 1u);
}

TEST_F(SubmitTest, RefusesCodeThatIsNotWhatItSays) {
  const std::string tar = *archive::CanonicalTar({{"x.py", "", false}});
  EXPECT_EQ(service_.AddCode(caller_, std::string(64, '0'), tar).code(), Code::kInvalidArgument);
  EXPECT_EQ(service_.AddCode(caller_, "..", tar).code(), Code::kInvalidArgument);
  const std::string noise = "no archive at all";
  EXPECT_EQ(service_.AddCode(caller_, base::Sha256Hex(noise), noise).code(),
            Code::kInvalidArgument);
  const auto left = base::ListDir(root_ + "/code");
  EXPECT_TRUE(!left.ok() || left->empty());
}

TEST_F(SubmitTest, SweepingKeepsCodeThatARunUses) {
  const std::string used = AddCode("used = 1");
  const std::string unused = AddCode("unused = 1");
  const std::string fresh = AddCode("fresh = 1");
  v1::SubmitRunRequest request = Request();
  request.mutable_settings()->add_code()->set_sha256(used);
  const auto run = service_.SubmitRun(caller_, request);
  ASSERT_TRUE(run.ok()) << run.status().message();
  MakeOld(used);
  MakeOld(unused);
  const std::atomic<bool> is_stopping = false;
  service_.SweepCode(is_stopping);
  EXPECT_FALSE(base::PathExists(root_ + "/code/" + unused));
  EXPECT_TRUE(base::PathExists(root_ + "/code/" + fresh));
  EXPECT_TRUE(base::PathExists(root_ + "/code/" + used));

  v2beta1::DeleteRunRequest deletion;
  deletion.set_run_id(run->run_id());
  ASSERT_TRUE(service_.DeleteRun(caller_, deletion).ok());
  MakeOld(used);
  service_.SweepCode(is_stopping);
  EXPECT_FALSE(base::PathExists(root_ + "/code/" + used));
}

}  // namespace
}  // namespace caudal::service
