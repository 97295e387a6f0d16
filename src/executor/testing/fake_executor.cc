#include "executor/testing/fake_executor.h"

#include <algorithm>
#include <set>

#include "base/status.h"

namespace caudal::executor {
namespace {

using ml_pipelines::ComponentOutputsSpec;
using ml_pipelines::ParameterType;
using ml_pipelines::PrimitiveType;

google::protobuf::Value DefaultValue(const ComponentOutputsSpec::ParameterSpec& spec,
                                     const std::string& text) {
  google::protobuf::Value value;
  switch (spec.parameter_type()) {
    case ParameterType::NUMBER_INTEGER:
      value.set_number_value(1);
      return value;
    case ParameterType::NUMBER_DOUBLE:
      value.set_number_value(0.5);
      return value;
    case ParameterType::BOOLEAN:
      value.set_bool_value(true);
      return value;
    case ParameterType::LIST:
      value.mutable_list_value();
      return value;
    case ParameterType::STRUCT:
      value.mutable_struct_value();
      return value;
    default:
      value.set_string_value(text);
      return value;
  }
}

// "minio://bucket/a/b" is the object ("bucket", "a/b").
v1::StoredObject ObjectAt(const std::string& uri) {
  v1::StoredObject object;
  const size_t scheme = uri.find("://");
  const std::string rest = scheme == std::string::npos ? uri : uri.substr(scheme + 3);
  const size_t slash = rest.find('/');
  object.set_bucket(rest.substr(0, slash));
  if (slash != std::string::npos) object.set_key(rest.substr(slash + 1));
  return object;
}

v1::AttemptOutcome OutcomeOf(v1::AttemptOutcome::Result result) {
  v1::AttemptOutcome outcome;
  outcome.set_result(result);
  return outcome;
}

}  // namespace

v1::AttemptOutcome FakeExecutor::DefaultOutcome(const v1::AttemptSpec& spec) {
  v1::AttemptOutcome outcome = OutcomeOf(v1::AttemptOutcome::SUCCEEDED);
  const ComponentOutputsSpec& outputs = spec.component().output_definitions();
  for (const auto& [name, parameter] : outputs.parameters()) {
    (*outcome.mutable_parameters())[name] = DefaultValue(parameter, spec.task_path() + "." + name);
  }
  for (const auto& [name, declared] : outputs.artifacts()) {
    v1::Artifact* artifact = (*outcome.mutable_artifacts())[name].add_artifacts();
    artifact->set_name(name);
    *artifact->mutable_type() = declared.artifact_type();
    *artifact->mutable_metadata() = declared.metadata();
    artifact->set_uri(spec.task_root() + "/" + name);
    artifact->set_blob("fa/" + std::to_string(spec.attempt_key()) + "/" + name);
    v1::StoredObject object = ObjectAt(artifact->uri());
    object.set_blob(artifact->blob());
    *outcome.add_objects() = object;
  }
  return outcome;
}

void FakeExecutor::Adopt(const std::vector<int64_t>& current, Reporter* reporter) {
  const std::lock_guard<std::mutex> lock(mutex_);
  reporter_ = reporter;
  reports_.clear();
  const std::set<int64_t> keep(current.begin(), current.end());
  for (const int64_t key : std::vector<int64_t>(order_)) {
    Attempt& attempt = attempts_[key];
    // An attempt that only waited for admission lived in the server's memory and died with it.
    if (keep.count(key) == 0 || attempt.phase == Phase::kQueued) {
      if (attempt.phase == Phase::kLive) --live_per_task_[attempt.spec.task_id()];
      attempts_.erase(key);
      std::erase(order_, key);
    } else {
      ReportLocked(key, attempt);
    }
  }
}

void FakeExecutor::Launch(const v1::AttemptSpec& spec) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto [it, is_new] = attempts_.try_emplace(spec.attempt_key());
  if (!is_new) {
    ReportLocked(spec.attempt_key(), it->second);
    return;
  }
  it->second.spec = spec;
  order_.push_back(spec.attempt_key());
}

void FakeExecutor::Kill(int64_t attempt_key, const std::string& token, bool /*now*/) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto [it, is_new] = attempts_.try_emplace(attempt_key);
  Attempt& attempt = it->second;
  if (is_new) {
    attempt.spec.set_attempt_key(attempt_key);
    attempt.spec.set_token(token);
    order_.push_back(attempt_key);
  }
  if (attempt.phase == Phase::kQueued) {
    EndLocked(attempt_key, &attempt, OutcomeOf(v1::AttemptOutcome::KILLED));
  } else if (attempt.phase == Phase::kLive) {
    attempt.kill_requested = true;
  } else {
    ReportLocked(attempt_key, attempt);
  }
}

void FakeExecutor::Forget(int64_t attempt_key) {
  const std::lock_guard<std::mutex> lock(mutex_);
  attempts_.erase(attempt_key);
  std::erase(order_, attempt_key);
}

std::string FakeExecutor::Realm(const v1::AttemptSpec& /*spec*/) {
  const std::lock_guard<std::mutex> lock(mutex_);
  return realm_;
}

bool FakeExecutor::HasBlob(const std::string& blob) {
  const std::lock_guard<std::mutex> lock(mutex_);
  return lost_blobs_.count(blob) == 0;
}

void FakeExecutor::SetRealm(const std::string& realm) {
  const std::lock_guard<std::mutex> lock(mutex_);
  realm_ = realm;
}

void FakeExecutor::LoseBlob(const std::string& blob) {
  const std::lock_guard<std::mutex> lock(mutex_);
  lost_blobs_.insert(blob);
}

void FakeExecutor::Script(const std::string& task_path, const v1::AttemptOutcome& outcome) {
  const std::lock_guard<std::mutex> lock(mutex_);
  scripts_[task_path].push_back(outcome);
}

