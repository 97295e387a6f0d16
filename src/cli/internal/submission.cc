#include "cli/internal/submission.h"

#include <google/protobuf/struct.pb.h>

#include <ctime>
#include <filesystem>
#include <memory>
#include <thread>

#include "archive/package_file.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/sha256.h"
#include "base/uuid.h"
#include "cli/internal/compiler.h"
#include "cli/internal/git_state.h"
#include "cli/internal/owner.h"
#include "cli/internal/params.h"
#include "cli/internal/python_source.h"
#include "cli/internal/run_settings.h"
#include "cli/internal/wording.h"
#include "spec/package.h"
#include "spec/parameters.h"
#include "spec/plan.h"

namespace caudal::cli {
namespace {

using google::protobuf::Struct;
using google::protobuf::Value;
using kubeflow::pipelines::backend::api::v2beta1::Run;

base::Result<std::string> OneFile(const Arguments& arguments) {
  const auto& words = arguments.positionals();
  if (words.empty()) {
    return base::InvalidArgument("no pipeline is given: caudal run FILE, see 'caudal run --help'");
  }
  if (words.size() > 1) {
    return base::InvalidArgument("one pipeline at a time: got '" + words[0] + "' and '" + words[1] +
                                 "'");
  }
  return words[0];
}

base::Result<std::string> ReadInput(const std::string& path) {
  auto text = base::ReadFile(path, static_cast<int64_t>(archive::kMaxPackageBytes));
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

std::string DefaultName(const std::string& file) {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &local);
  return FileStem(file) + " " + text;
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

base::Result<std::shared_ptr<const spec::Plan>> ReadPlan(const PackageFile& read,
                                                         Struct* as_struct) {
  auto package = spec::LoadPackage(read.package);
  if (!package.ok()) return InFile(read.file, package.status());
  *as_struct = package->as_struct;
  auto plan = spec::MakePlan(std::move(package).value());
  if (!plan.ok()) return InFile(read.file, plan.status());
  const base::Status supported = base::FaultsToStatus(spec::FindUnsupported(**plan));
  if (!supported.ok()) return InFile(read.file, supported);
  return plan;
}

base::Result<Run> MakeRun(const Arguments& arguments, const PackageFile& read) {
  Struct as_struct;
  CAUDAL_ASSIGN(const auto plan, ReadPlan(read, &as_struct));
  CAUDAL_ASSIGN(const GivenParams given, ReadParams(arguments));
  CAUDAL_ASSIGN(const spec::Values values, ConvertParams(*plan, given));
  // The server decides what macros stand for; here they only have to be valid.
  spec::MacroSource macros;
  macros.run_id = base::NewUuid4();
  macros.now = base::SystemClock().Now();
  CAUDAL_TRY(spec::PrepareParameters(*plan, values, macros).status());

  Run run;
  run.set_display_name(arguments.Get("--name", DefaultName(read.file)));
  *run.mutable_pipeline_spec() = std::move(as_struct);
  for (const auto& [name, value] : values) {
    (*run.mutable_runtime_config()->mutable_parameters())[name] = value;
  }
  return run;
}

v1::RunOrigin MakeOrigin(const PackageFile& read, const GitState& git) {
  v1::RunOrigin origin;
  origin.set_source_path(read.file);
  origin.set_source_sha256(base::Sha256Hex(read.content));
  origin.set_git_commit(git.commit);
  origin.set_git_dirty(git.is_dirty);
  origin.mutable_functions()->Add(read.functions.begin(), read.functions.end());
  return origin;
}

// A path means the same to a server that was started elsewhere. As for pip, a path has a slash.
std::string KfpPackage(const Arguments& arguments) {
  std::string package = arguments.Get("--kfp-package");
  std::error_code error;
  if (package.find('/') == std::string::npos || !std::filesystem::exists(package, error)) {
    return package;
  }
  return std::filesystem::absolute(package).lexically_normal().string();
}

base::Status AddSettings(const Arguments& arguments, Submission* submission) {
  v1::RunSettings& settings = *submission->request.mutable_settings();
  settings.set_isolation(arguments.Get("--isolation"));
  settings.set_kfp_package(KfpPackage(arguments));
  settings.set_no_cache(arguments.Has("--no-cache"));
  CAUDAL_ASSIGN(const auto variables, ReadStepVariables(arguments));
  settings.mutable_env()->insert(variables.begin(), variables.end());
  for (const std::string& path : arguments.All("--with")) {
    CAUDAL_ASSIGN(LocalCode code, PackCode(path));
    *settings.add_code() = code.snapshot;
    submission->code.push_back(std::move(code));
  }
  return {};
}

}  // namespace

base::Result<PackageFile> ReadPackage(const Arguments& arguments, const std::string& word) {
  const auto source = ParsePythonSource(word);
  if (!source) {
    PackageFile read{word, "", "", {}};
    CAUDAL_ASSIGN(read.content, ReadInput(word));
    read.package = read.content;
    if (archive::Sniff(read.content) != archive::Format::kNone) {
      CAUDAL_ASSIGN(read.package, archive::PackageText(word, read.content));
    }
    return read;
  }
  PackageFile read{source->file, "", "", {}};
  CAUDAL_ASSIGN(read.content, ReadInput(source->file));
  CAUDAL_ASSIGN(const std::string python, FindPython(arguments.Get("--python"), source->file));
  CAUDAL_ASSIGN(const std::string data_dir, ResolveDataDir(arguments.Get("--data-dir")));
  CAUDAL_ASSIGN(Compiled compiled, CompilePython(*source, python, data_dir));
  read.package = std::move(compiled.package);
  read.functions = std::move(compiled.functions);
  return read;
}

base::Result<Submission> MakeSubmission(const Arguments& arguments) {
  CAUDAL_ASSIGN(const std::string word, OneFile(arguments));
  const auto source = ParsePythonSource(word);
  // While the SDK compiles: git takes as long.
  GitState git;
  std::thread asking([&git, file = source ? source->file : word] { git = ReadGitState(file); });
  auto read = ReadPackage(arguments, word);
  asking.join();
  if (!read.ok()) return read.status();
  Submission submission;
  CAUDAL_ASSIGN(*submission.request.mutable_run(), MakeRun(arguments, *read));
  *submission.request.mutable_origin() = MakeOrigin(*read, git);
  CAUDAL_TRY(AddSettings(arguments, &submission));
  return submission;
}

std::string AgainCommand(const Arguments& arguments) {
  std::string command = "caudal run";
  for (const std::string& word : arguments.positionals()) command += " " + ShellQuote(word);
  for (const std::string& word : arguments.All("--param")) command += " -p " + ShellQuote(word);
  for (const char* flag : {"--python", "--params", "--experiment", "--env-file", "--data-dir",
                           "--server", "--isolation", "--kfp-package"}) {
    if (arguments.Has(flag))
      command += std::string(" ") + flag + " " + ShellQuote(arguments.Get(flag));
  }
  for (const char* flag : {"--mount", "--with"}) {
    for (const std::string& word : arguments.All(flag)) {
      command += std::string(" ") + flag + " " + ShellQuote(word);
    }
  }
  for (const std::string& word : arguments.All("--env")) {
    command += " --env " + ShellQuote(word.substr(0, word.find('=')));
  }
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
