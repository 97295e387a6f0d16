#include "cli/internal/report.h"

#include <algorithm>
#include <boost/json.hpp>
#include <map>
#include <unordered_set>

#include "cli/internal/text.h"
#include "cli/internal/wording.h"
#include "wire/json.h"

namespace caudal::cli {
namespace {

using google::protobuf::Map;
using google::protobuf::Value;
using v1::RunReport;
using Task = ReportTask;
namespace v2beta1 = kubeflow::pipelines::backend::api::v2beta1;

std::string Quote(const std::string& text) {
  return boost::json::serialize(boost::json::string(text));
}

template <typename T>
std::map<std::string, const T*> Sorted(const Map<std::string, T>& map) {
  std::map<std::string, const T*> sorted;
  for (const auto& [name, value] : map) sorted.emplace(name, &value);
  return sorted;
}

std::string JsonObject(const std::vector<std::pair<std::string, std::string>>& members) {
  std::string text = "{";
  for (const auto& [name, value] : members) {
    if (text.size() > 1) text += ',';
    text += Quote(name) + ':' + value;
  }
  return text + '}';
}

std::string JsonValue(const Value& value) {
  if (value.kind_case() == Value::KIND_NOT_SET) return "null";
  return wire::ToJson(value, wire::FieldNames::kSnakeCase);
}

std::string JsonOutputs(const Map<std::string, Value>& outputs) {
  std::vector<std::pair<std::string, std::string>> members;
  for (const auto& [name, value] : Sorted(outputs)) members.emplace_back(name, JsonValue(*value));
  return JsonObject(members);
}

std::string JsonArtifacts(const Map<std::string, RunReport::ReportArtifacts>& artifacts) {
  std::vector<std::pair<std::string, std::string>> members;
  for (const auto& [name, list] : Sorted(artifacts)) {
    std::string items = "[";
    for (const RunReport::ReportArtifact& artifact : list->artifacts()) {
      if (items.size() > 1) items += ',';
      items += JsonObject(
          {{"type", Quote(artifact.type())},
           {"uri", Quote(artifact.uri())},
           {"path", artifact.path().empty() ? "null" : Quote(artifact.path())},
           {"metadata", wire::ToJson(artifact.metadata(), wire::FieldNames::kSnakeCase)}});
    }
    members.emplace_back(name, items + "]");
  }
  return JsonObject(members);
}

std::string JsonCachedFrom(const Task& task) {
  if (task.cached_from_run_id().empty()) return "null";
  return JsonObject({{"run_id", Quote(task.cached_from_run_id())},
                     {"task_id", Quote(task.cached_from_task_id())}});
}

std::string JsonTask(const Task& task) {
  return JsonObject({{"path", Quote(task.path())},
                     {"task_id", Quote(task.task_id())},
                     {"state", Quote(task.state())},
                     {"reason", Quote(task.reason().empty() ? task.error() : task.reason())},
                     {"attempts", std::to_string(task.attempts())},
                     {"cached_from", JsonCachedFrom(task)},
                     {"outputs", JsonOutputs(task.outputs())},
                     {"artifacts", JsonArtifacts(task.artifacts())}});
}

}  // namespace

std::string ReportToJson(const RunReport& report) {
  std::string tasks = "[";
  for (const Task& task : report.tasks()) {
    if (task.path().empty()) continue;
    if (tasks.size() > 1) tasks += ',';
    tasks += JsonTask(task);
  }
  tasks += "]";
  const std::string error = report.has_error()
                                ? JsonObject({{"code", Quote(report.error().code())},
                                              {"message", Quote(report.error().message())}})
                                : "null";
  return JsonObject({{"run_id", Quote(report.run_id())},
                     {"state", Quote(v2beta1::RuntimeState_Name(report.state()))},
                     {"cancelled", report.cancelled() ? "true" : "false"},
                     {"error", error},
                     {"outputs", JsonOutputs(report.outputs())},
                     {"artifacts", JsonArtifacts(report.artifacts())},
                     {"tasks", tasks}});
}

Look LookOf(std::string_view state) {
  static const std::map<std::string_view, Look> kLooks = {
      {"PENDING", {"○", ""}},       {"WAITING", {"○", ""}},       {"RUNNING", {"◐", kCyan}},
      {"RETRYING", {"◐", kYellow}}, {"SUCCEEDED", {"✓", kGreen}}, {"CACHED", {"✓", kGreen}},
      {"FAILED", {"✗", kRed}},      {"SKIPPED", {"–", kDim}},     {"OMITTED", {"–", kDim}},
      {"CANCELED", {"✗", kYellow}}};
  const auto it = kLooks.find(state);
  return it == kLooks.end() ? Look{"?", ""} : it->second;
}

bool IsFinal(std::string_view state) {
  return state == "SUCCEEDED" || state == "CACHED" || state == "FAILED" || state == "SKIPPED" ||
         state == "OMITTED" || state == "CANCELED";
}

bool IsGroup(const ReportTask& task) {
  return task.kind() == "dag" || task.kind() == "loop" || task.kind() == "iteration";
}

bool IsUnder(std::string_view path, std::string_view parent) {
  if (path.size() <= parent.size() || !path.starts_with(parent)) return false;
  return path[parent.size()] == '/' || path[parent.size()] == '[';
}

std::string ParentPath(const std::string& path) {
  if (path.ends_with(']')) return path.substr(0, path.rfind('['));
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

std::vector<const ReportTask*> FailedLeaves(const RunReport& report) {
  std::vector<const ReportTask*> failed;
  std::unordered_set<std::string> around;  // paths of what failed because of others
  for (const ReportTask& task : report.tasks()) {
    if (task.state() != "FAILED" || task.path().empty()) continue;
    failed.push_back(&task);
    std::string path = ParentPath(task.path());
    while (!path.empty() && around.insert(path).second) path = ParentPath(path);
  }
  std::erase_if(failed, [&](const ReportTask* task) { return around.count(task->path()) > 0; });
  return failed;
}

int64_t RunMicros(const RunReport& report) {
  int64_t begin = 0;
  int64_t end = 0;
  for (const ReportTask& task : report.tasks()) {
    if (task.started_at() > 0 && (begin == 0 || task.started_at() < begin)) {
      begin = task.started_at();
    }
    end = std::max(end, task.ended_at());
  }
  // Nothing may have started: a step can fail while it is made ready.
  return begin == 0 ? 0 : std::max<int64_t>(0, end - begin);
}

std::string ShortName(const RunReport& report) {
  const std::string& name = report.display_name();
  if (name.empty()) return ShortId(report.run_id());
  constexpr std::string_view kForm = " 0000-00-00 00:00:00";
  if (name.size() <= kForm.size()) return name;
  const size_t begin = name.size() - kForm.size();
  for (size_t i = 0; i < kForm.size(); ++i) {
    const char c = name[begin + i];
    const bool is_digit = c >= '0' && c <= '9';
    if (kForm[i] == '0' ? !is_digit : c != kForm[i]) return name;
  }
  return name.substr(0, begin);
}

std::string ShortId(const std::string& run_id) {
  constexpr size_t kUuidSize = 36;
  constexpr size_t kShort = 8;
  const bool is_uuid =
      run_id.size() == kUuidSize && run_id.find_first_not_of("0123456789abcdef-") == run_id.npos;
  return is_uuid ? run_id.substr(0, kShort) : run_id;
}

std::string FailureReason(const ReportTask& task) {
  std::string reason = task.error().empty() ? task.reason() : task.error();
  // The traceback has a line of its own.
  const std::string told = ": " + task.exception();
  if (!task.exception().empty() && reason.ends_with(told))
    reason.resize(reason.size() - told.size());
  const bool goes_on = reason.find('\n') != std::string::npos;  // shown below, after a colon
  reason = FirstLine(reason);
  if (goes_on && reason.ends_with(':')) reason.pop_back();
  if (task.attempts() == 0) return reason;
  const std::string attempt = std::to_string(task.attempts());
  return reason + (reason.empty() ? "" : ", ") + "attempt " + attempt + " of " + attempt;
}

std::string ValueLine(const Value& value, size_t columns) {
  const bool is_text = value.kind_case() == Value::kStringValue;
  return CutTo(Printable(is_text ? value.string_value() : JsonValue(value)), columns);
}

}  // namespace caudal::cli
