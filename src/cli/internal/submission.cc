#include "cli/internal/submission.h"

#include <google/protobuf/struct.pb.h>

#include <algorithm>
#include <array>
#include <ctime>

#include "base/clock.h"
#include "base/file.h"
#include "base/uuid.h"
#include "cli/internal/params.h"
#include "spec/package.h"
#include "spec/parameters.h"
#include "spec/plan.h"

namespace caudal::cli {
namespace {

using google::protobuf::Struct;
using google::protobuf::Value;
using kubeflow::pipelines::backend::api::v2beta1::Run;

// Verbs to come: a word that is one of them is not taken for a file.
constexpr std::array kRunVerbs = {"list",  "show",  "watch",  "logs",    "explain", "open",
                                  "retry", "rerun", "cancel", "compare", "archive", "delete"};

bool EndsWith(const std::string& text, std::string_view end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

std::string Stem(const std::string& path) {
  const std::string name = path.substr(path.rfind('/') + 1);
  return name.substr(0, name.rfind('.'));
}

base::Result<std::string> OneFile(const Arguments& arguments) {
  const auto& words = arguments.positionals();
  if (words.empty()) {
    return base::InvalidArgument("no pipeline is given: caudal run FILE, see 'caudal run --help'");
  }
  if (words.size() > 1) {
    return base::InvalidArgument("one pipeline at a time: got '" + words[0] + "' and '" + words[1] +
                                 "'");
  }
  const std::string& file = words[0];
  if (std::find(kRunVerbs.begin(), kRunVerbs.end(), file) != kRunVerbs.end()) {
    return base::InvalidArgument("'caudal run " + file +
                                 "' is not part of this version; for a file of that name write ./" +
                                 file);
  }
  if (EndsWith(file, ".py")) {
    return base::InvalidArgument("'" + file +
                                 "' is Python: compile it first, kfp dsl compile --py " +
                                 ShellQuote(file) + " --output pipeline.yaml");
  }
  return file;
}

base::Result<std::string> ReadInput(const std::string& path) {
  auto text = base::ReadFile(path);
  if (text.ok()) return text;
  return std::move(text).status().code() == base::Code::kNotFound
             ? base::InvalidArgument("'" + path + "' does not exist")
             : base::InvalidArgument(text.status().message());
}

// Every line of a status, with the file in front.
base::Status InFile(const std::string& file, const base::Status& status) {
  std::string text;
  std::string_view rest = status.message();
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    text += (text.empty() ? "" : "\n") + file + ": " + std::string(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return base::InvalidArgument(text);
}

void DisableCachingIn(Value* dag_holder) {
  auto& fields = *dag_holder->mutable_struct_value()->mutable_fields();
  const auto dag = fields.find("dag");
  if (dag == fields.end()) return;
  auto& dag_fields = *dag->second.mutable_struct_value()->mutable_fields();
  const auto tasks = dag_fields.find("tasks");
  if (tasks == dag_fields.end()) return;
  for (auto& [name, task] : *tasks->second.mutable_struct_value()->mutable_fields()) {
    auto& options = (*task.mutable_struct_value()->mutable_fields())["cachingOptions"];
    options.mutable_struct_value()->Clear();
  }
}

// As the SDK does for enable_caching=False: empty caching options on every task.
void DisableCaching(Struct* spec) {
  const auto inner = spec->mutable_fields()->find("pipeline_spec");
  auto& fields = inner == spec->mutable_fields()->end()
                     ? *spec->mutable_fields()
                     : *inner->second.mutable_struct_value()->mutable_fields();
  if (const auto root = fields.find("root"); root != fields.end()) DisableCachingIn(&root->second);
  const auto components = fields.find("components");
  if (components == fields.end()) return;
  for (auto& [name, component] : *components->second.mutable_struct_value()->mutable_fields()) {
    DisableCachingIn(&component);
  }
}

std::string DefaultName(const std::string& file) {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &local);
  return Stem(file) + " " + text;
}

base::Result<GivenParams> ReadParams(const Arguments& arguments) {
  GivenParams given;
  given.assignments = arguments.All("--param");
  given.file_name = arguments.Get("--params");
  if (!given.file_name.empty()) {
    CAUDAL_ASSIGN(given.file_text, ReadInput(given.file_name));
  }
  return given;
}

}  // namespace

base::Result<Run> MakeSubmission(const Arguments& arguments) {
  CAUDAL_ASSIGN(const std::string file, OneFile(arguments));
  CAUDAL_ASSIGN(const std::string text, ReadInput(file));
  auto package = spec::LoadPackage(text);
  if (!package.ok()) return InFile(file, package.status());
  Struct as_struct = package->as_struct;
  auto plan = spec::MakePlan(std::move(package).value());
  if (!plan.ok()) return InFile(file, plan.status());
  const base::Status supported = base::FaultsToStatus(spec::FindUnsupported(**plan));
  if (!supported.ok()) return InFile(file, supported);

  CAUDAL_ASSIGN(const GivenParams given, ReadParams(arguments));
  CAUDAL_ASSIGN(const spec::Values values, ConvertParams(**plan, given));
  // The server decides what macros stand for; here they only have to be valid.
  spec::MacroSource macros;
  macros.run_id = base::NewUuid4();
  macros.now = base::SystemClock().Now();
  CAUDAL_TRY(spec::PrepareParameters(**plan, values, macros).status());

  if (arguments.Has("--no-cache")) DisableCaching(&as_struct);
  Run run;
  run.set_display_name(arguments.Get("--name", DefaultName(file)));
  *run.mutable_pipeline_spec() = std::move(as_struct);
  for (const auto& [name, value] : values) {
    (*run.mutable_runtime_config()->mutable_parameters())[name] = value;
  }
  return run;
}

std::string AgainCommand(const Arguments& arguments) {
  std::string command = "caudal run";
  for (const std::string& word : arguments.positionals()) command += " " + ShellQuote(word);
  for (const std::string& word : arguments.All("--param")) command += " -p " + ShellQuote(word);
  for (const char* flag :
       {"--params", "--experiment", "--data-dir", "--server", "--isolation", "--kfp-package"}) {
    if (arguments.Has(flag))
      command += std::string(" ") + flag + " " + ShellQuote(arguments.Get(flag));
  }
  for (const std::string& word : arguments.All("--mount"))
    command += " --mount " + ShellQuote(word);
  for (const char* flag : {"--no-cache", "--foreground"}) {
    if (arguments.Has(flag)) command += std::string(" ") + flag;
  }
  return command;
}

std::string ShellQuote(const std::string& text) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:@%+,";
  if (!text.empty() && text.find_first_not_of(kPlain) == std::string::npos) return text;
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

}  // namespace caudal::cli
