#include "engine/attempt.h"

#include "base/clock.h"
#include "engine/internal/surroundings.h"
#include "model/task.h"

namespace caudal::engine {
namespace {

using base::Result;

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

v1::AttemptSpec::Kind KindOf(spec::ComponentKind kind) {
  switch (kind) {
    case spec::ComponentKind::kCreateVolume:
      return v1::AttemptSpec::CREATE_VOLUME;
    case spec::ComponentKind::kDeleteVolume:
      return v1::AttemptSpec::DELETE_VOLUME;
    case spec::ComponentKind::kImporter:
      return v1::AttemptSpec::IMPORT;
    default:
      return v1::AttemptSpec::CONTAINER;
  }
}

}  // namespace

std::string LogPath(int64_t attempt_key) {
  static constexpr char kDigits[] = "0123456789abcdef";
  const std::string shard{kDigits[(attempt_key >> 4) & 15], kDigits[attempt_key & 15]};
  return "logs/" + shard + "/" + std::to_string(attempt_key) + ".log";
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
  spec.set_has_retry_policy(RetryPolicyOf(state, index) != nullptr);
  spec.set_kind(KindOf(component.kind));
  spec.set_has_workspace(state.plan().has_workspace);
  *spec.mutable_container() = component.executor.container();
  CAUDAL_ASSIGN(*spec.mutable_container()->mutable_image(),
                ResolveImage(component, task.parameters()));
  if (!IsApplied(component, SettingGroup::ENV)) spec.mutable_container()->clear_env();
  *spec.mutable_component()->mutable_input_definitions() = component.spec->input_definitions();
  *spec.mutable_component()->mutable_output_definitions() = component.spec->output_definitions();
  *spec.mutable_parameters() = task.parameters();
  *spec.mutable_artifacts() = task.artifacts();
  if (spec.kind() == v1::AttemptSpec::IMPORT) {
    for (const auto& [name, list] : task.output_artifacts()) {
      (*spec.mutable_artifacts())["artifact"] = list;
    }
  }
  spec.set_task_root(task.task_root());
  if (IsApplied(component, SettingGroup::RESOURCES)) {
    CAUDAL_ASSIGN(*spec.mutable_resources(), ResolveResources(component, task.parameters()));
  }
  if (task.has_surroundings()) *spec.mutable_surroundings() = task.surroundings();
  spec.set_log_path(LogPath(launch.attempt_key()));
  *spec.mutable_settings() = state.info().settings();
  return spec;
}

}  // namespace caudal::engine
