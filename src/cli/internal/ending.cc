#include "cli/internal/ending.h"

#include <algorithm>
#include <cstdio>
#include <map>

#include "cli/internal/submission.h"
#include "cli/internal/wording.h"

namespace caudal::cli {
namespace {

using google::protobuf::Map;
using google::protobuf::Struct;
using google::protobuf::Value;
using v1::RunReport;
namespace v2beta1 = kubeflow::pipelines::backend::api::v2beta1;

constexpr size_t kValueColumns = 200;
constexpr size_t kMostRows = 20;
constexpr size_t kMostNames = 5;
constexpr char kLogArtifact[] = "executor-logs";  // every step has one; it has a verb of its own

using Row = std::vector<std::string>;
using Rows = std::vector<Row>;

template <typename T>
std::map<std::string, const T*> Sorted(const Map<std::string, T>& map) {
  std::map<std::string, const T*> sorted;
  for (const auto& [name, value] : map) sorted.emplace(name, &value);
  return sorted;
}

// A table without lines: all columns but the last are as wide as they must be.
void AppendTable(const std::string& title, const Rows& rows, const Style& style,
                 std::string* text) {
  if (rows.empty()) return;
  std::vector<size_t> widths;
  const size_t shown = std::min(rows.size(), kMostRows);
  for (size_t i = 0; i < shown; ++i) {
    widths.resize(std::max(widths.size(), rows[i].size()));
    for (size_t k = 0; k < rows[i].size(); ++k) {
      widths[k] = std::max(widths[k], Columns(Printable(rows[i][k])));
    }
  }
  *text += Dress(title, kBold, style) + "\n";
  for (size_t i = 0; i < shown; ++i) {
    std::string line = " ";
    for (size_t k = 0; k < rows[i].size(); ++k) {
      line += " " + PadTo(Printable(rows[i][k]), widths[k]) + " ";
    }
    line.erase(line.find_last_not_of(' ') + 1);
    *text += line + "\n";
  }
  if (rows.size() > shown) *text += "  … " + std::to_string(rows.size() - shown) + " more\n";
}

std::string KindOf(const std::string& type) {
  constexpr std::string_view kPrefix = "system.";
  return type.starts_with(kPrefix) ? type.substr(kPrefix.size()) : type;
}

bool IsMetrics(const RunReport::ReportArtifact& artifact) {
  return artifact.type() == "system.Metrics" || artifact.type() == "system.ClassificationMetrics" ||
         artifact.type() == "system.SlicedClassificationMetrics";
}

void AddOutputs(const std::string& prefix, const Map<std::string, Value>& outputs, Rows* rows) {
  for (const auto& [name, value] : Sorted(outputs)) {
    rows->push_back({prefix + name, ValueLine(*value, kValueColumns)});
  }
}

void AddArtifacts(const std::string& prefix, const ReportArtifacts& artifacts, Rows* rows) {
  for (const auto& [name, list] : Sorted(artifacts)) {
    if (name == kLogArtifact) continue;
    for (const RunReport::ReportArtifact& artifact : list->artifacts()) {
      // Metrics are shown as such; most have nothing but their metadata.
      if (IsMetrics(artifact) && artifact.path().empty()) continue;
      std::string place = artifact.path().empty() ? artifact.uri() : artifact.path();
      if (artifact.size_bytes() > 0) place += " (" + SizeText(artifact.size_bytes()) + ")";
      rows->push_back({prefix + name, KindOf(artifact.type()), place});
    }
  }
}

std::string MetricText(const Value& value) {
  if (value.kind_case() != Value::kNumberValue) return ValueLine(value, kValueColumns);
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value.number_value());
  return text;
}

const Value* Find(const Struct& fields, const std::string& name) {
  const auto found = fields.fields().find(name);
  return found == fields.fields().end() ? nullptr : &found->second;
}

// Some SDKs wrap what they log in one more object: {"struct": …} or {"list": …}.
const Value& Unwrap(const Value& value) {
  for (const char* wrap : {"struct", "list"}) {
    if (!value.has_struct_value()) return value;
    if (const Value* inner = Find(value.struct_value(), wrap)) return *inner;
  }
  return value;
}

std::string ClassificationText(const Struct& metadata) {
  std::string text;
  if (const Value* matrix = Find(metadata, "confusionMatrix")) {
    const Value& inner = Unwrap(*matrix);
    const Value* rows = inner.has_struct_value() ? Find(inner.struct_value(), "rows") : nullptr;
    const std::string size =
        rows == nullptr ? "" : std::to_string(Unwrap(*rows).list_value().values_size());
    text = "confusion matrix" + (size.empty() ? "" : " " + size + " × " + size);
  }
  if (const Value* curve = Find(metadata, "confidenceMetrics")) {
    const int points = Unwrap(*curve).list_value().values_size();
    text += (text.empty() ? "" : ", ") + std::string("ROC curve of ") + CountText(points, "point");
  }
  return text.empty() ? "nothing logged" : text;
}

void AddMetrics(const ReportTask& task, Rows* rows) {
  const auto is_plain = [](const auto& entry) {
    const auto& list = entry.second.artifacts();
    return !list.empty() && list[0].type() == "system.Metrics";
  };
  const auto plain = std::count_if(task.artifacts().begin(), task.artifacts().end(), is_plain);
  for (const auto& [name, list] : Sorted(task.artifacts())) {
    for (const RunReport::ReportArtifact& artifact : list->artifacts()) {
      if (!IsMetrics(artifact)) continue;
      if (artifact.type() != "system.Metrics") {
        rows->push_back({task.path() + "." + name, ClassificationText(artifact.metadata())});
        continue;
      }
      const std::string prefix = task.path() + "." + (plain > 1 ? name + "." : "");
      for (const auto& [metric, value] : Sorted(artifact.metadata().fields())) {
        if (metric == "display_name") continue;
        rows->push_back({prefix + metric, MetricText(*value)});
      }
    }
  }
}

// Indented lines, each ended.
std::string Indent(const std::string& lines, const std::string& by) {
  std::string text;
  for (size_t begin = 0; begin < lines.size();) {
    const size_t end = std::min(lines.find('\n', begin), lines.size());
    text += by + Printable(lines.substr(begin, end - begin)) + "\n";
    begin = end + 1;
  }
  return text;
}

// "…/train.csv (1.2 MB)" in what is left of the line.
std::string InputText(const RunReport::ReportArtifact& artifact, size_t used, const Style& style) {
  const std::string size =
      artifact.size_bytes() > 0 ? " (" + SizeText(artifact.size_bytes()) + ")" : "";
  const std::string& place = artifact.path().empty() ? artifact.uri() : artifact.path();
  if (style.columns <= 0) return place + size;
  const size_t columns = static_cast<size_t>(style.columns) - 1;
  const size_t taken = used + Columns(size);
  return CutPathTo(place, columns > taken + 20 ? columns - taken : 20) + size;
}

std::string InputLines(const ReportTask& task, const Style& style) {
  size_t width = 0;
  for (const auto& [name, list] : task.input_artifacts()) width = std::max(width, Columns(name));
  for (const auto& [name, value] : task.inputs()) width = std::max(width, Columns(name));
  const std::string label = "  input    ";
  const size_t used = label.size() + width + 2;
  std::string text;
  for (const auto& [name, list] : Sorted(task.input_artifacts())) {
    for (const RunReport::ReportArtifact& artifact : list->artifacts()) {
      text += Dress(label, kDim, style) + PadTo(name, width) + "  " +
              InputText(artifact, used, style) + "\n";
    }
  }
  const size_t columns = style.columns > 0 ? static_cast<size_t>(style.columns) - 1 : 120;
  for (const auto& [name, value] : Sorted(task.inputs())) {
    text += Dress(label, kDim, style) + PadTo(name, width) + "  " +
            ValueLine(*value, columns > used + 20 ? columns - used : 20) + "\n";
  }
  return text;
}

std::string FailedTask(const ReportTask& task, const FailureDetail* detail, const Style& style) {
  const Look look = LookOf("FAILED");
  std::string text =
      Dress(look.glyph, look.dress, style) + " " + Dress(task.path(), kBold, style) + " failed";
  if (task.started_at() > 0 && task.ended_at() > task.started_at()) {
    text += " after " + DurationText(task.ended_at() - task.started_at());
  }
  const std::string reason = FailureReason(task);
  text += (reason.empty() ? "" : ": " + reason) + "\n";
  if (!task.exception().empty()) {
    text += "    " + (task.place().empty() ? "" : Dress(task.place(), kCyan, style) + "  ") +
            Printable(task.exception()) + "\n";
    if (detail != nullptr && !detail->source_line.empty()) {
      text += Dress("        " + detail->source_line, kDim, style) + "\n";
    }
  } else if (task.error().find('\n') != std::string::npos) {
    text += Indent(task.error().substr(task.error().find('\n') + 1), "    ");
  } else if (detail != nullptr) {
    text += Indent(detail->log_end, "    ");
  }
  return text + InputLines(task, style);
}

// What was not run, together by reason.
std::string NotRunLines(const RunReport& report, const Style& style) {
  std::vector<std::pair<std::string, std::vector<std::string>>> groups;
  for (const ReportTask& task : report.tasks()) {
    if (task.state() != "OMITTED") continue;
    const auto same = [&](const auto& group) { return group.first == task.reason(); };
    auto group = std::find_if(groups.begin(), groups.end(), same);
    if (group == groups.end()) group = groups.insert(groups.end(), {task.reason(), {}});
    group->second.push_back(task.path());
  }
  std::string text;
  for (const auto& [reason, paths] : groups) {
    std::string names;
    for (size_t i = 0; i < std::min(paths.size(), kMostNames); ++i) {
      names += (i == 0 ? "" : ", ") + paths[i];
    }
    if (paths.size() > kMostNames) {
      names += " and " + std::to_string(paths.size() - kMostNames) + " more";
    }
    text += Dress("  not run  ", kDim, style) + names +
            (reason.empty() ? "" : " (" + reason + ")") + "\n";
  }
  return text;
}

}  // namespace

