#include <google/protobuf/struct.pb.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cstdio>
#include <map>
#include <optional>

#include "cli/internal/ending.h"
#include "cli/internal/progress.h"
#include "cli/internal/report.h"
#include "cli/internal/run_verbs.h"
#include "cli/internal/session.h"
#include "cli/internal/tree.h"
#include "cli/internal/verbs.h"
#include "cli/internal/wording.h"
#include "wire/json.h"

namespace caudal::cli {
namespace {

constexpr size_t kValueColumns = 200;

struct ShownRun {
  v2beta1::Run run;
  v1::RunReport report;
  std::optional<v1::RunProvenance> provenance;  // not every server tells
  std::string experiment;
};

base::Result<ShownRun> Fetch(const std::string& word, Session* session) {
  ShownRun shown;
  CAUDAL_ASSIGN(shown.run, session->finder().Run(word));
  CAUDAL_ASSIGN(shown.report, session->api->GetReport(shown.run.run_id(), 0, 0));
  auto provenance = session->api->GetProvenance(shown.run.run_id());
  if (provenance.ok()) shown.provenance = std::move(provenance).value();
  const auto experiment = session->api->GetExperiment(shown.run.experiment_id());
  shown.experiment = experiment.ok() ? experiment->display_name() : shown.run.experiment_id();
  return shown;
}

// The object of `caudal run --json`, and what is known beside it.
boost::json::value ToData(const ShownRun& shown) {
  boost::json::value data = boost::json::parse(ReportToJson(shown.report));
  boost::json::object& object = data.as_object();
  const boost::json::value run = ToJsonValue(shown.run);
  object["name"] = shown.run.display_name();
  object["experiment"] = shown.experiment;
  for (const char* name : {"experiment_id", "created_at", "finished_at", "storage_state",
                           "pipeline_version_reference"}) {
    const boost::json::value* found = run.as_object().if_contains(name);
    if (found != nullptr) object[name] = *found;
  }
  boost::json::object parameters;
  const auto& given = shown.run.runtime_config().parameters();
  for (const auto& [name, value] : std::map(given.begin(), given.end())) {
    parameters[name] = wire::FromValue(value);
  }
  object["parameters"] = std::move(parameters);
  object["provenance"] =
      shown.provenance ? ToJsonValue(*shown.provenance) : boost::json::value(nullptr);
  return data;
}

using Rows = std::vector<std::pair<std::string, std::string>>;

void AddRow(const std::string& name, const std::string& value, Rows* rows) {
  if (!value.empty()) rows->emplace_back(name, Printable(value));
}

void PrintRows(const std::string& title, const Rows& rows, const Style& style) {
  if (rows.empty()) return;
  size_t width = 0;
  for (const auto& [name, value] : rows) width = std::max(width, Columns(name));
  std::printf("\n%s\n", Dress(title, kBold, style).c_str());
  for (const auto& [name, value] : rows) {
    std::printf("  %s  %s\n", PadTo(name, width).c_str(), value.c_str());
  }
}

std::string GitText(const v1::RunOrigin& origin) {
  if (origin.git_commit().empty()) return "";
  return origin.git_commit().substr(0, 12) + (origin.git_dirty() ? ", with changes" : "");
}

std::string SourceText(const v1::RunOrigin& origin) {
  const std::string digest = origin.source_sha256().substr(0, 12);
  if (origin.source_path().empty()) return digest.empty() ? "" : "sha256 " + digest;
  return origin.source_path() + (digest.empty() ? "" : " (sha256 " + digest + ")");
}

std::string EnvironmentText(const v1::PythonEnvironment& environment) {
  std::string text = environment.id().substr(0, 8);
  const size_t dot = environment.id().rfind('.');
  if (dot != std::string::npos) text += environment.id().substr(dot);
  if (!environment.python_version().empty()) text += "  python " + environment.python_version();
  for (const std::string& requirement : environment.requirements()) text += "  " + requirement;
  return text;
}

Rows OriginRows(const v1::RunProvenance& provenance) {
  const v1::RunOrigin& origin = provenance.origin();
  Rows rows;
  AddRow("submitted by", origin.submitter(), &rows);
  AddRow("client", origin.client(), &rows);
  AddRow("source", SourceText(origin), &rows);
  AddRow("git commit", GitText(origin), &rows);
  AddRow("sdk", origin.sdk_version(), &rows);
  AddRow("isolation", provenance.settings().isolation(), &rows);
  AddRow("kfp package", provenance.settings().kfp_package(), &rows);
  for (const auto& code : provenance.settings().code()) {
    AddRow("local code", code.path() + " (sha256 " + code.sha256().substr(0, 12) + ")", &rows);
  }
  for (const auto& environment : provenance.environments()) {
    AddRow("environment", EnvironmentText(environment), &rows);
  }
  return rows;
}

Rows ParameterRows(const v2beta1::Run& run) {
  Rows rows;
  const auto& parameters = run.runtime_config().parameters();
  for (const auto& [name, value] : std::map(parameters.begin(), parameters.end())) {
    rows.emplace_back(name, ValueLine(value, kValueColumns));
  }
  return rows;
}

void PrintText(const ShownRun& shown, const Target& target) {
  Style style = StyleFor(STDOUT_FILENO);
  style.rows = 0;  // nothing is redrawn: the tree may be as long as it is
  std::printf("%s\n", HeadLine(shown.report, style).c_str());
  Rows rows;
  AddRow("id", shown.run.run_id(), &rows);
  AddRow("created", AgeText(MicrosOf(shown.run.created_at()), NowMicros()), &rows);
  AddRow("experiment", shown.experiment, &rows);
  if (shown.run.storage_state() == v2beta1::Run::ARCHIVED) AddRow("archived", "yes", &rows);
  AddRow("error", shown.report.error().message(), &rows);
  PrintRows("run", rows, style);
  PrintRows("parameters", ParameterRows(shown.run), style);
  std::printf("\n%s\n", Dress("tasks", kBold, style).c_str());
  TreeExtras extras;
  extras.place = PlaceOf(target);
  for (const std::string& line : TreeLines(shown.report, extras, NowMicros(), style)) {
    std::printf("  %s\n", line.c_str());
  }
  const std::string results = ResultText(shown.report, style);
  if (!results.empty()) std::printf("\n%s", results.c_str());
  if (shown.provenance) PrintRows("origin", OriginRows(*shown.provenance), style);
}

}  // namespace

int RunShowVerb(const Arguments& arguments) {
  auto session = OpenSession(arguments);
  if (!session.ok()) return FailWith(session.status());
  const auto& words = arguments.positionals();
  const auto shown = Fetch(words.empty() ? "" : words[0], &*session);
  if (!shown.ok()) return FailWith(shown.status());
  if (session->form != OutputForm::kTable) {
    PrintData(session->form, ToData(*shown));
  } else {
    PrintText(*shown, session->target);
  }
  return kExitOk;
}

}  // namespace caudal::cli
