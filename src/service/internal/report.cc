#include "service/internal/report.h"

#include <algorithm>
#include <functional>

#include "engine/attempt.h"
#include "model/task.h"
#include "service/internal/task_tree.h"

namespace caudal::service {
namespace {

namespace v2beta1 = kubeflow::pipelines::backend::api::v2beta1;

using ReportTask = v1::RunReport::ReportTask;
using Artifacts = google::protobuf::Map<std::string, v1::ArtifactList>;
using ReportArtifacts = google::protobuf::Map<std::string, v1::RunReport::ReportArtifacts>;

void AddArtifacts(const Artifacts& artifacts, const std::string& data_dir, ReportArtifacts* lists) {
  for (const auto& [name, list] : artifacts) {
    for (const v1::Artifact& artifact : list.artifacts()) {
      v1::RunReport::ReportArtifact* shown = (*lists)[name].add_artifacts();
      shown->set_type(artifact.type().schema_title());
      shown->set_uri(artifact.uri());
      if (!artifact.blob().empty()) shown->set_path(data_dir + "/objects/" + artifact.blob());
      shown->set_size_bytes(artifact.size_bytes());
      *shown->mutable_metadata() = artifact.metadata();
    }
  }
}

// The log artifact has no blob of its own: it is the log of the newest attempt.
void AddLogPath(const v1::Task& task, const std::string& data_dir, ReportTask* shown) {
  const auto logs = shown->mutable_artifacts()->find("executor-logs");
  if (logs == shown->mutable_artifacts()->end()) return;
  const std::string path = data_dir + "/" + engine::LogPath(task.last_attempt());
  for (auto& artifact : *logs->second.mutable_artifacts()) artifact.set_path(path);
}

// What it was given, and where it raised what.
void AddFailure(const v1::Task& task, const v1::RunOrigin& origin, const std::string& data_dir,
                ReportTask* shown) {
  *shown->mutable_inputs() = task.parameters();
  AddArtifacts(task.artifacts(), data_dir, shown->mutable_input_artifacts());
  shown->set_exception(task.traceback().exception());
  shown->set_place(PlaceOf(task.traceback(), origin));
}

// Only steps fail of themselves; the groups around them repeat it.
bool IsFailedStep(const v1::Task& task) {
  return task.state() == v1::FAILED && task.child_count() == 0 && !task.has_iteration_count();
}

// What ran tells what was asked for and means nothing here; so does the record, also of a task that
// never ran.
void AddNotes(const v1::Task& task, ReportTask* shown) {
  const auto& told = task.provenance().notes();
  *shown->mutable_notes() = told;
  for (const std::string& note : task.surroundings().notes()) {
    if (std::find(told.begin(), told.end(), note) == told.end()) shown->add_notes(note);
  }
}

void AddTask(const v1::Task& task, const v1::RunOrigin& origin, const std::string& data_dir,
             ReportTask* shown) {
  shown->set_state(std::string(model::StateName(task.state())));
  shown->set_reason(task.reason());
  shown->set_attempts(task.attempts());
  *shown->mutable_outputs() = task.output_parameters();
  AddArtifacts(task.output_artifacts(), data_dir, shown->mutable_artifacts());
  AddLogPath(task, data_dir, shown);
  shown->set_error(task.error());
  shown->set_error_code(task.error_code());
  shown->set_started_at(task.started_at());
  shown->set_ended_at(task.ended_at());
  shown->set_isolation(task.provenance().isolation());
  shown->set_iterations(task.iteration_count());
  if (task.state() == v1::RETRYING) shown->set_wake_at(task.wake_at());
  shown->set_cached_from_run_id(task.cache().hit_run_id());
  shown->set_cached_from_task_id(task.cache().hit_task_id());
  shown->set_cache(CacheText(task.cache()));
  AddNotes(task, shown);
  if (IsFailedStep(task)) AddFailure(task, origin, data_dir, shown);
}

// "3.11" of "/usr/bin/python3.11"; empty where the name does not tell.
std::string VersionOf(const std::string& interpreter) {
  const size_t end = interpreter.find_last_not_of("0123456789.");
  const std::string version = interpreter.substr(end == std::string::npos ? 0 : end + 1);
  return version.find('.') == std::string::npos ? "" : version;
}

// As the steps tell; before the first of them has ended, as they were asked for.
void AddSurroundings(const std::vector<v1::Task>& tasks, const v1::RunSettings& settings,
                     v1::RunReport* report) {
  report->set_isolation(settings.isolation());
  for (const v1::Task& task : tasks) {
    const v1::Provenance& provenance = task.provenance();
    if (provenance.isolation().empty()) continue;
    report->set_isolation(provenance.isolation());
    report->set_python(VersionOf(provenance.interpreter()));
    if (!report->python().empty()) return;
  }
}

void AddError(const store::Run& row, const std::vector<v1::Task>& tasks, v1::RunReport* report) {
  if (row.error.empty()) return;
  const bool canceled = row.phase == v1::RUN_CANCELED;
  const std::string code = tasks.empty() ? "" : tasks[0].error_code();
  report->mutable_error()->set_code(canceled ? "CANCELED" : code);
  report->mutable_error()->set_message(row.error);
}

}  // namespace

std::string CacheText(const v1::CacheRecord& record) {
  if (!record.hit_run_id().empty()) return "hit: outputs of run " + record.hit_run_id();
  return record.miss().empty() ? "" : "miss: " + record.miss();
}

std::string PlaceOf(const v1::Traceback& traceback, const v1::RunOrigin& origin) {
  if (traceback.line() <= 0) return "";
  for (const v1::FunctionPlace& place : origin.functions()) {
    const int into = traceback.line() - place.source_line();
    if (place.function() != traceback.function() || into < 0 || into >= place.line_count()) {
      continue;
    }
    return place.file() + ":" + std::to_string(place.file_line() + into);
  }
  const std::string line = "line " + std::to_string(traceback.line()) + " of the component";
  return traceback.function().empty() ? line : traceback.function() + "(), " + line;
}

v1::RunReport ToReport(const store::Run& row, const std::vector<v1::Task>& tasks,
                       const spec::Plan& plan, const store::Submission& submission,
                       const std::string& data_dir,
                       const std::function<bool(const v1::Task&)>& is_wanted) {
  v1::RunReport report;
  report.set_run_id(row.id);
  report.set_display_name(row.display_name);
  v2beta1::RuntimeState state = v2beta1::RUNTIME_STATE_UNSPECIFIED;
  v2beta1::RuntimeState_Parse(row.state, &state);
  report.set_state(state);
  report.set_cancelled(row.phase == v1::RUN_CANCELED);
  report.set_sequence(row.seq);
  report.set_is_final(model::IsFinal(static_cast<v1::RunPhase>(row.phase)));
  AddError(row, tasks, &report);
  AddSurroundings(tasks, submission.settings, &report);
  if (tasks.empty()) return report;
  *report.mutable_outputs() = tasks[0].output_parameters();
  AddArtifacts(tasks[0].output_artifacts(), data_dir, report.mutable_artifacts());
  const TaskTree tree(tasks, plan);
  for (const size_t i : tree.ReadingOrder()) {
    if (i == 0 || (is_wanted && !is_wanted(tasks[i]))) continue;
    ReportTask* shown = report.add_tasks();
    shown->set_path(tree.path(i));
    shown->set_task_id(model::TaskId(row.id, tree.path(i)));
    shown->set_kind(tree.kind(i));
    AddTask(tasks[i], submission.origin, data_dir, shown);
  }
  return report;
}

}  // namespace caudal::service
