#include "supervisor/testing/rig.h"

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "base/file.h"
#include "process/process.h"
#include "supervisor/internal/marks.h"

namespace caudal::supervisor {
namespace {

constexpr auto kPatience = std::chrono::seconds(30);

}  // namespace

bool IsAlive(pid_t pid) {
  const auto stat = base::ReadFile("/proc/" + std::to_string(pid) + "/stat");
  return stat.ok() && stat->find(") Z ") == std::string::npos;
}

Rig::Rig(bool sandbox) : sandbox_(sandbox) {
  char name[] = "/tmp/caudal_supervisor_XXXXXX";
  dir_ = mkdtemp(name);
}

Rig::~Rig() {
  EXPECT_TRUE(!client_ || client_->ShutDown().ok());
  client_.reset();
  EXPECT_TRUE(Marked().empty());
  EXPECT_TRUE(base::RemoveTree(dir_).ok());
}

void Rig::Connect() {
  client_.reset();
  Client::Callbacks callbacks;
  callbacks.on_started = [this](int64_t key, int64_t) {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++started_[key];
    heard_.notify_all();
  };
  callbacks.on_exit = [this](const v1::StepExit& exit) {
    const std::lock_guard<std::mutex> lock(mutex_);
    exits_[exit.attempt_key()] = exit;
    heard_.notify_all();
  };
  callbacks.on_lost = [this](const std::vector<int64_t>& keys) {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const int64_t key : keys) ++lost_[key];
    heard_.notify_all();
  };
  auto client = Client::Connect({dir_, SUPERVISOR_TEST_MAIN}, callbacks, &hello_);
  ASSERT_TRUE(client.ok()) << client.status().ToString();
  client_ = *std::move(client);
}

v1::StepSpec Rig::MakeStep(int64_t key, const std::string& script) const {
  v1::StepSpec step;
  step.set_version(1);
  step.set_attempt_key(key);
  for (const char* word : {"sh", "-c", script.c_str()}) step.add_argv(word);
  step.add_env("PATH=/usr/bin:/bin");
  step.set_sandbox(sandbox_);
  if (sandbox_) step.add_hidden(dir_);
  const std::string work = dir_ + "/work/" + std::to_string(key);
  step.set_log_path(dir_ + "/logs/" + std::to_string(key) + ".log");
  step.set_exit_path(work + "/exit.pb");
  step.set_kill_grace_millis(600'000);
  return step;
}

void Rig::Start(const v1::StepSpec& step) {
  const std::string work = dir_ + "/work/" + std::to_string(step.attempt_key());
  ASSERT_TRUE(base::MakeDirs(work).ok());
  ASSERT_TRUE(base::WriteFileAtomic(work + "/step.pb", step.SerializeAsString()).ok());
  const base::Status started = client_->Start(step.attempt_key(), work + "/step.pb");
  ASSERT_TRUE(started.ok()) << started.ToString();
}

void Rig::AwaitHeard(const std::function<bool()>& condition, const char* what) {
  std::unique_lock<std::mutex> lock(mutex_);
  ASSERT_TRUE(heard_.wait_for(lock, kPatience, condition)) << "never heard of " << what;
}

v1::StepExit Rig::AwaitExit(int64_t key) {
  AwaitHeard([&] { return exits_.count(key) > 0; }, "the exit");
  const std::lock_guard<std::mutex> lock(mutex_);
  return exits_[key];
}

void Rig::AwaitStarted(int64_t key) {
  AwaitHeard([&] { return started_.count(key) > 0; }, "the start");
}

void Rig::AwaitLost(int64_t key) {
  AwaitHeard([&] { return lost_.count(key) > 0; }, "the loss");
}

int Rig::CountStarted(int64_t key) {
  const std::lock_guard<std::mutex> lock(mutex_);
  return started_[key];
}

std::string Rig::Log(int64_t key) const {
  const auto log = base::ReadFile(dir_ + "/logs/" + std::to_string(key) + ".log");
  return log.ok() ? *log : "";
}

void Rig::AwaitLog(int64_t key, const std::string& text) const {
  Await([&] { return Log(key).find(text) != std::string::npos; }, "a line of the log");
}

std::vector<pid_t> Rig::Marked() const {
  std::vector<pid_t> pids;
  for (const auto& marked :
       process::FindMarked("CAUDAL_ATTEMPT", internal::DataDirId(dir_) + ":")) {
    pids.push_back(marked.pid);
  }
  return pids;
}

pid_t Rig::SupervisorPid() const { return hello_.pid(); }

void Rig::Await(const std::function<bool()>& condition, const char* what) {
  const auto give_up = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    ASSERT_LT(std::chrono::steady_clock::now(), give_up) << "in vain: " << what;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

}  // namespace caudal::supervisor
