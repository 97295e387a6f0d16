#include <array>
#include <boost/json.hpp>
#include <cstdio>

#include "cli/internal/common_flags.h"
#include "cli/internal/confirm.h"
#include "cli/internal/report.h"
#include "cli/internal/session.h"
#include "cli/internal/text.h"
#include "cli/internal/verbs.h"
#include "cli/internal/wording.h"

namespace caudal::cli {
namespace {

constexpr std::array kReadFlags = {kServerFlag, kDataDirFlag, kOutputFlag, kJsonFlag};
constexpr std::array kPruneFlags = {
    Flag{"--unused-for", "", "TIME", "only those that no step has used for so long, as in 30d"},
    Flag{"--dry-run", "", "", "says what would go, and removes nothing"},
    kYesFlag,
    kServerFlag,
    kDataDirFlag,
    kOutputFlag,
    kJsonFlag,
};

// "0123456789ab.2": enough of the key for people, and the whole number of the build.
std::string ShortEnvironmentId(const v1::PythonEnvironment& environment) {
  constexpr size_t kShown = 12;
  return environment.key().substr(0, kShown) + "." + std::to_string(environment.build());
}

std::string WordsOf(const v1::PythonEnvironment& environment) {
  std::string words;
  for (const std::string& word : environment.requirements()) {
    words += (words.empty() ? "" : " ") + word;
  }
  return Printable(words);
}

Table MakeTable(const google::protobuf::RepeatedPtrField<v1::PythonEnvironment>& environments) {
  Table table({{"id"},
               {"requirements", false, 20},
               {"python", false, 0, true},
               {"size", true},
               {"used"},
               {"created", false, 0, true}});
  for (const v1::PythonEnvironment& environment : environments) {
    table.Add({ShortEnvironmentId(environment), WordsOf(environment), environment.python_version(),
               SizeText(environment.size_bytes()), AgeText(environment.last_used_at(), NowMicros()),
               AgeText(environment.created_at(), NowMicros())});
  }
  return table;
}

boost::json::array ToData(
    const google::protobuf::RepeatedPtrField<v1::PythonEnvironment>& environments) {
  boost::json::array data;
  for (const v1::PythonEnvironment& environment : environments) {
    data.push_back(ToJsonValue(environment));
  }
  return data;
}

int VenvListVerb(const Arguments& arguments) {
  auto session = OpenSession(arguments);
  if (!session.ok()) return FailWith(session.status());
  const auto listed = session->api->ListEnvironments();
  if (!listed.ok()) return FailWith(listed.status());
  if (listed->environments().empty() && session->form == OutputForm::kTable) {
    std::fprintf(stderr, "no environments; the first step that installs packages makes one\n");
    return kExitOk;
  }
  PrintOutput(session->form, MakeTable(listed->environments()), ToData(listed->environments()));
  return kExitOk;
}

void PrintEnvironment(const v1::PythonEnvironment& environment) {
  const auto line = [](const char* name, const std::string& text) {
    std::printf("  %-13s %s\n", name, Printable(text).c_str());
  };
  std::printf("%s\n", environment.id().c_str());
  line("requirements", WordsOf(environment));
  line("python", environment.python_version() + " (" + environment.interpreter() + ")");
  line("installer", environment.installer());
  line("created", AgeText(environment.created_at(), NowMicros()));
  line("last used", AgeText(environment.last_used_at(), NowMicros()));
  line("size", SizeText(environment.size_bytes()));
  line("path", environment.is_removed() ? "removed; only this record is left" : environment.path());
  std::printf("\n%s", environment.lock().c_str());
}

int Show(const Session& session, const v1::PythonEnvironment& environment) {
  if (session.form == OutputForm::kTable) {
    PrintEnvironment(environment);
  } else {
    PrintData(session.form, ToJsonValue(environment));
  }
  return kExitOk;
}

int VenvShowVerb(const Arguments& arguments) {
  auto session = OpenSession(arguments);
  if (!session.ok()) return FailWith(session.status());
  const auto environment = session->api->GetEnvironment(arguments.positionals()[0]);
  if (!environment.ok()) return FailWith(environment.status());
  return Show(*session, *environment);
}

int VenvPruneVerb(const Arguments& arguments) {
  v1::PruneEnvironmentsRequest request;
  request.set_dry_run(true);
  if (arguments.Has("--unused-for")) {
    const auto millis = ParseDurationMillis(arguments.Get("--unused-for"));
    if (!millis.ok()) {
      return Fail(kExitWrongInput, "--unused-for " + millis.status().message());
    }
    request.set_unused_for_seconds((*millis + 999) / 1000);
  }
  auto session = OpenSession(arguments);
  if (!session.ok()) return FailWith(session.status());
  auto pruned = session->api->PruneEnvironments(request);
  if (!pruned.ok()) return FailWith(pruned.status());
  const bool dry_run = arguments.Has("--dry-run");
  if (!dry_run && !pruned->removed().empty()) {
    const std::string what = CountText(pruned->removed_size(), "environment");
    const base::Status sure =
        Confirm(arguments, "Remove " + what + " and free " + SizeText(pruned->freed_bytes()) +
                               "? Steps that need them build them again.");
    if (!sure.ok()) return FailWith(sure);
    request.set_dry_run(false);
    pruned = session->api->PruneEnvironments(request);
    if (!pruned.ok()) return FailWith(pruned.status());
  }
  if (session->form != OutputForm::kTable) {
    PrintData(session->form, boost::json::object{{"removed", ToData(pruned->removed())},
                                                 {"freed_bytes", pruned->freed_bytes()},
                                                 {"dry_run", dry_run}});
    return kExitOk;
  }
  if (!pruned->removed().empty()) PrintOutput(session->form, MakeTable(pruned->removed()), {});
  std::printf("%s %s, %s\n", dry_run ? "would remove" : "removed",
              CountText(pruned->removed_size(), "environment").c_str(),
              SizeText(pruned->freed_bytes()).c_str());
  return kExitOk;
}

int VenvRefreshVerb(const Arguments& arguments) {
  auto session = OpenSession(arguments);
  if (!session.ok()) return FailWith(session.status());
  const auto environment = session->api->RefreshEnvironment(arguments.positionals()[0]);
  if (!environment.ok()) return FailWith(environment.status());
  return Show(*session, *environment);
}

constexpr std::array kEntries = {
    Entry{{"venv list", "", "Lists the Python environments that were built for steps.", kReadFlags,
           "caudal venv list\n"
           "caudal venv list -o json"},
          VenvListVerb},
    Entry{
        {"venv show", "ID", "Shows what an environment was made of and what is in it.", kReadFlags,
         "caudal venv show 3f2a\n"
         "caudal venv show 3f2a -o yaml"},
        VenvShowVerb},
    Entry{{"venv prune", "", "Removes environments that no step uses; their records stay.",
           kPruneFlags,
           "caudal venv prune --unused-for 30d\n"
           "caudal venv prune --dry-run"},
          VenvPruneVerb},
    Entry{{"venv refresh", "ID",
           "Builds an environment again, so that packages without a version move.", kReadFlags,
           "caudal venv refresh 3f2a"},
          VenvRefreshVerb},
};

}  // namespace

std::span<const Entry> VenvEntries() { return kEntries; }

}  // namespace caudal::cli