std::string HeadLine(const RunReport& report, const Style& style) {
  const int64_t micros = RunMicros(report);
  const auto time = [micros](const char* word) {
    return micros == 0 ? "" : std::string(word) + DurationText(micros);
  };
  const bool succeeded = report.state() == v2beta1::SUCCEEDED;
  const Look look = LookOf(report.cancelled() ? "CANCELED" : succeeded ? "SUCCEEDED" : "FAILED");
  const std::string end = report.cancelled() ? " canceled" + time(" after ")
                          : succeeded        ? " succeeded" + time(" in ")
                                             : " failed" + time(" after ");
  return Dress(look.glyph, look.dress, style) + " " + Dress(ShortName(report), kBold, style) + end;
}

std::string ResultText(const RunReport& report, const Style& style) {
  Rows outputs;
  Rows metrics;
  Rows artifacts;
  AddOutputs("", report.outputs(), &outputs);
  AddArtifacts("", report.artifacts(), &artifacts);
  // What the pipeline does not return itself, its steps did.
  const bool no_outputs = outputs.empty();
  const bool no_artifacts = artifacts.empty();
  for (const ReportTask& task : report.tasks()) {
    if (task.path().empty() || IsGroup(task)) continue;
    if (no_outputs) AddOutputs(task.path() + ".", task.outputs(), &outputs);
    AddMetrics(task, &metrics);
    if (no_artifacts) AddArtifacts(task.path() + ".", task.artifacts(), &artifacts);
  }
  std::string text;
  AppendTable("outputs", outputs, style, &text);
  AppendTable("metrics", metrics, style, &text);
  AppendTable("artifacts", artifacts, style, &text);
  return text;
}

