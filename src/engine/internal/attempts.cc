#include <google/protobuf/util/time_util.h>

#include <cmath>

#include "base/uuid.h"
#include "engine/attempt.h"
#include "engine/fingerprint.h"
#include "engine/internal/importer.h"
#include "engine/internal/run_root.h"
#include "engine/internal/stepper.h"
#include "engine/internal/surroundings.h"
#include "wire/json.h"

namespace caudal::engine {
namespace {

using base::Status;
using google::protobuf::Value;
using spec::ComponentKind;

// A task that keeps being lost is at fault itself (it may be what takes the machine down).
constexpr int kMaxLostAttempts = 20;
constexpr char kWaitingForCore[] = "waiting for a core";

std::vector<std::string> ClaimsOf(const Draft& draft, int task) {
  std::vector<std::string> claims;
  for (const auto& volume : draft.surroundings(task).mounted_volumes()) {
    if (!volume.claim().empty()) claims.push_back(volume.claim());
  }
  const std::string workspace = WorkspaceClaim(draft, task);
  if (!workspace.empty()) claims.push_back(workspace);
  return claims;
}

std::string Seconds(double micros) {
  return wire::NumberText(std::round(micros / 1e3) / 1e3) + " s";
}

double Micros(const google::protobuf::Duration& duration) {
  return static_cast<double>(google::protobuf::util::TimeUtil::DurationToMicroseconds(duration));
}

// What an attempt ended with, to be read after "after".
std::string HowItEnded(const v1::AttemptOutcome& outcome, bool timed_out) {
  if (timed_out) return "its time limit";
  if (outcome.exit_code() > 0) return "exit code " + std::to_string(outcome.exit_code());
  return outcome.error_code().empty() ? "a failure" : "error " + outcome.error_code();
}

}  // namespace

void Stepper::PrepareStep(int task) {
  const Status filled = FillRecord(task);
  if (!filled.ok()) return Fail(task, "INPUT", filled.message());
  if (!AskCache(task)) LaunchAttempt(task, 0, kWaitingForCore);
}

Status Stepper::FillRecord(int task) {
  const spec::Component& component = draft_.component(task);
  CAUDAL_TRY(ResolveImage(component, draft_.parameters(task)).status());
  CAUDAL_TRY(ResolveResources(component, draft_.parameters(task)).status());
  CAUDAL_ASSIGN(v1::Surroundings surroundings, ResolveSurroundings(draft_, task));
  if (TakesTaskConfig(draft_, task)) CAUDAL_TRY(PassTaskConfig(draft_, task, &surroundings));
  v1::Task& change = draft_.Change(task);
  if (surroundings.ByteSizeLong() > 0) *change.mutable_surroundings() = std::move(surroundings);
  if (draft_.execution_key(task) == 0) change.set_execution_key(draft_.TakeKey());
  if (!draft_.has_task_root(task)) {
    change.set_task_root(TaskRoot(draft_.info(), draft_.name(task),
                                  base::Uuid5("6f2c1d0e-7a53-5b0c-9f4b-3d9a2e61c7a8",
                                              draft_.Derive("root" + std::to_string(task)))));
  }
  return {};
}

bool Stepper::AskCache(int task) {
  const auto& spec = *draft_.plan(task).spec;
  const spec::Component& component = draft_.component(task);
  const bool is_on = spec.caching_options().enable_cache() && !draft_.info().cache_disabled() &&
                     !draft_.info().settings().no_cache();
  // Making and removing a volume is about the effect, which outputs cannot stand for.
  if (!is_on || component.kind != ComponentKind::kContainer) return false;
  KeyFacts facts;
  facts.component = spec.component_ref().name();
  facts.custom_key = spec.caching_options().cache_key();
  facts.container = &component.executor.container();
  facts.outputs = &component.spec->output_definitions();
  facts.artifacts = &draft_.artifacts(task);
  facts.claims = ClaimsOf(draft_, task);
  google::protobuf::Map<std::string, Value> parameters = draft_.parameters(task);
  for (const auto& [name, input] : component.spec->input_definitions().parameters()) {
    if (input.parameter_type() == ml_pipelines::ParameterType::TASK_CONFIG) parameters.erase(name);
  }
  facts.parameters = &parameters;
  v1::Task& change = draft_.Change(task);
  *change.mutable_cache() = MakeCacheRecord(facts);
  change.set_state(v1::PENDING);
  change.set_reason("looking for outputs to use again");
  draft_.AddQuery().mutable_cache_lookup()->set_task(task);
  return true;
}

void Stepper::PrepareImport(int task) {
  base::Result<v1::Artifact> artifact = ImportedArtifact(draft_, task);
  if (!artifact.ok()) return Fail(task, "INPUT", artifact.status().message());
  v1::Task& change = draft_.Change(task);
  change.set_state(v1::PENDING);
  change.set_reason("importing");
  if (draft_.execution_key(task) == 0) change.set_execution_key(draft_.TakeKey());
  auto& query = *draft_.AddQuery().mutable_import();
  query.set_task(task);
  *query.mutable_artifact() = *std::move(artifact);
  query.set_reimport(draft_.component(task).executor.importer().reimport());
}

void Stepper::LaunchAttempt(int task, int retry_index, const std::string& reason) {
  const int number = draft_.attempts(task);
  const int64_t key = draft_.TakeKey();
  const std::string token = draft_.Derive("token" + std::to_string(key));
  v1::Task& change = draft_.Change(task);
  change.set_state(v1::PENDING);
  change.set_reason(reason);
  change.set_attempts(number + 1);
  change.set_retry_index(retry_index);
  change.set_live_attempt(key);
  change.set_last_attempt(key);
  change.set_live_token(token);
  if (draft_.timed_out(task)) change.set_timed_out(false);
  auto& launch = *draft_.AddCommand().mutable_launch();
  launch.set_task(task);
  launch.set_attempt_key(key);
  launch.set_attempt_number(number);
  launch.set_token(token);
}

void Stepper::SucceedAttempt(int task, const v1::AttemptOutcome& outcome) {
  v1::Task& change = draft_.Change(task);
  *change.mutable_output_parameters() = outcome.parameters();
  *change.mutable_output_artifacts() = outcome.artifacts();
  Finish(task, v1::SUCCEEDED, "");
}

void Stepper::LoseAttempt(int task, const v1::AttemptOutcome& outcome) {
  if (IsToEnd(task)) return Finish(task, v1::CANCELED, "canceled while it ran");
  if (draft_.lost_attempts(task) >= kMaxLostAttempts) {
    return Fail(task, "LOST",
                "lost " + std::to_string(kMaxLostAttempts) + " times: " + outcome.error());
  }
  draft_.Change(task).set_lost_attempts(draft_.lost_attempts(task) + 1);
  LaunchAttempt(task, draft_.retry_index(task), kWaitingForCore);
}

void Stepper::FailAttempt(int task, const v1::AttemptOutcome& outcome) {
  const bool timed_out = draft_.timed_out(task);
  std::string error = outcome.error();
  if (timed_out) {
    const auto limit = static_cast<double>(draft_.surroundings(task).timeout_micros());
    error = "took longer than its time limit of " + Seconds(limit);
  }
  std::string why_not;
  if (RetryAttempt(task, HowItEnded(outcome, timed_out), &why_not)) return;
  v1::Task& change = draft_.Change(task);
  *change.mutable_output_artifacts() = outcome.artifacts();  // logs, if anything
  if (outcome.has_traceback()) *change.mutable_traceback() = outcome.traceback();
  Fail(task, timed_out ? "TIMEOUT" : outcome.error_code(), error);
  if (!why_not.empty()) draft_.Change(task).set_reason(error + "; " + why_not);
}

std::string Stepper::WhichRetry(int task) const {
  const auto* policy = RetryPolicyOf(draft_.state(), task);
  const int retry = draft_.retry_index(task);
  if (policy == nullptr || retry == 0) return "";
  return "retry " + std::to_string(retry) + " of " + std::to_string(policy->max_retry_count());
}

bool Stepper::RetryAttempt(int task, const std::string& after, std::string* why_not) {
  const auto* policy = RetryPolicyOf(draft_.state(), task);
  if (policy == nullptr || policy->max_retry_count() <= 0 || IsToEnd(task)) return false;
  const int retry = draft_.retry_index(task) + 1;
  if (retry > policy->max_retry_count()) {
    *why_not = "retried " + std::to_string(policy->max_retry_count()) +
               (policy->max_retry_count() == 1 ? " time" : " times");
    return false;
  }
  constexpr double kLongest = 1e15;  // microseconds: beyond any budget, and no overflow
  const double factor = policy->backoff_factor() > 0 ? policy->backoff_factor() : 1;
  const double delay =
      std::min(Micros(policy->backoff_duration()) * std::pow(factor, retry - 1), kLongest);
  const double budget = Micros(policy->backoff_max_duration());
  const auto since_start = static_cast<double>(now() - draft_.first_started_at(task));
  if (budget > 0 && draft_.first_started_at(task) > 0 && since_start + delay > budget) {
    *why_not = "not retried: " + Seconds(budget) + " for starting retries are over";
    return false;
  }
  const std::string which =
      "retry " + std::to_string(retry) + " of " + std::to_string(policy->max_retry_count());
  if (!(delay > 0)) {
    LaunchAttempt(task, retry, which + " after " + after);
    return true;
  }
  v1::Task& change = draft_.Change(task);
  change.set_state(v1::RETRYING);
  change.set_reason(which + " after " + after + ", waits " + Seconds(delay));
  change.set_wake_at(now() + static_cast<int64_t>(delay));
  return true;
}

}  // namespace caudal::engine