void FakeExecutor::ScriptFailure(const std::string& task_path, int exit_code) {
  v1::AttemptOutcome outcome = OutcomeOf(v1::AttemptOutcome::FAILED);
  outcome.set_exit_code(exit_code);
  outcome.set_error_code("EXIT");
  outcome.set_error("exit " + std::to_string(exit_code));
  Script(task_path, outcome);
}

void FakeExecutor::SetProgram(Program program) {
  const std::lock_guard<std::mutex> lock(mutex_);
  program_ = std::move(program);
}

std::vector<int64_t> FakeExecutor::Queued() const { return KeysIn(Phase::kQueued); }
std::vector<int64_t> FakeExecutor::Live() const { return KeysIn(Phase::kLive); }

std::vector<int64_t> FakeExecutor::KeysIn(Phase phase) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<int64_t> keys;
  for (const int64_t key : order_) {
    if (attempts_.at(key).phase == phase) keys.push_back(key);
  }
  return keys;
}

v1::AttemptSpec FakeExecutor::SpecOf(int64_t attempt_key) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return attempts_.at(attempt_key).spec;
}

void FakeExecutor::Start(int64_t attempt_key) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto it = attempts_.find(attempt_key);
  if (it == attempts_.end() || it->second.phase != Phase::kQueued) return;
  Attempt& attempt = it->second;
  attempt.phase = Phase::kLive;
  attempt.started_at = ++now_micros_;
  ++ledger_[{attempt.spec.task_id(), attempt.spec.attempt_number()}].starts;
  max_live_per_task_ = std::max(max_live_per_task_, ++live_per_task_[attempt.spec.task_id()]);
  ReportLocked(attempt_key, attempt);
}

bool FakeExecutor::Finish(int64_t attempt_key) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto it = attempts_.find(attempt_key);
  if (it == attempts_.end() || it->second.phase != Phase::kLive) return false;
  std::optional<v1::AttemptOutcome> outcome = it->second.kill_requested
                                                  ? OutcomeOf(v1::AttemptOutcome::KILLED)
                                                  : NextScriptedLocked(it->second.spec);
  if (!outcome) return false;
  EndLocked(attempt_key, &it->second, *std::move(outcome));
  return true;
}

void FakeExecutor::FinishWith(int64_t attempt_key, v1::AttemptOutcome outcome) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto it = attempts_.find(attempt_key);
  if (it == attempts_.end() || it->second.phase == Phase::kEnded) return;
  EndLocked(attempt_key, &it->second, std::move(outcome));
}

void FakeExecutor::Lose(int64_t attempt_key) {
  v1::AttemptOutcome outcome = OutcomeOf(v1::AttemptOutcome::LOST);
  outcome.set_error_code("LOST");
  FinishWith(attempt_key, outcome);
}

bool FakeExecutor::Deliver() {
  Reporter* reporter = nullptr;
  std::deque<Report> reports;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    reporter = reporter_;
    reports.swap(reports_);
  }
  if (reporter == nullptr) return false;
  for (const Report& report : reports) {
    if (report.is_final) {
      reporter->Finished(report.outcome);
    } else {
      reporter->Started(report.attempt_key, report.started_at);
    }
  }
  return !reports.empty();
}

void FakeExecutor::RunUntilIdle() {
  bool moved = true;
  while (moved) {
    moved = false;
    for (const int64_t key : Queued()) {
      Start(key);
      moved = true;
    }
    for (const int64_t key : Live()) moved = Finish(key) || moved;
    moved = Deliver() || moved;
  }
}

void FakeExecutor::Disconnect() {
  const std::lock_guard<std::mutex> lock(mutex_);
  reporter_ = nullptr;
  reports_.clear();
}

std::map<FakeExecutor::AttemptId, FakeExecutor::Record> FakeExecutor::Ledger() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return ledger_;
}

int FakeExecutor::MaxLivePerTask() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return max_live_per_task_;
}

void FakeExecutor::EndLocked(int64_t key, Attempt* attempt, v1::AttemptOutcome outcome) {
  if (attempt->phase == Phase::kLive) --live_per_task_[attempt->spec.task_id()];
  attempt->phase = Phase::kEnded;
  Record& record = ledger_[{attempt->spec.task_id(), attempt->spec.attempt_number()}];
  if (outcome.result() == v1::AttemptOutcome::SUCCEEDED) ++record.successes;
  if (outcome.result() == v1::AttemptOutcome::KILLED) ++record.kills;
  outcome.set_version(1);
  outcome.set_attempt_key(key);
  outcome.set_token(attempt->spec.token());
  outcome.set_started_at(attempt->started_at);
  outcome.set_ended_at(++now_micros_);
  if (attempt->started_at == 0) outcome.set_exit_code(-1);
  attempt->outcome = std::move(outcome);
  ReportLocked(key, *attempt);
}

void FakeExecutor::ReportLocked(int64_t key, const Attempt& attempt) {
  if (reporter_ == nullptr || attempt.phase == Phase::kQueued) return;
  Report report;
  report.is_final = attempt.phase == Phase::kEnded;
  report.attempt_key = key;
  report.started_at = attempt.started_at;
  report.outcome = attempt.outcome;
  reports_.push_back(std::move(report));
}

std::optional<v1::AttemptOutcome> FakeExecutor::NextScriptedLocked(const v1::AttemptSpec& spec) {
  const auto script = scripts_.find(spec.task_path());
  if (script == scripts_.end()) return program_(spec);
  const v1::AttemptOutcome outcome = script->second.front();
  if (script->second.size() > 1) script->second.pop_front();
  return outcome;
}

}  // namespace caudal::executor