std::string FailureText(const RunReport& report, const std::vector<FailureDetail>& details,
                        const Style& style) {
  const std::vector<const ReportTask*> failed = FailedLeaves(report);
  std::string text;
  const size_t shown = std::min(failed.size(), kMostFailuresShown);
  for (size_t i = 0; i < shown; ++i) {
    const auto detail = std::find_if(details.begin(), details.end(), [&](const auto& one) {
      return one.task_id == failed[i]->task_id();
    });
    text += FailedTask(*failed[i], detail == details.end() ? nullptr : &*detail, style);
  }
  if (failed.size() > shown) {
    const Look look = LookOf("FAILED");
    text += Dress(look.glyph, look.dress, style) + " … and " +
            std::to_string(failed.size() - shown) + " more failed\n";
  }
  text += NotRunLines(report, style);
  if (failed.empty() && report.has_error()) text += Indent(report.error().message(), "  ");
  return text;
}

NextCommands CommandsAfter(const RunReport& report, const std::string& again,
                           const std::string& target_flags) {
  NextCommands commands;
  const std::string run = ShellQuote(ShortId(report.run_id()));
  const auto logs = [&](const std::string& step) {
    return "caudal run logs " + run + " " + ShellQuote(step) + target_flags;
  };
  if (report.state() == v2beta1::SUCCEEDED || report.cancelled()) {
    commands.emplace_back("See every step", "caudal run show " + run + target_flags);
  }
  if (report.state() == v2beta1::SUCCEEDED) {
    // Of the last step that ran: most are curious about that one.
    for (auto task = report.tasks().rbegin(); task != report.tasks().rend(); ++task) {
      if (IsGroup(*task) || task->attempts() == 0) continue;
      commands.emplace_back("Read a log", logs(task->path()));
      break;
    }
  } else if (const auto failed = FailedLeaves(report); !failed.empty()) {
    if (failed.front()->attempts() > 0) {
      commands.emplace_back("Read the log", logs(failed.front()->path()));
    }
  }
  if (report.state() == v2beta1::FAILED) {
    const char* purpose = report.cancelled() ? "Go on with it" : "Do again what failed";
    commands.emplace_back(purpose, "caudal run retry " + run + target_flags);
  }
  if (!again.empty()) commands.emplace_back("Run it again", again);
  return commands;
}

std::string NextText(const NextCommands& commands, const Style& style) {
  size_t width = 0;
  for (const auto& [purpose, command] : commands) width = std::max(width, Columns(purpose));
  std::string text;
  for (const auto& [purpose, command] : commands) {
    text += Dress(PadTo(purpose + ":", width + 1), kDim, style) + "  " + command + "\n";
  }
  return text;
}

}  // namespace caudal::cli
