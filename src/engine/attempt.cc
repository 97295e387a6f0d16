#include "engine/attempt.h"

#include <optional>
#include <string_view>

#include "base/clock.h"
#include "engine/internal/quantity.h"
#include "model/task.h"
#include "wire/json.h"

namespace caudal::engine {
namespace {

using base::InvalidArgument;
using base::Result;
using Container = ml_pipelines::PipelineDeploymentConfig::PipelineContainerSpec;
using Parameters = google::protobuf::Map<std::string, google::protobuf::Value>;

// Replaces every {{$.inputs.parameters['x']}} in a text of the component (image, resources).
Result<std::string> Resolve(std::string_view text, const Parameters& parameters,
                            std::string_view what) {
  constexpr std::string_view kOpen = "{{$.inputs.parameters['";
  constexpr std::string_view kClose = "']}}";
  std::string result;
  while (true) {
    const size_t open = text.find(kOpen);
    const size_t close = open == text.npos ? text.npos : text.find(kClose, open);
    if (close == text.npos) return result.append(text);
    const std::string name(text.substr(open + kOpen.size(), close - open - kOpen.size()));
    const auto value = parameters.find(name);
    if (value == parameters.end()) {
      return InvalidArgument(std::string(what) + " needs input '" + name + "', which has no value");
    }
    result += text.substr(0, open);
    result += wire::ValueText(value->second);
    text.remove_prefix(close + kClose.size());
  }
}

Result<int64_t> Quantity(const std::string& text, double legacy, double legacy_unit, int64_t scale,
                         const Parameters& parameters, std::string_view what) {
  if (text.empty()) {
    const double amount = legacy * legacy_unit * static_cast<double>(scale);
    if (amount >= 0 && amount < 9e18) return static_cast<int64_t>(amount);
    google::protobuf::Value given;
    given.set_number_value(legacy);
    return InvalidArgument(std::string(what) + " " + wire::ValueText(given) +
                           " is negative or too large; leave it out for no limit");
  }
  CAUDAL_ASSIGN(const std::string resolved, Resolve(text, parameters, what));
  const std::optional<int64_t> quantity = ParseQuantity(resolved, scale);
  if (!quantity) {
    return InvalidArgument(std::string(what) + " \"" + resolved +
                           "\" is no quantity; write for example \"500m\" or \"2Gi\"");
  }
  return *quantity;
}

v1::JobInfo MakeJobInfo(const State& state, int task) {
  const v1::RunInfo& info = state.info();
  v1::JobInfo job;
  job.set_job_name(info.display_name());
  job.set_job_resource_name(info.resource_name());
  job.set_job_uuid(info.run_id());
  job.set_task_name(state.task(task).name());
  job.set_task_uuid(std::to_string(state.task(state.task(task).parent()).execution_key()));
  job.set_create_time_utc(base::FormatRfc3339(base::TimeFromMicros(info.created_at())));
  job.set_schedule_time_utc(base::FormatRfc3339(base::TimeFromMicros(info.scheduled_at())));
  job.set_pipeline_name(info.pipeline_name());
  job.set_pipeline_root(info.pipeline_root());
  return job;
}

}  // namespace

std::string LogPath(int64_t attempt_key) {
  static constexpr char kDigits[] = "0123456789abcdef";
  const std::string shard{kDigits[(attempt_key >> 4) & 15], kDigits[attempt_key & 15]};
  return "logs/" + shard + "/" + std::to_string(attempt_key) + ".log";
}

Result<v1::Resources> ResolveResources(const Container& container, const Parameters& parameters) {
  const auto& given = container.resources();
  v1::Resources resources;
  CAUDAL_ASSIGN(const int64_t cpu_limit, Quantity(given.resource_cpu_limit(), given.cpu_limit(), 1,
                                                  1000, parameters, "CPU limit"));
  CAUDAL_ASSIGN(const int64_t cpu_request,
                Quantity(given.resource_cpu_request(), given.cpu_request(), 1, 1000, parameters,
                         "CPU request"));
  CAUDAL_ASSIGN(const int64_t memory_limit,
                Quantity(given.resource_memory_limit(), given.memory_limit(), 1e9, 1, parameters,
                         "memory limit"));
  CAUDAL_ASSIGN(const int64_t memory_request,
                Quantity(given.resource_memory_request(), given.memory_request(), 1e9, 1,
                         parameters, "memory request"));
  resources.set_cpu_limit_milli(cpu_limit);
  resources.set_cpu_request_milli(cpu_request > 0 ? cpu_request : cpu_limit);
  resources.set_memory_limit_bytes(memory_limit);
  resources.set_memory_request_bytes(memory_request > 0 ? memory_request : memory_limit);
  const auto& accelerator = given.accelerator();
  CAUDAL_ASSIGN(const std::string type,
                Resolve(accelerator.resource_type().empty() ? accelerator.type()
                                                            : accelerator.resource_type(),
                        parameters, "accelerator type"));
  CAUDAL_ASSIGN(const int64_t count,
                Quantity(accelerator.resource_count(), static_cast<double>(accelerator.count()), 1,
                         1, parameters, "accelerator count"));
  if (!type.empty() && count > 0) {
    resources.set_accelerator_type(type);
    resources.set_accelerator_count(count);
  }
  return resources;
}

Result<v1::AttemptSpec> MakeAttemptSpec(const State& state, const v1::Command::Launch& launch) {
  const int index = launch.task();
  const v1::Task& task = state.task(index);
  const spec::Component& component =
      state.plan().components[static_cast<size_t>(ComponentOf(state, index))];
  v1::AttemptSpec spec;
  spec.set_version(1);
  spec.set_attempt_key(launch.attempt_key());
  spec.set_token(launch.token());
  spec.set_run_id(state.info().run_id());
  spec.set_task_path(PathOf(state, index));
  spec.set_task_id(model::TaskId(spec.run_id(), spec.task_path()));
  spec.set_attempt_number(launch.attempt_number());
  spec.set_retry_index(task.retry_index());
  *spec.mutable_job() = MakeJobInfo(state, index);
  const int dag = ComponentOf(state, task.parent());
  spec.set_has_retry_policy(state.plan()
                                .components[static_cast<size_t>(dag)]
                                .tasks[static_cast<size_t>(task.position())]
                                .spec->has_retry_policy());
  *spec.mutable_container() = component.executor.container();
  CAUDAL_ASSIGN(*spec.mutable_container()->mutable_image(),
                Resolve(component.executor.container().image(), task.parameters(), "image"));
  *spec.mutable_component()->mutable_input_definitions() = component.spec->input_definitions();
  *spec.mutable_component()->mutable_output_definitions() = component.spec->output_definitions();
  *spec.mutable_parameters() = task.parameters();
  *spec.mutable_artifacts() = task.artifacts();
  spec.set_task_root(task.task_root());
  CAUDAL_ASSIGN(*spec.mutable_resources(),
                ResolveResources(component.executor.container(), task.parameters()));
  *spec.mutable_kubernetes_config() = component.kubernetes_config;
  spec.set_log_path(LogPath(launch.attempt_key()));
  *spec.mutable_settings() = state.info().settings();
  return spec;
}

}  // namespace caudal::engine
