#include "service/service.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include "archive/testing/raw_archive.h"
#include "base/testing/fake_clock.h"
#include "engine/testing/pipelines.h"
#include "executor/testing/fake_executor.h"
#include "spec/package.h"

namespace caudal::service {
namespace {

using base::Code;
using base::Status;

/// A service over a store in memory and an executor without processes. The orchestrator's loop runs
/// on its thread, as creations wait for it; steps move only when a test says so.
class ServiceTest : public testing::Test {
 protected:
  ServiceTest()
      : store_(*store::Store::Open(":memory:")),
        orchestrator_(*store_, executor_, clock_, [this] { return std::to_string(++salt_); }),
        service_(*store_, orchestrator_, clock_, {"/data", "process"}) {
    EXPECT_TRUE(service_.Prepare().ok());
    EXPECT_TRUE(orchestrator_.Recover().ok());
    orchestrator_.Start();
  }
  ~ServiceTest() override { orchestrator_.Stop(); }

  v2beta1::CreateRunRequest Inline(const std::string& tasks) {
    v2beta1::CreateRunRequest request;
    request.mutable_run()->set_display_name("a run");
    const auto package = spec::LoadPackage(engine::PipelineText(tasks));
    EXPECT_TRUE(package.ok());
    *request.mutable_run()->mutable_pipeline_spec() = package->as_struct;
    return request;
  }

  std::string Create(const std::string& tasks) {
    const auto run = service_.CreateRun(caller_, Inline(tasks));
    EXPECT_TRUE(run.ok()) << run.status().ToString();
    return run.ok() ? run->run_id() : "";
  }

