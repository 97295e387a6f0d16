#include <array>
#include <boost/json.hpp>
#include <cstdio>

#include "base/clock.h"
#include "cli/internal/common_flags.h"
#include "cli/internal/confirm.h"
#include "cli/internal/report.h"
#include "cli/internal/session.h"
#include "cli/internal/submission.h"
#include "cli/internal/verbs.h"
#include "cli/internal/wording.h"
#include "cli/internal/yaml.h"

namespace caudal::cli {
namespace {

constexpr Flag kAllFlag = {"--all", "", "", "all of them"};
constexpr std::array kListFlags = {kLimitFlag,   kAllFlag,    kServerFlag,
                                   kDataDirFlag, kOutputFlag, kJsonFlag};
constexpr std::array kReadFlags = {kServerFlag, kDataDirFlag, kOutputFlag, kJsonFlag};
constexpr std::array kUploadFlags = {
    Flag{"--name", "", "N", "name of the pipeline, or of its version (default: the file's)"},
    Flag{"--pipeline", "", "PIPELINE", "adds a version to this pipeline", false, "pipeline"},
    Flag{"--python", "", "PATH", "the Python whose SDK compiles a .py file", false, "file"},
    kServerFlag,
    kDataDirFlag,
    kOutputFlag,
    kJsonFlag,
};
constexpr std::array kDeleteFlags = {kYesFlag, kServerFlag, kDataDirFlag, kOutputFlag, kJsonFlag};

std::string NameOf(const v2beta1::Pipeline& pipeline) {
  return "pipeline " + Printable(pipeline.display_name()) + " (" + ShortId(pipeline.pipeline_id()) +
         ")";
}

int PipelineListVerb(const Arguments& arguments) {
  ListQuery query;
  const auto limit = ReadLimit(arguments);
  if (!limit.ok()) return FailWith(limit.status());
  query.limit = *limit;
  auto session = OpenSession(arguments);
  if (!session.ok()) return FailWith(session.status());
  const auto pipelines = session->api->ListPipelines(query);
  if (!pipelines.ok()) return FailWith(pipelines.status());
  if (pipelines->empty() && session->form == OutputForm::kTable) {
    std::fprintf(stderr, "no pipelines; 'caudal pipeline upload --help' says how to make one\n");
    return kExitOk;
  }
  Table table({{"id"}, {"name", false, 12}, {"description", false, 12, true}, {"created"}});
  boost::json::array data;
  for (const v2beta1::Pipeline& pipeline : *pipelines) {
    table.Add({ShortId(pipeline.pipeline_id()), pipeline.display_name(), pipeline.description(),
               AgeText(MicrosOf(pipeline.created_at()), NowMicros())});
    data.push_back(ToJsonValue(pipeline));
  }
  PrintOutput(session->form, table, data);
  return kExitOk;
}

boost::json::value ToData(const v2beta1::Pipeline& pipeline,
                          const std::vector<v2beta1::PipelineVersion>& versions) {
  boost::json::value data = ToJsonValue(pipeline);
  boost::json::array list;
  for (const v2beta1::PipelineVersion& version : versions) list.push_back(ToJsonValue(version));
  data.as_object()["versions"] = std::move(list);
  return data;
}

// "name: type (default)" of what a version wants, from the spec's root.
std::string ParametersOf(const v2beta1::PipelineVersion& version) {
  const boost::json::value spec = ToJsonValue(version.pipeline_spec());
  boost::system::error_code error;
  const boost::json::value* inner = spec.find_pointer("/pipeline_spec", error);
  const boost::json::value* parameters =
      (inner != nullptr ? *inner : spec)
          .find_pointer(std::string("/root") + "/inputDefinitions/parameters", error);
  std::string text;
  if (parameters == nullptr || !parameters->is_object()) return text;
  for (const auto& [name, definition] : parameters->get_object()) {
    text += (text.empty() ? "" : ", ") + std::string(name);
    if (!definition.is_object()) continue;
    const boost::json::value* otherwise = definition.get_object().if_contains("defaultValue");
    if (otherwise != nullptr) text += "=" + CompactJson(*otherwise);
  }
  return text;
}

int PipelineShowVerb(const Arguments& arguments) {
  auto session = OpenSession(arguments);
  if (!session.ok()) return FailWith(session.status());
  const auto pipeline = session->finder().Pipeline(arguments.positionals()[0]);
  if (!pipeline.ok()) return FailWith(pipeline.status());
  const auto versions = session->api->ListPipelineVersions(pipeline->pipeline_id(), {});
  if (!versions.ok()) return FailWith(versions.status());
  if (session->form != OutputForm::kTable) {
    PrintData(session->form, ToData(*pipeline, *versions));
    return kExitOk;
  }
  std::printf("%s\n  id       %s\n  created  %s\n", Printable(pipeline->display_name()).c_str(),
              pipeline->pipeline_id().c_str(),
              AgeText(MicrosOf(pipeline->created_at()), NowMicros()).c_str());
  if (!pipeline->description().empty()) {
    std::printf("  about    %s\n", Printable(pipeline->description()).c_str());
  }
  std::printf("\n");
  Table table({{"version"}, {"name", false, 12}, {"parameters", false, 12, true}, {"created"}});
  for (const v2beta1::PipelineVersion& version : *versions) {
    table.Add({ShortId(version.pipeline_version_id()), version.display_name(),
               ParametersOf(version), AgeText(MicrosOf(version.created_at()), NowMicros())});
  }
  PrintOutput(session->form, table, {});
  return kExitOk;
}

// The name under which a compiled package is sent: the server judges packages by it.
std::string UploadName(const std::string& file) {
  const std::string name = file.substr(file.rfind('/') + 1);
  for (const std::string_view ending : {".yaml", ".yml", ".json"}) {
    if (name.ends_with(ending)) return name;
  }
  return name.substr(0, name.find('.')) + ".yaml";
}

// The file's name; that of a version also has the time, as no two may be called the same.
std::string DefaultName(const std::string& upload_name, bool is_version) {
  const std::string stem = FileStem(upload_name);
  if (!is_version) return stem;
  const std::string now = base::FormatRfc3339(base::SystemClock().Now());
  return stem + "-" + now;
}

int PipelineUploadVerb(const Arguments& arguments) {
  const auto package = ReadPackage(arguments, arguments.positionals()[0]);
  if (!package.ok()) return FailWith(package.status());
  auto session = OpenSession(arguments);
  if (!session.ok()) return FailWith(session.status());
  const std::string file = UploadName(package->file);
  const std::string name = arguments.Get("--name", DefaultName(file, arguments.Has("--pipeline")));
  if (!arguments.Has("--pipeline")) {
    const auto made = session->api->UploadPipeline(file, package->package, name);
    if (made.status().code() == base::Code::kAlreadyExists) {
      return Fail(kExitWrongInput,
                  "pipeline '" + name +
                      "' exists already: add a version to it with 'caudal pipeline "
                      "upload " +
                      ShellQuote(arguments.positionals()[0]) + " --pipeline " + ShellQuote(name) +
                      session->target_words + "', or give another --name");
    }
    if (!made.ok()) return FailWith(made.status());
    PrintDone(session->form, "uploaded " + NameOf(*made) + "\n", ToJsonValue(*made));
    return kExitOk;
  }
  const auto pipeline = session->finder().Pipeline(arguments.Get("--pipeline"));
  if (!pipeline.ok()) return FailWith(pipeline.status());
  const auto made =
      session->api->UploadPipelineVersion(file, package->package, name, pipeline->pipeline_id());
  if (!made.ok()) return FailWith(made.status());
  PrintDone(session->form,
            "added version " + Printable(made->display_name()) + " (" +
                ShortId(made->pipeline_version_id()) + ") to " + NameOf(*pipeline) + "\n",
            ToJsonValue(*made));
  return kExitOk;
}

int PipelineDeleteVerb(const Arguments& arguments) {
  auto session = OpenSession(arguments);
  if (!session.ok()) return FailWith(session.status());
  std::vector<v2beta1::Pipeline> pipelines;
  for (const std::string& word : arguments.positionals()) {
    auto pipeline = session->finder().Pipeline(word);
    if (!pipeline.ok()) return FailWith(pipeline.status());
    pipelines.push_back(std::move(pipeline).value());
  }
  const std::string what = pipelines.size() == 1
                               ? NameOf(pipelines.front())
                               : CountText(static_cast<int64_t>(pipelines.size()), "pipeline");
  const base::Status sure = Confirm(arguments, "Delete " + what + " with all versions?");
  if (!sure.ok()) return FailWith(sure);
  std::string lines;
  boost::json::array data;
  for (const v2beta1::Pipeline& pipeline : pipelines) {
    const base::Status deleted = session->api->DeletePipeline(pipeline.pipeline_id());
    if (!deleted.ok()) return FailWith(deleted);
    lines += "deleted " + NameOf(pipeline) + "\n";
    data.push_back({{"pipeline_id", pipeline.pipeline_id()}, {"done", "deleted"}});
  }
  PrintDone(session->form, lines, data);
  return kExitOk;
}

constexpr std::array kEntries = {
    Entry{{"pipeline list", "", "Lists the pipelines that were uploaded.", kListFlags,
           "caudal pipeline list\n"
           "caudal pipeline list --all -o json"},
          PipelineListVerb},
    Entry{{"pipeline show", "PIPELINE", "Shows a pipeline and its versions.", kReadFlags,
           "caudal pipeline show digits\n"
           "caudal pipeline show digits -o yaml",
           false, "pipeline"},
          PipelineShowVerb},
    Entry{{"pipeline upload", "FILE", "Uploads a pipeline, or a version of one.", kUploadFlags,
           "caudal pipeline upload digits.yaml\n"
           "caudal pipeline upload digits.py --name digits\n"
           "caudal pipeline upload digits.yaml --pipeline digits --name v2",
           false, "file"},
          PipelineUploadVerb},
    Entry{
        {"pipeline delete", "PIPELINE…", "Deletes pipelines with all their versions.", kDeleteFlags,
         "caudal pipeline delete digits\n"
         "caudal pipeline delete digits --yes",
         false, "pipeline"},
        PipelineDeleteVerb},
};

}  // namespace

std::span<const Entry> PipelineEntries() { return kEntries; }

}  // namespace caudal::cli
