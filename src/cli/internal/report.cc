#include "cli/internal/report.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>
#include <map>
#include <set>
#include <string_view>

#include "wire/json.h"

namespace caudal::cli {
namespace {

using google::protobuf::Map;
using google::protobuf::Value;
using v1::RunReport;
using Task = RunReport::ReportTask;
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

std::string JsonTask(const Task& task) {
  return JsonObject({{"path", Quote(task.path())},
                     {"task_id", Quote(task.task_id())},
                     {"state", Quote(task.state())},
                     {"reason", Quote(task.reason().empty() ? task.error() : task.reason())},
                     {"attempts", std::to_string(task.attempts())},
                     {"cached_from", "null"},
                     {"outputs", JsonOutputs(task.outputs())},
                     {"artifacts", JsonArtifacts(task.artifacts())}});
}

struct Look {
  std::string_view glyph;
  std::string_view color;
};

Look LookOf(std::string_view state) {
  static const std::map<std::string_view, Look> kLooks = {
      {"PENDING", {"○", ""}},           {"WAITING", {"○", ""}},
      {"RUNNING", {"◐", "\033[36m"}},   {"RETRYING", {"◐", "\033[33m"}},
      {"SUCCEEDED", {"✓", "\033[32m"}}, {"CACHED", {"✓", "\033[32m"}},
      {"FAILED", {"✗", "\033[31m"}},    {"SKIPPED", {"–", "\033[2m"}},
      {"OMITTED", {"–", "\033[2m"}},    {"CANCELED", {"✗", "\033[33m"}}};
  const auto it = kLooks.find(state);
  return it == kLooks.end() ? Look{"?", ""} : it->second;
}

std::string Dress(std::string_view text, std::string_view color, const Style& style) {
  if (!style.color || color.empty()) return std::string(text);
  return std::string(color) + std::string(text) + "\033[0m";
}

bool IsUnder(const std::string& path, const std::string& parent) {
  return path.size() > parent.size() && path[parent.size()] == '/' &&
         path.compare(0, parent.size(), parent) == 0;
}

size_t Depth(const std::string& path) {
  return static_cast<size_t>(std::count(path.begin(), path.end(), '/'));
}

std::string LastPart(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// Bytes that begin a character, i.e. columns for our kind of text.
size_t Columns(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

std::string CutTo(const std::string& text, size_t columns) {
  if (Columns(text) <= columns) return text;
  size_t seen = 0;
  size_t end = 0;
  while (end < text.size()) {
    if ((static_cast<unsigned char>(text[end]) & 0xC0) != 0x80 && ++seen == columns) break;
    ++end;
  }
  return text.substr(0, end) + "…";
}

std::string OneLine(std::string text) {
  const size_t end = text.find('\n');
  return end == std::string::npos ? text : text.substr(0, end);
}

enum class StateWord { kLeftOut, kShown };

// Duration, attempts and reason; with the word for a state that the glyph alone does not tell.
std::string Remark(const Task& task, int64_t now_micros, StateWord state_word) {
  std::string remark;
  const auto add = [&remark](const std::string& text) {
    if (!text.empty()) remark += (remark.empty() ? "" : "  ") + text;
  };
  if (task.started_at() > 0) {
    const int64_t end = task.ended_at() > 0 ? task.ended_at() : now_micros;
    add(DurationText(std::max<int64_t>(0, end - task.started_at())));
  }
  if (task.attempts() > 1) add("attempt " + std::to_string(task.attempts()));
  if (state_word == StateWord::kShown) {
    if (task.state() == "CACHED") add("cached");
    if (task.state() == "SKIPPED") add("skipped");
    if (task.state() == "OMITTED") add("not run");
  }
  add(OneLine(task.state() == "FAILED" && !task.error().empty() ? task.error() : task.reason()));
  return remark;
}

bool IsFinal(std::string_view state) {
  return state == "SUCCEEDED" || state == "CACHED" || state == "FAILED" || state == "SKIPPED" ||
         state == "OMITTED" || state == "CANCELED";
}

int64_t RunMicros(const RunReport& report) {
  int64_t begin = 0;
  int64_t end = 0;
  for (const Task& task : report.tasks()) {
    if (task.started_at() > 0 && (begin == 0 || task.started_at() < begin)) {
      begin = task.started_at();
    }
    end = std::max(end, task.ended_at());
  }
  // Nothing may have started: a step can fail while it is made ready.
  return begin == 0 ? 0 : std::max<int64_t>(0, end - begin);
}

std::string ShortValue(const Value& value) {
  return CutTo(
      OneLine(value.kind_case() == Value::kStringValue ? value.string_value() : JsonValue(value)),
      200);
}

void AppendRows(const std::string& title,
                const std::vector<std::pair<std::string, std::string>>& rows, std::string* text) {
  if (rows.empty()) return;
  size_t width = 0;
  for (const auto& [name, value] : rows) width = std::max(width, Columns(name));
  *text += title + "\n";
  for (const auto& [name, value] : rows) {
    *text += "  " + name + std::string(width - Columns(name) + 2, ' ') + value + "\n";
  }
}

// Groups repeat what their members said.
std::set<std::string> GroupPaths(const RunReport& report) {
  std::set<std::string> groups;
  for (const Task& task : report.tasks()) {
    for (size_t slash = task.path().rfind('/'); slash != std::string::npos && slash > 0;
         slash = task.path().rfind('/', slash - 1)) {
      groups.insert(task.path().substr(0, slash));
    }
  }
  return groups;
}

void AddArtifactRows(const std::string& prefix,
                     const Map<std::string, RunReport::ReportArtifacts>& artifacts,
                     std::vector<std::pair<std::string, std::string>>* rows) {
  for (const auto& [name, list] : Sorted(artifacts)) {
    if (name == "executor-logs") continue;  // every step has one; the log has its own address
    for (const RunReport::ReportArtifact& artifact : list->artifacts()) {
      rows->emplace_back(prefix + name, artifact.path().empty() ? artifact.uri() : artifact.path());
    }
  }
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

std::vector<std::string> TreeLines(const RunReport& report, int64_t now_micros,
                                   const Style& style) {
  size_t width = 0;
  size_t done = 0;
  size_t all = 0;
  for (const Task& task : report.tasks()) {
    if (task.path().empty()) continue;
    width = std::max(width, 2 * Depth(task.path()) + Columns(LastPart(task.path())));
    ++all;
    if (IsFinal(task.state())) ++done;
  }
  width = std::min<size_t>(width, 40);
  std::vector<std::string> lines;
  for (const Task& task : report.tasks()) {
    if (task.path().empty()) continue;
    const std::string name = std::string(2 * Depth(task.path()), ' ') + LastPart(task.path());
    const size_t columns = Columns(name);
    std::string text = name + std::string(columns < width ? width - columns : 0, ' ') + "  " +
                       Remark(task, now_micros, StateWord::kShown);
    if (style.columns > 2) text = CutTo(text, static_cast<size_t>(style.columns - 2));
    text.erase(text.find_last_not_of(' ') + 1);
    const Look look = LookOf(task.state());
    lines.push_back(Dress(look.glyph, look.color, style) + " " + text);
  }
  lines.push_back(std::to_string(done) + "/" + std::to_string(all));
  return lines;
}

std::string ChangeLine(const Task& task, int64_t now_micros) {
  std::string state = task.state();
  std::transform(state.begin(), state.end(), state.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (task.state() == "OMITTED") state = "not run";
  std::string remark = IsFinal(task.state()) || task.state() == "RETRYING"
                           ? Remark(task, now_micros, StateWord::kLeftOut)
                           : OneLine(task.reason());
  if (remark == state) remark.clear();
  return std::string(LookOf(task.state()).glyph) + " " + task.path() + " " + state +
         (remark.empty() ? "" : ": " + remark);
}

std::string ResultText(const RunReport& report) {
  std::vector<std::pair<std::string, std::string>> outputs;
  std::vector<std::pair<std::string, std::string>> artifacts;
  for (const auto& [name, value] : Sorted(report.outputs())) {
    outputs.emplace_back(name, ShortValue(*value));
  }
  AddArtifactRows("", report.artifacts(), &artifacts);
  if (outputs.empty() && artifacts.empty()) {  // the pipeline returns nothing: show its steps'
    const std::set<std::string> groups = GroupPaths(report);
    for (const Task& task : report.tasks()) {
      if (task.path().empty() || groups.count(task.path()) > 0) continue;
      for (const auto& [name, value] : Sorted(task.outputs())) {
        outputs.emplace_back(task.path() + "." + name, ShortValue(*value));
      }
      AddArtifactRows(task.path() + ".", task.artifacts(), &artifacts);
    }
  }
  std::string text;
  AppendRows("outputs", outputs, &text);
  AppendRows("artifacts", artifacts, &text);
  return text;
}

std::string FailureText(const RunReport& report, const FailureHints& hints, const Style& style) {
  std::string text;
  std::map<std::string, const FailureHints::Log*> logs;
  for (const FailureHints::Log& log : hints.logs) logs[log.task_id] = &log;
  for (const Task* task : FailedLeaves(report)) {
    const std::string after = task->started_at() > 0 && task->ended_at() > task->started_at()
                                  ? " after " + DurationText(task->ended_at() - task->started_at())
                                  : "";
    const std::string& why = task->error().empty() ? task->reason() : task->error();
    text += Dress("✗", LookOf("FAILED").color, style) + " " + task->path() + " failed" + after;
    if (!why.empty()) text += ": " + why;
    if (task->attempts() > 1) text += ", attempt " + std::to_string(task->attempts());
    text += "\n";
    const auto log = logs.find(task->task_id());
    if (log == logs.end()) continue;
    for (size_t begin = 0; begin < log->second->tail.size();) {
      const size_t end = std::min(log->second->tail.find('\n', begin), log->second->tail.size());
      text += "    " + log->second->tail.substr(begin, end - begin) + "\n";
      begin = end + 1;
    }
    if (!log->second->url.empty()) text += "  log      " + log->second->url + "\n";
  }
  for (const Task& task : report.tasks()) {
    if (task.state() != "OMITTED") continue;
    text += "  not run  " + task.path();
    if (!task.reason().empty()) text += " (" + task.reason() + ")";
    text += "\n";
  }
  if (FailedLeaves(report).empty() && report.has_error()) {
    text += "  " + report.error().message() + "\n";
  }
  if (!hints.again.empty()) text += "Run it again:  " + hints.again + "\n";
  return text;
}

std::string HeadLine(const RunReport& report, const Style& style) {
  const int64_t micros = RunMicros(report);
  const auto time = [micros](const char* word) {
    return micros == 0 ? "" : std::string(word) + DurationText(micros);
  };
  const std::string name = report.display_name().empty() ? report.run_id() : report.display_name();
  if (report.cancelled()) {
    return Dress("✗", LookOf("CANCELED").color, style) + " " + name + " canceled" + time(" after ");
  }
  if (report.state() == v2beta1::SUCCEEDED) {
    return Dress("✓", LookOf("SUCCEEDED").color, style) + " " + name + " succeeded" + time(" in ");
  }
  return Dress("✗", LookOf("FAILED").color, style) + " " + name + " failed" + time(" after ");
}

std::vector<const Task*> FailedLeaves(const RunReport& report) {
  std::vector<const Task*> failed;
  for (const Task& task : report.tasks()) {
    if (task.state() != "FAILED" || task.path().empty()) continue;
    const bool inner_failed =
        std::any_of(report.tasks().begin(), report.tasks().end(), [&](const Task& other) {
          return other.state() == "FAILED" && IsUnder(other.path(), task.path());
        });
    if (!inner_failed) failed.push_back(&task);
  }
  return failed;
}

std::string DurationText(int64_t micros) {
  const int64_t millis = micros / 1000;
  if (millis < 1000) return std::to_string(millis) + " ms";
  if (millis < 60'000) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f s", static_cast<double>(millis / 100) / 10);
    return text;
  }
  const int64_t seconds = millis / 1000;
  if (seconds < 3600) {
    return std::to_string(seconds / 60) + " min " + std::to_string(seconds % 60) + " s";
  }
  return std::to_string(seconds / 3600) + " h " + std::to_string(seconds % 3600 / 60) + " min";
}

}  // namespace caudal::cli
