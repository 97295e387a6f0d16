#include <array>
#include <boost/json.hpp>
#include <cstdio>

#include "cli/internal/common_flags.h"
#include "cli/internal/confirm.h"
#include "cli/internal/report.h"
#include "cli/internal/session.h"
#include "cli/internal/submission.h"
#include "cli/internal/verbs.h"
#include "cli/internal/wording.h"

namespace caudal::cli {
namespace {

constexpr std::array kListFlags = {
    kLimitFlag,  Flag{"--all", "", "", "all of them, archived ones too"},
    kServerFlag, kDataDirFlag,
    kOutputFlag, kJsonFlag};
constexpr std::array kReadFlags = {kServerFlag, kDataDirFlag, kOutputFlag, kJsonFlag};
constexpr std::array kCreateFlags = {Flag{"--description", "", "TEXT", "what it is about"},
                                     kServerFlag, kDataDirFlag, kOutputFlag, kJsonFlag};
constexpr std::array kArchiveFlags = {
    Flag{"--undo", "", "", "takes it out of the archive again; its runs stay there"}, kServerFlag,
    kDataDirFlag, kOutputFlag, kJsonFlag};
constexpr std::array kDeleteFlags = {kYesFlag, kServerFlag, kDataDirFlag, kOutputFlag, kJsonFlag};

std::string NameOf(const v2beta1::Experiment& experiment) {
  return "experiment " + Printable(experiment.display_name()) + " (" +
         ShortId(experiment.experiment_id()) + ")";
}

int Done(const Session& session, const std::string& done, const v2beta1::Experiment& experiment) {
  PrintDone(session.form, done + " " + NameOf(experiment) + "\n",
            {{"experiment_id", experiment.experiment_id()}, {"done", done}});
  return kExitOk;
}

int ExperimentListVerb(const Arguments& arguments) {
  ListQuery query;
  const auto limit = ReadLimit(arguments);
  if (!limit.ok()) return FailWith(limit.status());
  query.limit = *limit;
  if (!arguments.Has("--all")) {
    Where("storage_state", v2beta1::Predicate::NOT_EQUALS, "ARCHIVED", &query.filter);
  }
  auto session = OpenSession(arguments);
  if (!session.ok()) return FailWith(session.status());
  const auto experiments = session->api->ListExperiments(query);
  if (!experiments.ok()) return FailWith(experiments.status());
  Table table({{"id"}, {"name", false, 12}, {"description", false, 12, true}, {"last run"}});
  boost::json::array data;
  for (const v2beta1::Experiment& experiment : *experiments) {
    const bool is_archived = experiment.storage_state() == v2beta1::Experiment::ARCHIVED;
    table.Add({ShortId(experiment.experiment_id()),
               experiment.display_name() + (is_archived ? " (archived)" : ""),
               experiment.description(),
               AgeText(MicrosOf(experiment.last_run_created_at()), NowMicros())});
    data.push_back(ToJsonValue(experiment));
  }
  PrintOutput(session->form, table, data);
  return kExitOk;
}

int ExperimentShowVerb(const Arguments& arguments) {
  auto session = OpenSession(arguments);
  if (!session.ok()) return FailWith(session.status());
  const auto experiment = session->finder().Experiment(arguments.positionals()[0]);
  if (!experiment.ok()) return FailWith(experiment.status());
  ListQuery query;
  query.experiment_id = experiment->experiment_id();
  query.limit = 10;
  const auto runs = session->api->ListRuns(query);
  if (!runs.ok()) return FailWith(runs.status());
  boost::json::array data;
  Table table({{"run"}, {"name", false, 12}, {"state"}, {"created"}});
  for (const v2beta1::Run& run : *runs) {
    const std::string state = RunStateWord(run);
    table.Add({ShortId(run.run_id()),
               run.display_name(),
               {state, StateDress(state)},
               AgeText(MicrosOf(run.created_at()), NowMicros())});
    data.push_back({{"run_id", run.run_id()}, {"name", run.display_name()}, {"state", state}});
  }
  if (session->form != OutputForm::kTable) {
    boost::json::value all = ToJsonValue(*experiment);
    all.as_object()["newest_runs"] = std::move(data);
    PrintData(session->form, all);
    return kExitOk;
  }
  std::printf("%s\n  id       %s\n  created  %s\n", Printable(experiment->display_name()).c_str(),
              experiment->experiment_id().c_str(),
              AgeText(MicrosOf(experiment->created_at()), NowMicros()).c_str());
  if (!experiment->description().empty()) {
    std::printf("  about    %s\n", Printable(experiment->description()).c_str());
  }
  std::printf("\n");
  if (runs->empty()) {
    std::printf("no runs yet\n");
  } else {
    PrintOutput(session->form, table, {});
  }
  return kExitOk;
}

int ExperimentCreateVerb(const Arguments& arguments) {
  auto session = OpenSession(arguments);
  if (!session.ok()) return FailWith(session.status());
  v2beta1::Experiment experiment;
  experiment.set_display_name(arguments.positionals()[0]);
  experiment.set_description(arguments.Get("--description"));
  const auto created = session->api->CreateExperiment(experiment);
  if (created.ok()) {
    PrintDone(session->form, "created " + NameOf(*created) + "\n", ToJsonValue(*created));
    return kExitOk;
  }
  if (created.status().code() != base::Code::kAlreadyExists) return FailWith(created.status());
  return Fail(kExitWrongInput, "experiment '" + experiment.display_name() +
                                   "' exists already: see 'caudal experiment show " +
                                   ShellQuote(experiment.display_name()) + session->target_words +
                                   "'");
}

int ExperimentArchiveVerb(const Arguments& arguments) {
  auto session = OpenSession(arguments);
  if (!session.ok()) return FailWith(session.status());
  const auto experiment = session->finder().Experiment(arguments.positionals()[0]);
  if (!experiment.ok()) return FailWith(experiment.status());
  const bool undoes = arguments.Has("--undo");
  const base::Status done = undoes ? session->api->UnarchiveExperiment(experiment->experiment_id())
                                   : session->api->ArchiveExperiment(experiment->experiment_id());
  if (!done.ok()) return FailWith(done);
  return Done(*session, undoes ? "unarchived" : "archived", *experiment);
}

int ExperimentDeleteVerb(const Arguments& arguments) {
  auto session = OpenSession(arguments);
  if (!session.ok()) return FailWith(session.status());
  const auto experiment = session->finder().Experiment(arguments.positionals()[0]);
  if (!experiment.ok()) return FailWith(experiment.status());
  const base::Status sure = Confirm(arguments, "Delete " + NameOf(*experiment) + "?");
  if (!sure.ok()) return FailWith(sure);
  const base::Status deleted = session->api->DeleteExperiment(experiment->experiment_id());
  if (!deleted.ok()) return FailWith(deleted);
  return Done(*session, "deleted", *experiment);
}

constexpr std::array kEntries = {
    Entry{{"experiment list", "", "Lists the experiments, the newest first.", kListFlags,
           "caudal experiment list\n"
           "caudal experiment list --all -o json"},
          ExperimentListVerb},
    Entry{{"experiment show", "EXPERIMENT", "Shows an experiment and its newest runs.", kReadFlags,
           "caudal experiment show digits", false, "experiment"},
          ExperimentShowVerb},
    Entry{{"experiment create", "NAME", "Makes an experiment.", kCreateFlags,
           "caudal experiment create digits\n"
           "caudal experiment create digits --description handwriting"},
          ExperimentCreateVerb},
    Entry{{"experiment archive", "EXPERIMENT",
           "Archives an experiment with its runs, or undoes it.", kArchiveFlags,
           "caudal experiment archive digits\n"
           "caudal experiment archive digits --undo",
           false, "experiment"},
          ExperimentArchiveVerb},
    Entry{{"experiment delete", "EXPERIMENT", "Deletes an experiment.", kDeleteFlags,
           "caudal experiment delete digits\n"
           "caudal experiment delete digits --yes",
           false, "experiment"},
          ExperimentDeleteVerb},
};

}  // namespace

std::span<const Entry> ExperimentEntries() { return kEntries; }

}  // namespace caudal::cli
