#pragma once

/// A local executor on a data directory of its own, and what it reports: what the executor's tests
/// share.

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>

#include "base/file.h"
#include "executor/local_executor.h"
#include "supervisor/client.h"

#ifndef SUPERVISOR_TEST_MAIN  // the build says where it lies
#define SUPERVISOR_TEST_MAIN "supervisor_test_main"
#endif

namespace caudal::executor {

/// Remembers what was reported and lets a test wait for it.
class Recorder final : public Reporter {
 public:
  void Waiting(int64_t attempt_key, const std::string& reason) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    reasons_[attempt_key] = reason;
    changed_.notify_all();
  }
  void Started(int64_t attempt_key, int64_t at_micros) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    started_[attempt_key] = at_micros;
    changed_.notify_all();
  }
  void Finished(const v1::AttemptOutcome& outcome) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    outcomes_[outcome.attempt_key()] = outcome;
    ++reports_[outcome.attempt_key()];
    changed_.notify_all();
  }

  v1::AttemptOutcome WaitFinished(int64_t key, int reports = 1) {
    std::unique_lock<std::mutex> lock(mutex_);
    const bool heard = changed_.wait_for(lock, kPatience, [&] { return reports_[key] >= reports; });
    EXPECT_TRUE(heard) << "no outcome of attempt " << key;
    return outcomes_[key];
  }
  std::string WaitReason(int64_t key) {
    std::unique_lock<std::mutex> lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, kPatience, [&] { return reasons_.count(key) > 0; }));
    return reasons_[key];
  }
  void WaitStarted(int64_t key) {
    std::unique_lock<std::mutex> lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, kPatience, [&] { return started_.count(key) > 0; }));
  }
  bool HasStarted(int64_t key) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return started_.count(key) > 0;
  }

 private:
  static constexpr std::chrono::seconds kPatience{60};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<int64_t, int64_t> started_;
  std::map<int64_t, std::string> reasons_;
  std::map<int64_t, v1::AttemptOutcome> outcomes_;
  std::map<int64_t, int> reports_;
};

class LocalExecutorTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    char name[] = "/tmp/caudal_local_XXXXXX";
    data_dir_ = mkdtemp(name);
    Restart({});
    if (GetParam() != "sandbox") return;
    constexpr int64_t kTrial = 1'000'000;
    executor_->Launch(Spec(kTrial, "true"));
    const v1::AttemptOutcome trial = recorder_->WaitFinished(kTrial);
    if (trial.error_code() == "VIEW") GTEST_SKIP() << "no sandboxes here: " << trial.error();
  }

  void TearDown() override {
    executor_.reset();
    if (data_dir_.empty()) return;
    v1::SupervisorReport::Hello hello;
    auto client = supervisor::Client::Connect({data_dir_, SUPERVISOR_TEST_MAIN}, {}, &hello);
    ASSERT_TRUE(client.ok()) << client.status().message();
    EXPECT_TRUE((*client)->ShutDown().ok());
    EXPECT_TRUE(base::RemoveTree(data_dir_).ok());
  }

  // As a new server process would.
  void Restart(const std::vector<int64_t>& current) {
    executor_.reset();
    recorder_ = std::make_unique<Recorder>();
    LocalOptions options;
    options.data_dir = data_dir_;
    options.executable = SUPERVISOR_TEST_MAIN;
    options.isolation = GetParam();
    options.cores_milli = 1000;
    options.memory_bytes = 1LL << 30;
    options.kill_grace_millis = 60'000;
    options.require_secrets = require_secrets_;
    if (GetParam() == "sandbox" && geteuid() == 0) {
      options.step_uid = 61000;
    }
    environments_ = std::make_unique<pyenv::Environments>(EnvironmentOptions(options));
    auto made = LocalExecutor::Make(options, *environments_);
    ASSERT_TRUE(made.ok()) << made.status().message();
    executor_ = std::move(made).value();
    executor_->Adopt(current, recorder_.get());
  }

  v1::AttemptSpec Spec(int64_t key, const std::string& script) {
    v1::AttemptSpec spec;
    spec.set_version(1);
    spec.set_attempt_key(key);
    spec.set_token("token-" + std::to_string(key));
    spec.set_run_id("run");
    spec.set_task_id("00000000-0000-4000-8000-000000000000");
    spec.set_task_path("say");
    spec.set_task_root("minio://mlpipeline/v2/artifacts/p/run/say/" + std::to_string(key));
    spec.set_log_path("logs/00/" + std::to_string(key) + ".log");
    spec.mutable_container()->set_image("busybox");
    for (const char* word : {"sh", "-c"}) spec.mutable_container()->add_command(word);
    spec.mutable_container()->add_command(script);
    return spec;
  }

  std::string WorkDir(int64_t key) const { return data_dir_ + "/work/" + std::to_string(key); }

  std::string Log(int64_t key) const {
    const auto log = base::ReadFile(data_dir_ + "/logs/00/" + std::to_string(key) + ".log");
    return log.ok() ? *log : "";
  }

  // A step that says it runs, and then ends only by a signal.
  v1::AttemptSpec Endless(int64_t key) { return Spec(key, "echo up; exec sleep 1000"); }

  bool require_secrets_ = false;
  std::string data_dir_;
  std::unique_ptr<Recorder> recorder_;
  std::unique_ptr<pyenv::Environments> environments_;
  std::unique_ptr<LocalExecutor> executor_;
};

}  // namespace caudal::executor
