#include "service/internal/convert.h"

#include <boost/json.hpp>
#include <sstream>

#include "model/task.h"
#include "service/internal/task_tree.h"
#include "spec/package.h"
#include "wire/json.h"

namespace caudal::service {
namespace {

namespace json = boost::json;
using base::InvalidArgument;
using google::protobuf::Timestamp;

constexpr int64_t kMicros = 1'000'000;
constexpr size_t kMostTags = 20;
constexpr size_t kLongestTag = 63;

// The API shows whole seconds.
void SetTime(int64_t micros, Timestamp* time) { time->set_seconds(micros / kMicros); }

v2beta1::RuntimeState StateFromName(const std::string& name) {
  v2beta1::RuntimeState state = v2beta1::RUNTIME_STATE_UNSPECIFIED;
  v2beta1::RuntimeState_Parse(name, &state);
  return state;
}

v2beta1::RuntimeState ToApiState(v1::TaskState state) {
  switch (state) {
    case v1::PENDING:
    case v1::WAITING:
      return v2beta1::PENDING;
    case v1::RUNNING:
    case v1::RETRYING:
      return v2beta1::RUNNING;
    case v1::SUCCEEDED:
    case v1::CACHED:
      return v2beta1::SUCCEEDED;
    case v1::FAILED:
    case v1::CANCELED:
      return v2beta1::FAILED;
    case v1::SKIPPED:
      return v2beta1::SKIPPED;
    default:
      return v2beta1::RUNTIME_STATE_UNSPECIFIED;
  }
}

void SetError(const std::string& message, google::rpc::Status* error) {
  error->set_code(static_cast<int>(base::Code::kUnknown));
  error->set_message(message);
}

// "micros:STATE;micros:STATE"
void AddHistory(const std::string& history, v2beta1::Run* run) {
  std::istringstream entries(history);
  std::string entry;
  while (std::getline(entries, entry, ';')) {
    const size_t colon = entry.find(':');
    if (colon == std::string::npos) continue;
    v2beta1::RuntimeStatus* status = run->add_state_history();
    SetTime(std::stoll(entry.substr(0, colon)), status->mutable_update_time());
    status->set_state(StateFromName(entry.substr(colon + 1)));
  }
}

template <typename M>
void AddArtifactIds(const M& artifacts,
                    google::protobuf::Map<std::string, v2beta1::ArtifactList>* lists) {
  for (const auto& [name, list] : artifacts) {
    for (const v1::Artifact& artifact : list.artifacts()) {
      (*lists)[name].add_artifact_ids(artifact.key());
    }
  }
}

// The one that the SDK gave; an iteration says which it is.
std::string DisplayName(const TaskTree& tree, size_t at, const v1::Task& task) {
  const std::string& given = tree.planned(at)->spec->task_info().name();
  const std::string& name = given.empty() ? task.name() : given;
  if (!task.has_iteration_index()) return name;
  return name + "[" + std::to_string(task.iteration_index()) + "]";
}

// A canceled task is a failed one for upstream's clients, so it must say why.
const std::string& ErrorOf(const v1::Task& task) {
  const bool is_silent = task.error().empty() && task.state() == v1::CANCELED;
  return is_silent ? task.reason() : task.error();
}

}  // namespace

v2beta1::Experiment ToProto(const store::Experiment& row) {
  v2beta1::Experiment experiment;
  experiment.set_experiment_id(row.id);
  experiment.set_display_name(row.name);
  experiment.set_description(row.description);
  experiment.set_namespace_(row.name_space);
  SetTime(row.created_at, experiment.mutable_created_at());
  SetTime(row.last_run_created_at, experiment.mutable_last_run_created_at());
  v2beta1::Experiment::StorageState state = v2beta1::Experiment::STORAGE_STATE_UNSPECIFIED;
  v2beta1::Experiment::StorageState_Parse(row.storage_state, &state);
  experiment.set_storage_state(state);
  return experiment;
}

v2beta1::Pipeline ToProto(const store::Pipeline& row) {
  v2beta1::Pipeline pipeline;
  pipeline.set_pipeline_id(row.id);
  pipeline.set_name(row.name);
  pipeline.set_display_name(row.display_name);
  pipeline.set_description(row.description);
  pipeline.set_namespace_(row.name_space);
  SetTime(row.created_at, pipeline.mutable_created_at());
  if (const auto tags = ParseTags(row.tags); tags.ok()) {
    pipeline.mutable_tags()->insert(tags->begin(), tags->end());
  }
  return pipeline;
}

v2beta1::PipelineVersion ToProto(const store::PipelineVersion& row) {
  v2beta1::PipelineVersion version;
  version.set_pipeline_id(row.pipeline_id);
  version.set_pipeline_version_id(row.id);
  version.set_name(row.name);
  version.set_display_name(row.display_name);
  version.set_description(row.description);
  version.set_code_source_url(row.code_source_url);
  SetTime(row.created_at, version.mutable_created_at());
  if (const auto tags = ParseTags(row.tags); tags.ok()) {
    version.mutable_tags()->insert(tags->begin(), tags->end());
  }
  const auto package = spec::LoadPackage(row.spec);
  if (package.ok()) {
    *version.mutable_pipeline_spec() = package->as_struct;
  } else {
    SetError("stored pipeline cannot be read: " + package.status().message(),
             version.mutable_error());
  }
  return version;
}

v2beta1::Run ToProto(const store::Run& row) {
  v2beta1::Run run;
  run.set_experiment_id(row.experiment_id);
  run.set_run_id(row.id);
  run.set_display_name(row.display_name);
  run.set_description(row.description);
  v2beta1::Run::StorageState storage = v2beta1::Run::STORAGE_STATE_UNSPECIFIED;
  v2beta1::Run::StorageState_Parse(row.storage_state, &storage);
  run.set_storage_state(storage);
  if (row.is_inline) {
    const base::Status read = wire::FromJsonText(row.spec, run.mutable_pipeline_spec());
    if (!read.ok()) SetError("stored pipeline cannot be read", run.mutable_error());
  } else {
    run.mutable_pipeline_version_reference()->set_pipeline_id(row.pipeline_id);
    run.mutable_pipeline_version_reference()->set_pipeline_version_id(row.pipeline_version_id);
  }
  if (!row.runtime_config.empty()) {
    const base::Status read = wire::FromJsonText(row.runtime_config, run.mutable_runtime_config());
    if (!read.ok()) SetError("stored runtime_config cannot be read", run.mutable_error());
  }
  run.set_service_account(row.service_account);
  SetTime(row.created_at, run.mutable_created_at());
  SetTime(row.scheduled_at, run.mutable_scheduled_at());
  SetTime(row.finished_at, run.mutable_finished_at());
  run.set_state(StateFromName(row.state));
  if (!row.error.empty()) SetError(row.error, run.mutable_error());
  run.set_recurring_run_id(row.recurring_run_id);
  AddHistory(row.state_history, &run);
  return run;
}

v2beta1::RunDetails ToRunDetails(const store::Run& row, const std::vector<v1::Task>& tasks,
                                 const spec::Plan& plan) {
  v2beta1::RunDetails details;
  const TaskTree tree(tasks, plan);
  std::vector<int> places(tasks.size(), -1);  // in task_details
  for (const size_t i : tree.ReadingOrder()) {
    if (i == 0) continue;
    const v1::Task& task = tasks[i];
    places[i] = details.task_details_size();
    v2beta1::PipelineTaskDetail* detail = details.add_task_details();
    detail->set_run_id(row.id);
    detail->set_task_id(model::TaskId(row.id, tree.path(i)));
    detail->set_display_name(DisplayName(tree, i, task));
    SetTime(task.created_at(), detail->mutable_create_time());
    if (task.started_at() != 0) SetTime(task.started_at(), detail->mutable_start_time());
    if (task.ended_at() != 0) SetTime(task.ended_at(), detail->mutable_end_time());
    detail->set_state(ToApiState(task.state()));
    detail->set_execution_id(task.execution_key());
    const std::string& error = ErrorOf(task);
    if (!error.empty()) SetError(error, detail->mutable_error());
    AddArtifactIds(task.artifacts(), detail->mutable_inputs());
    AddArtifactIds(task.output_artifacts(), detail->mutable_outputs());
    if (tree.parent(i) == 0) continue;
    v2beta1::PipelineTaskDetail* parent = details.mutable_task_details(places[tree.parent(i)]);
    detail->set_parent_task_id(parent->task_id());
    parent->add_child_tasks()->set_task_id(detail->task_id());
  }
  return details;
}

base::Result<std::map<std::string, std::string>> ParseTags(const std::string& text) {
  std::map<std::string, std::string> tags;
  if (text.empty()) return tags;
  json::error_code error;
  const json::value parsed = json::parse(text, error);
  if (error || !parsed.is_object()) {
    return InvalidArgument("tags are not a JSON object of strings: " + text.substr(0, 100));
  }
  for (const auto& [key, value] : parsed.get_object()) {
    if (!value.is_string()) {
      return InvalidArgument("tag '" + std::string(key) + "' is not a string");
    }
    tags[std::string(key)] = std::string(value.get_string());
  }
  return tags;
}

std::string TagsToJson(const google::protobuf::Map<std::string, std::string>& tags) {
  json::object object;
  for (const auto& [key, value] : tags) object[key] = value;
  return json::serialize(object);
}

base::Status CheckTags(const google::protobuf::Map<std::string, std::string>& tags) {
  // Limits count characters: bytes that start one.
  const auto length = [](const std::string& text) {
    size_t count = 0;
    for (const char c : text) count += (static_cast<unsigned char>(c) & 0xc0) != 0x80;
    return count;
  };
  if (tags.size() > kMostTags) {
    return InvalidArgument(std::to_string(tags.size()) + " tags given, at most 20 are allowed");
  }
  for (const auto& [key, value] : tags) {
    if (key.empty() || key.find('.') != std::string::npos || length(key) > kLongestTag) {
      return InvalidArgument("tag key '" + key + "' must have 1 to 63 characters and no '.'");
    }
    if (length(value) > kLongestTag) {
      return InvalidArgument("value of tag '" + key + "' is longer than 63 characters");
    }
  }
  return {};
}

}  // namespace caudal::service