  v1::RunReport Report(const std::string& run_id, int64_t after = -1) {
    v1::GetRunReportRequest request;
    request.set_run_id(run_id);
    request.set_wait_millis(after < 0 ? 0 : 20'000);
    request.set_after_sequence(after);
    auto report = service_.GetRunReport(caller_, request);
    EXPECT_TRUE(report.ok()) << report.status().ToString();
    return *std::move(report);
  }

  v1::RunReport RunToEnd(const std::string& run_id) {
    v1::RunReport report = Report(run_id);
    while (!report.is_final()) {
      executor_.RunUntilIdle();
      report = Report(run_id, report.sequence());
    }
    return report;
  }

  Upload Package(const std::string& name) {
    Upload upload;
    upload.file_name = name + ".yaml";
    upload.name = name;
    upload.content = engine::PipelineText("a b:a");
    return upload;
  }

  base::FakeClock clock_;
  executor::FakeExecutor executor_;
  int salt_ = 0;
  std::unique_ptr<store::Store> store_;
  orchestrator::Orchestrator orchestrator_;
  Service service_;
  Caller caller_{auth::LocalUser(), "test"};
};

TEST_F(ServiceTest, FreshRunLooksAsUpstreams) {
  const auto run = service_.CreateRun(caller_, Inline("a"));
  ASSERT_TRUE(run.ok()) << run.status().ToString();
  EXPECT_EQ(run->state(), v2beta1::PENDING);
  EXPECT_EQ(run->storage_state(), v2beta1::Run::AVAILABLE);
  EXPECT_EQ(run->service_account(), "pipeline-runner");
  EXPECT_EQ(run->finished_at().seconds(), 0);
  EXPECT_TRUE(run->has_finished_at());
  ASSERT_EQ(run->state_history_size(), 1);
  EXPECT_EQ(run->state_history(0).state(), v2beta1::PENDING);
  EXPECT_FALSE(run->has_runtime_config());
  EXPECT_FALSE(run->has_run_details());
  EXPECT_FALSE(run->experiment_id().empty());
}

TEST_F(ServiceTest, RunGoesToItsEndAndTellsItsTasks) {
  const std::string id = Create("a outer:a{x y:x}");
  const v1::RunReport report = RunToEnd(id);
  EXPECT_EQ(report.state(), v2beta1::SUCCEEDED);
  ASSERT_EQ(report.tasks_size(), 4);
  EXPECT_EQ(report.tasks(3).path(), "outer/y");
  EXPECT_EQ(report.tasks(3).state(), "SUCCEEDED");

  v2beta1::GetRunRequest request;
  request.set_run_id(id);
  const auto run = service_.GetRun(caller_, request);
  ASSERT_TRUE(run.ok());
  ASSERT_EQ(run->run_details().task_details_size(), 4);
  const auto& inner = run->run_details().task_details(3);
  EXPECT_EQ(inner.task_id(), report.tasks(3).task_id());
  EXPECT_EQ(inner.parent_task_id(), report.tasks(1).task_id());
  EXPECT_EQ(run->state_history(run->state_history_size() - 1).state(), v2beta1::SUCCEEDED);
}

TEST_F(ServiceTest, FailedRunNamesTaskAndCause) {
  executor_.ScriptFailure("outer/x", 3);
  const v1::RunReport report = RunToEnd(Create("outer{x} after:outer"));
  EXPECT_EQ(report.state(), v2beta1::FAILED);
  EXPECT_FALSE(report.cancelled());
  EXPECT_EQ(report.error().message().find("task 'outer' failed: task 'x' failed: "), 0u)
      << report.error().message();
  EXPECT_EQ(report.tasks(2).state(), "OMITTED");
  EXPECT_EQ(report.tasks(2).reason(), "needs outer");
}

TEST_F(ServiceTest, TerminatedRunIsFailedForClientsAndCanceledForUs) {
  const std::string id = Create("a b:a");
  v2beta1::TerminateRunRequest terminate;
  terminate.set_run_id(id);
  ASSERT_TRUE(service_.TerminateRun(caller_, terminate).ok());
  EXPECT_EQ(Report(id).state(), v2beta1::CANCELING);
  EXPECT_EQ(service_.TerminateRun(caller_, terminate).code(), Code::kInvalidArgument);

  const v1::RunReport report = RunToEnd(id);
  EXPECT_EQ(report.state(), v2beta1::FAILED);
  EXPECT_TRUE(report.cancelled());
  EXPECT_EQ(report.error().message(), "run was terminated by local");
  EXPECT_EQ(service_.TerminateRun(caller_, terminate).code(), Code::kInvalidArgument);
}

// row: A260
TEST_F(ServiceTest, OnlyAFailedRunIsRetriedAndOnlyWhatFailedIsDoneAgain) {
  v2beta1::RetryRunRequest retry;
  retry.set_run_id("nosuch");
  EXPECT_EQ(service_.RetryRun(caller_, retry).code(), Code::kNotFound);
  executor_.ScriptFailure("b", 1);
  const std::string id = Create("a b:a c:b");
  retry.set_run_id(id);
  EXPECT_EQ(service_.RetryRun(caller_, retry).code(), Code::kAborted) << "it runs still";
  const v1::RunReport failed = RunToEnd(id);
  ASSERT_EQ(failed.state(), v2beta1::FAILED);

  ASSERT_TRUE(service_.RetryRun(caller_, retry).ok());
  const v1::RunReport again = RunToEnd(id);
  EXPECT_EQ(again.state(), v2beta1::FAILED);  // the script goes on
  EXPECT_EQ(again.tasks(0).attempts(), 1);
  EXPECT_EQ(again.tasks(1).attempts(), 2);
  EXPECT_EQ(again.tasks(2).state(), "OMITTED");
  EXPECT_EQ(again.tasks(1).task_id(), failed.tasks(1).task_id());

  const std::string good = Create("a");
  ASSERT_EQ(RunToEnd(good).state(), v2beta1::SUCCEEDED);
  retry.set_run_id(good);
  EXPECT_EQ(service_.RetryRun(caller_, retry).code(), Code::kAborted) << "it has succeeded";
}

TEST_F(ServiceTest, ChangesAreThoseTasksThatChanged) {
  const std::string id = Create("a outer{x y:x}");
  v1::GetRunReportRequest request;
  request.set_run_id(id);
  request.set_changes_only(true);
  const auto all = service_.GetRunReport(caller_, request);
  ASSERT_TRUE(all.ok()) << all.status().ToString();
  EXPECT_EQ(all->tasks_size(), 4);
  request.set_after_sequence(all->sequence());
  EXPECT_EQ(service_.GetRunReport(caller_, request)->tasks_size(), 0);
  for (const int64_t attempt : executor_.Queued()) {
    if (executor_.SpecOf(attempt).task_path() == "outer/x") executor_.Start(attempt);
  }
  executor_.Deliver();
  Report(id, all->sequence());
  const auto changed = service_.GetRunReport(caller_, request);
  ASSERT_EQ(changed->tasks_size(), 1);
  EXPECT_EQ(changed->tasks(0).path(), "outer/x");
  EXPECT_EQ(changed->tasks(0).state(), "RUNNING");
  EXPECT_GT(changed->sequence(), all->sequence());
}

TEST_F(ServiceTest, AReportMayBeReadInPages) {
  const std::string id = Create("a outer{x y:x} z:outer");
  const v1::RunReport whole = Report(id);
  v1::GetRunReportRequest request;
  request.set_run_id(id);
  request.set_most_tasks(2);
  std::multiset<std::string> paths;
  int pages = 0;
  do {
    const auto page = service_.GetRunReport(caller_, request);
    ASSERT_TRUE(page.ok()) << page.status().ToString();
    EXPECT_EQ(page->state(), whole.state());
    for (const auto& task : page->tasks()) paths.insert(task.path());
    request.set_first_task(page->next_task());
    ++pages;
  } while (request.first_task() != 0);
  EXPECT_EQ(pages, 4);  // the root is one, and nothing follows the last
  EXPECT_EQ(paths, (std::multiset<std::string>{"a", "outer", "outer/x", "outer/y", "z"}));
}

TEST_F(ServiceTest, ExplanationHasTheReasonsOfTheRecords) {
  executor_.ScriptFailure("a", 3);
  const std::string id = Create("a b:a");
  RunToEnd(id);
  v1::ExplainRunRequest request;
  request.set_run_id(id);
  ASSERT_EQ(service_.ExplainRun(caller_, request)->tasks_size(), 2);
  request.set_task("b");
  const auto one = service_.ExplainRun(caller_, request);
  ASSERT_EQ(one->tasks_size(), 1);
  EXPECT_EQ(one->tasks(0).state(), "OMITTED");
  EXPECT_EQ(one->tasks(0).reason(), "needs a");
  request.set_task("nosuch");
  EXPECT_EQ(service_.ExplainRun(caller_, request).status().code(), Code::kNotFound);
}

TEST_F(ServiceTest, CacheIsEvictedOnlyByWhoSaysWhat) {
  const auto code = [&](const v1::EvictCacheEntriesRequest& request) {
    return service_.EvictCacheEntries(caller_, request).status().code();
  };
  v1::EvictCacheEntriesRequest nothing;
  EXPECT_EQ(code(nothing), Code::kInvalidArgument);
  v1::EvictCacheEntriesRequest both;
  both.add_ids(1);
  both.set_everything(true);
  EXPECT_EQ(code(both), Code::kInvalidArgument);
  v1::EvictCacheEntriesRequest all;
  all.set_everything(true);
  EXPECT_EQ(code(all), Code::kOk);
  v1::GetCacheEntryRequest one;
  one.set_id(77);
  EXPECT_EQ(service_.GetCacheEntry(caller_, one).status().code(), Code::kNotFound);
}

TEST_F(ServiceTest, DeletedRunIsGoneAndItsStepsWithIt) {
  const std::string id = Create("a b:a");
  v2beta1::DeleteRunRequest request;
  request.set_run_id(id);
  ASSERT_TRUE(service_.DeleteRun(caller_, request).ok());
  executor_.RunUntilIdle();
  EXPECT_TRUE(executor_.Live().empty());
  EXPECT_EQ(service_.DeleteRun(caller_, request).code(), Code::kNotFound);
}

TEST_F(ServiceTest, RefusedRunsCarryUpstreamsCodesAndLeaveNothing) {
  const auto code = [&](const v2beta1::CreateRunRequest& request) {
    return service_.CreateRun(caller_, request).status().code();
  };
  v2beta1::CreateRunRequest nameless = Inline("a");
  nameless.mutable_run()->clear_display_name();
  EXPECT_EQ(code(nameless), Code::kInternal);
  v2beta1::CreateRunRequest elsewhere = Inline("a");
  elsewhere.mutable_run()->set_experiment_id("nosuch");
  EXPECT_EQ(code(elsewhere), Code::kNotFound);
  v2beta1::CreateRunRequest sourceless = Inline("a");
  sourceless.mutable_run()->clear_pipeline_spec();
  EXPECT_EQ(code(sourceless), Code::kInternal);
  v2beta1::CreateRunRequest extra = Inline("a");
  (*extra.mutable_run()->mutable_runtime_config()->mutable_parameters())["x"].set_number_value(1);
  EXPECT_EQ(code(extra), Code::kInvalidArgument);
  v2beta1::CreateRunRequest rooted = Inline("a");
  rooted.mutable_run()->mutable_runtime_config()->set_pipeline_root("file:///etc");
  EXPECT_EQ(code(rooted), Code::kInvalidArgument);
  v2beta1::CreateRunRequest output = Inline("a");
  (*output.mutable_run()->mutable_plugins_output())["x"];
  EXPECT_EQ(code(output), Code::kAborted);

  EXPECT_EQ(service_.ListRuns(caller_, {})->total_size(), 0);
}

TEST_F(ServiceTest, ClientMayChooseTheRunIdOnce) {
  v2beta1::CreateRunRequest request = Inline("a");
  request.mutable_run()->set_run_id("../nightly run");
  EXPECT_EQ(service_.CreateRun(caller_, request)->run_id(), "../nightly run");
  EXPECT_EQ(service_.CreateRun(caller_, request).status().code(), Code::kAlreadyExists);
  const auto attempts = executor_.Queued();
  ASSERT_EQ(attempts.size(), 1u);
  EXPECT_EQ(executor_.SpecOf(attempts[0]).task_root().find(".."), std::string::npos);
}

TEST_F(ServiceTest, UploadMakesPipelineAndVersionTogether) {
  const auto pipeline = service_.UploadPipeline(caller_, Package("p"));
  ASSERT_TRUE(pipeline.ok()) << pipeline.status().ToString();
  v2beta1::ListPipelineVersionsRequest list;
  list.set_pipeline_id(pipeline->pipeline_id());
  const auto versions = service_.ListPipelineVersions(caller_, list);
  ASSERT_EQ(versions->pipeline_versions_size(), 1);
  EXPECT_EQ(versions->pipeline_versions(0).name(), "p");
  EXPECT_TRUE(versions->pipeline_versions(0).pipeline_spec().fields().count("root") > 0);

  EXPECT_EQ(service_.UploadPipeline(caller_, Package("p")).status().code(), Code::kAlreadyExists);
  Upload broken = Package("q");
  broken.content = "root: {}";
  EXPECT_EQ(service_.UploadPipeline(caller_, broken).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(service_.ListPipelines(caller_, {})->total_size(), 1);
}

TEST_F(ServiceTest, UploadReadsArchives) {
  Upload upload = Package("p");
  upload.file_name = "p.zip";
  upload.content = archive::testing::RawZip({{"README", "x"}, {"pipeline.yaml", upload.content}});
  const auto pipeline = service_.UploadPipeline(caller_, upload);
  ASSERT_TRUE(pipeline.ok()) << pipeline.status().ToString();
  upload.pipeline_id = pipeline->pipeline_id();
  upload.name = "second";
  upload.content = archive::testing::RawTarGz({{"notes.txt", "x"}});
  EXPECT_EQ(service_.UploadPipelineVersion(caller_, upload).status().ToString(),
            "INVALID_ARGUMENT: file 'p.zip': the archive has no pipeline.yaml, and its first entry "
            "'notes.txt' does not end in .yaml or .yml");
}

// Kubernetes documents, as the SDK writes them.
TEST_F(ServiceTest, UploadTakesNamesFromAManifestUnlessTheRequestHasThem) {
  Upload upload;
  upload.file_name = "p.yaml";
  upload.content =
      R"({"apiVersion": "pipelines.kubeflow.org/v2beta1", "kind": "PipelineVersion",
          "metadata": {"name": "v1"},
          "spec": {"pipelineName": "of-manifest", "displayName": "First", "description": "d",
                   "codeSourceURL": "u", "tags": {"k": "v"}, "pipelineSpec": )" +
      engine::PipelineText("a b:a") + "}}";
  const auto pipeline = service_.UploadPipeline(caller_, upload);
  ASSERT_TRUE(pipeline.ok()) << pipeline.status().ToString();
  EXPECT_EQ(pipeline->name(), "of-manifest");
  v2beta1::ListPipelineVersionsRequest list;
  list.set_pipeline_id(pipeline->pipeline_id());
  const auto versions = service_.ListPipelineVersions(caller_, list);
  ASSERT_EQ(versions->pipeline_versions_size(), 1);
  const v2beta1::PipelineVersion& version = versions->pipeline_versions(0);
  EXPECT_EQ(version.name(), "v1");
  EXPECT_EQ(version.display_name(), "First");
  EXPECT_EQ(version.description(), "d");
  EXPECT_EQ(version.code_source_url(), "u");
  EXPECT_EQ(version.tags().at("k"), "v");
  EXPECT_TRUE(version.pipeline_spec().fields().count("root") > 0);

  upload.name = "of-request";
  const auto named = service_.UploadPipeline(caller_, upload);
  ASSERT_TRUE(named.ok()) << named.status().ToString();
  EXPECT_EQ(named->name(), "of-request");
  EXPECT_EQ(named->display_name(), "of-request");
  list.set_pipeline_id(named->pipeline_id());
  EXPECT_EQ(service_.ListPipelineVersions(caller_, list)->pipeline_versions(0).name(),
            "of-request");
}

TEST_F(ServiceTest, RunOfAPipelineUsesItsLatestVersion) {
  const auto pipeline = service_.UploadPipeline(caller_, Package("p"));
  clock_.Advance(std::chrono::seconds(1));
  Upload second = Package("p2");
  second.pipeline_id = pipeline->pipeline_id();
  const auto version = service_.UploadPipelineVersion(caller_, second);
  ASSERT_TRUE(version.ok()) << version.status().ToString();
  v2beta1::CreateRunRequest request;
  request.mutable_run()->set_display_name("r");
  request.mutable_run()->mutable_pipeline_version_reference()->set_pipeline_id(
      pipeline->pipeline_id());
  const auto run = service_.CreateRun(caller_, request);
  ASSERT_TRUE(run.ok()) << run.status().ToString();
  EXPECT_EQ(run->pipeline_version_reference().pipeline_version_id(),
            version->pipeline_version_id());
  EXPECT_FALSE(run->has_pipeline_spec());
}

TEST_F(ServiceTest, PipelineWithVersionsIsDeletedOnlyByCascade) {
  const auto pipeline = service_.UploadPipeline(caller_, Package("p"));
  v2beta1::DeletePipelineRequest request;
  request.set_pipeline_id(pipeline->pipeline_id());
  EXPECT_EQ(service_.DeletePipeline(caller_, request).code(), Code::kInvalidArgument);
  request.set_cascade(true);
  EXPECT_TRUE(service_.DeletePipeline(caller_, request).ok());
  EXPECT_EQ(service_.DeletePipeline(caller_, request).code(), Code::kNotFound);
}

TEST_F(ServiceTest, ArchivedExperimentHoldsItsRuns) {
  const std::string id = Create("a");
  v2beta1::GetRunRequest get;
  get.set_run_id(id);
  const std::string experiment = service_.GetRun(caller_, get)->experiment_id();
  v2beta1::ArchiveExperimentRequest archive;
  archive.set_experiment_id(experiment);
  ASSERT_TRUE(service_.ArchiveExperiment(caller_, archive).ok());
  EXPECT_EQ(service_.GetRun(caller_, get)->storage_state(), v2beta1::Run::ARCHIVED);
  v2beta1::UnarchiveRunRequest unarchive;
  unarchive.set_run_id(id);
  EXPECT_EQ(service_.UnarchiveRun(caller_, unarchive).code(), Code::kFailedPrecondition);
}

TEST_F(ServiceTest, NobodyElseMayTouchARun) {
  const std::string id = Create("a");
  const Caller stranger{{"ann", false}, "test"};
  v2beta1::GetRunRequest get;
  get.set_run_id(id);
  EXPECT_EQ(service_.GetRun(stranger, get).status().code(), Code::kPermissionDenied);
  EXPECT_EQ(service_.OpenLog(stranger, id, "x").status().code(), Code::kPermissionDenied);
  EXPECT_EQ(service_.ListRuns(stranger, {}).status().code(), Code::kPermissionDenied);
  EXPECT_EQ(service_.CreateRun(stranger, Inline("a")).status().code(), Code::kPermissionDenied);
}

TEST_F(ServiceTest, ManyWhoWaitLeaveRoomForOthers) {
  const std::string id = Create("a");
  v1::GetRunReportRequest request;
  request.set_run_id(id);
  request.set_after_sequence(Report(id).sequence());
  request.set_wait_millis(30'000);
  std::mutex mutex;
  std::condition_variable changed;
  int answered = 0;
  std::vector<std::thread> waiters;
  for (int i = 0; i < 40; ++i) {
    waiters.emplace_back([&] {
      EXPECT_TRUE(service_.GetRunReport(caller_, request).ok());
      const std::lock_guard lock(mutex);
      ++answered;
      changed.notify_all();
    });
  }
  // All but some get an answer although nothing happens.
  {
    std::unique_lock lock(mutex);
    EXPECT_TRUE(changed.wait_for(lock, std::chrono::seconds(10), [&] { return answered == 24; }));
  }
  v2beta1::TerminateRunRequest terminate;
  terminate.set_run_id(id);
  EXPECT_TRUE(service_.TerminateRun(caller_, terminate).ok());
  for (std::thread& waiter : waiters) waiter.join();
}

TEST_F(ServiceTest, FollowedLogEndsWithItsAttempt) {
  const std::string id = Create("a");
  const v1::RunReport report = Report(id);
  const auto log = service_.OpenLog(caller_, id, report.tasks(0).task_id());
  ASSERT_TRUE(log.ok()) << log.status().ToString();
  EXPECT_FALSE(log->is_complete());
  executor_.Start(executor_.Queued().at(0));
  executor_.Lose(executor_.Live().at(0));
  executor_.Deliver();
  // The next attempt has been launched when its number is told.
  v1::RunReport now = Report(id, report.sequence());
  while (now.tasks(0).attempts() < 2) now = Report(id, now.sequence());
  EXPECT_TRUE(log->is_complete());
}

TEST_F(ServiceTest, ADatabaseErrorIsNoFaultOfWhoTerminates) {
  const std::string id = Create("a");
  store_->writer_for_test().SetFaultHookForTest([](std::string_view sql) {
    return sql == "COMMIT" ? base::ResourceExhausted("disk is full") : Status();
  });
  v2beta1::TerminateRunRequest request;
  request.set_run_id(id);
  EXPECT_EQ(service_.TerminateRun(caller_, request).code(), Code::kResourceExhausted);
  orchestrator_.Stop();
  store_->writer_for_test().SetFaultHookForTest(nullptr);
}

TEST_F(ServiceTest, EveryMethodOfTheServicesIsServed) {
  const MethodTable table = service_.Methods();
  std::set<std::string> served;
  for (const Method& method : table) {
    ASSERT_NE(method.descriptor, nullptr);
    served.insert(method.descriptor->full_name());
  }
  for (const auto* file :
       {v2beta1::Experiment::descriptor()->file(), v2beta1::Pipeline::descriptor()->file(),
        v2beta1::Run::descriptor()->file(), v1::RunReport::descriptor()->file(),
        v1::KeySet::descriptor()->file(), v1::CacheEntry::descriptor()->file()}) {
    for (int s = 0; s < file->service_count(); ++s) {
      for (int m = 0; m < file->service(s)->method_count(); ++m) {
        EXPECT_EQ(served.count(file->service(s)->method(m)->full_name()), 1u)
            << file->service(s)->method(m)->full_name();
      }
    }
  }
}

}  // namespace
}  // namespace caudal::service
