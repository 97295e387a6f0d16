#include "cli/internal/run_verbs.h"

#include <array>
#include <boost/json.hpp>
#include <cstdio>

#include "cli/internal/common_flags.h"
#include "cli/internal/confirm.h"
#include "cli/internal/report.h"
#include "cli/internal/session.h"
#include "cli/internal/verbs.h"
#include "cli/internal/wording.h"

namespace caudal::cli {
namespace {

constexpr std::string_view kStates = "pending|running|succeeded|failed|canceling|canceled|skipped";

constexpr std::array kListFlags = {
    Flag{"--experiment", "-e", "EXPERIMENT", "only those of this experiment", false, "experiment"},
    Flag{"--state", "", "S", "only those in this state: running, succeeded, failed, …", false,
         kStates},
    kLimitFlag,
    Flag{"--all", "", "", "all of them, archived ones too"},
    kServerFlag,
    kDataDirFlag,
    kOutputFlag,
    kJsonFlag,
};
constexpr std::array kReadFlags = {kServerFlag, kDataDirFlag, kOutputFlag, kJsonFlag};
constexpr std::array kLogsFlags = {
    Flag{"--follow", "-f", "", "goes on until the step has ended"},
    Flag{"--attempt", "", "N", "of an earlier attempt, from 1 (default: the last)"},
    kServerFlag,
    kDataDirFlag,
};
constexpr std::array kTargetFlags = {kServerFlag, kDataDirFlag};
constexpr std::array kWatchFlags = {kServerFlag, kDataDirFlag,
                                    Flag{"--json", "", "", "prints one JSON object at the end"}};
constexpr std::array kRetryFlags = {
    Flag{"--detach", "", "", "returns as soon as the run goes on"}, kServerFlag, kDataDirFlag,
    Flag{"--json", "", "", "prints one JSON object with the outcome"}};
constexpr std::array kCancelFlags = {Flag{"--now", "", "", "gives running steps no time to end"},
                                     kServerFlag, kDataDirFlag, kOutputFlag, kJsonFlag};
constexpr std::array kArchiveFlags = {Flag{"--undo", "", "", "takes them out of the archive again"},
                                      kServerFlag, kDataDirFlag, kOutputFlag, kJsonFlag};
constexpr std::array kDeleteFlags = {kYesFlag, kServerFlag, kDataDirFlag, kOutputFlag, kJsonFlag};

// The v2beta1 condition for a word of kStates. Canceled runs are told apart afterwards.
base::Status AddStateCondition(const std::string& word, v2beta1::Filter* filter) {
  std::vector<std::string> words;
  for (size_t begin = 0; begin < kStates.size();) {
    const size_t end = std::min(kStates.find('|', begin), kStates.size());
    words.emplace_back(kStates.substr(begin, end - begin));
    begin = end + 1;
  }
  for (const std::string& known : words) {
    if (word != known) continue;
    std::string state = word == "canceled" ? "failed" : word;
    for (char& c : state) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    Where("state", v2beta1::Predicate::EQUALS, state, filter);
    return base::OkStatus();
  }
  const std::string hint = DidYouMean(word, words);
  return base::InvalidArgument("no run is ever in state \"" + word + "\"" +
                               (hint.empty() ? ": see 'caudal run list --help'" : hint));
}

// What can be asked for without a server; the experiment is found later.
base::Result<ListQuery> MakeListQuery(const Arguments& arguments) {
  ListQuery query;
  CAUDAL_ASSIGN(query.limit, ReadLimit(arguments));
  const std::string state = arguments.Get("--state");
  if (!state.empty()) CAUDAL_TRY(AddStateCondition(state, &query.filter));
  if (!arguments.Has("--all")) {
    Where("storage_state", v2beta1::Predicate::NOT_EQUALS, "ARCHIVED", &query.filter);
  }
  return query;
}

base::Result<std::vector<v2beta1::Run>> FetchRuns(const Arguments& arguments, ListQuery query,
                                                  Session* session) {
  if (arguments.Has("--experiment")) {
    CAUDAL_ASSIGN(const v2beta1::Experiment experiment,
                  session->finder().Experiment(arguments.Get("--experiment")));
    query.experiment_id = experiment.experiment_id();
  }
  // One state of the API is two of ours: more must be fetched than are shown.
  const std::string state = arguments.Get("--state");
  const size_t limit = query.limit;
  const bool is_split = state == "failed" || state == "canceled";
  if (is_split) query.limit = 0;
  CAUDAL_ASSIGN(std::vector<v2beta1::Run> runs, session->api->ListRuns(query));
  if (is_split) {
    std::erase_if(runs, [&state](const auto& run) { return RunStateWord(run) != state; });
    if (limit > 0 && runs.size() > limit) runs.resize(limit);
  }
  return runs;
}

// The API's times are whole seconds.
std::string DurationOf(const v2beta1::Run& run, int64_t now) {
  const int64_t begin = MicrosOf(run.created_at());
  const int64_t end = HasEnded(run) ? MicrosOf(run.finished_at()) : now;
  if (begin == 0 || end < begin) return "";
  return end - begin < 1'000'000 ? "< 1 s" : RoughDurationText(end - begin);
}

boost::json::value RunData(const v2beta1::Run& run) {
  boost::json::value data = ToJsonValue(run);
  // A list is no place for whole pipelines.
  data.as_object().erase("pipeline_spec");
  data.as_object().erase("run_details");
  data.as_object()["state_word"] = RunStateWord(run);
  return data;
}

// Ids as short as they can be and still tell the runs apart.
std::vector<std::string> ShortIds(const std::vector<v2beta1::Run>& runs) {
  std::vector<std::string> ids;
  std::map<std::string, int> count;
  for (const v2beta1::Run& run : runs) ++count[ShortId(run.run_id())];
  for (const v2beta1::Run& run : runs) {
    const std::string id = ShortId(run.run_id());
    ids.push_back(count[id] > 1 ? run.run_id() : id);
  }
  return ids;
}

int RunListVerb(const Arguments& arguments) {
  auto query = MakeListQuery(arguments);
  if (!query.ok()) return FailWith(query.status());
  auto session = OpenSession(arguments);
  if (!session.ok()) return FailWith(session.status());
  const auto runs = FetchRuns(arguments, *std::move(query), &*session);
  if (!runs.ok()) return FailWith(runs.status());
  Table table({{"id"}, {"name", false, 12}, {"state"}, {"took", true, 0, true}, {"created"}});
  boost::json::array data;
  const int64_t now = NowMicros();
  const std::vector<std::string> ids = ShortIds(*runs);
  for (size_t i = 0; i < runs->size(); ++i) {
    const v2beta1::Run& run = (*runs)[i];
    const std::string state = RunStateWord(run);
    const bool is_archived = run.storage_state() == v2beta1::Run::ARCHIVED;
    table.Add({ids[i],
               run.display_name(),
               {is_archived ? state + ", archived" : state, StateDress(state)},
               DurationOf(run, now),
               AgeText(MicrosOf(run.created_at()), now)});
    data.push_back(RunData(run));
  }
  if (runs->empty() && session->form == OutputForm::kTable) {
    std::fprintf(stderr, "no runs; 'caudal run --help' says how to make one\n");
    return kExitOk;
  }
  PrintOutput(session->form, table, data);
  return kExitOk;
}

// Every run that the words name, before anything is done to one of them.
base::Result<std::vector<v2beta1::Run>> FindRuns(const Arguments& arguments, Session* session) {
  std::vector<std::string> words = arguments.positionals();
  if (words.empty()) words.emplace_back();
  std::vector<v2beta1::Run> runs;
  for (const std::string& word : words) {
    CAUDAL_ASSIGN(v2beta1::Run run, session->finder().Run(word));
    runs.push_back(std::move(run));
  }
  return runs;
}

std::string NameOf(const v2beta1::Run& run) {
  return "run " + ShortId(run.run_id()) + " (" + Printable(run.display_name()) + ")";
}

// Does the same to several runs and says so: "deleted run 7be2aaaa (digits)".
template <typename Do>
int ForEachRun(const std::vector<v2beta1::Run>& runs, OutputForm form, const std::string& done,
               Do act) {
  std::string lines;
  boost::json::array data;
  base::Status status;
  for (const v2beta1::Run& run : runs) {
    status = act(run);
    if (!status.ok()) break;
    lines += done + " " + NameOf(run) + "\n";
    data.push_back({{"run_id", run.run_id()}, {"done", done}});
  }
  PrintDone(form, lines, data);
  return status.ok() ? kExitOk : FailWith(status);
}

int RunCancelVerb(const Arguments& arguments) {
  auto session = OpenSession(arguments);
  if (!session.ok()) return FailWith(session.status());
  const auto runs = FindRuns(arguments, &*session);
  if (!runs.ok()) return FailWith(runs.status());
  const v2beta1::Run& run = runs->front();
  if (HasEnded(run)) {
    return Fail(kExitWrongInput, NameOf(run) + " has ended already, as " + RunStateWord(run) +
                                     ": see 'caudal run show " + run.run_id() +
                                     session->target_words + "'");
  }
  return ForEachRun(*runs, session->form, "canceling", [&](const v2beta1::Run& one) {
    return session->api->CancelRun(one.run_id(), arguments.Has("--now"));
  });
}

int RunArchiveVerb(const Arguments& arguments) {
  auto session = OpenSession(arguments);
  if (!session.ok()) return FailWith(session.status());
  const auto runs = FindRuns(arguments, &*session);
  if (!runs.ok()) return FailWith(runs.status());
  const bool undoes = arguments.Has("--undo");
  return ForEachRun(*runs, session->form, undoes ? "unarchived" : "archived",
                    [&](const v2beta1::Run& run) {
                      return undoes ? session->api->UnarchiveRun(run.run_id())
                                    : session->api->ArchiveRun(run.run_id());
                    });
}

int RunDeleteVerb(const Arguments& arguments) {
  auto session = OpenSession(arguments);
  if (!session.ok()) return FailWith(session.status());
  const auto runs = FindRuns(arguments, &*session);
  if (!runs.ok()) return FailWith(runs.status());
  const std::string what = runs->size() == 1 ? NameOf(runs->front())
                                             : CountText(static_cast<int64_t>(runs->size()), "run");
  const base::Status sure = Confirm(arguments, "Delete " + what + " with all outputs?");
  if (!sure.ok()) return FailWith(sure);
  return ForEachRun(*runs, session->form, "deleted",
                    [&](const v2beta1::Run& run) { return session->api->DeleteRun(run.run_id()); });
}

constexpr std::array kEntries = {
    Entry{{"run list", "", "Lists runs, the newest first.", kListFlags,
           "caudal run list\n"
           "caudal run list --state failed --limit 5\n"
           "caudal run list -e digits --all -o jsonl"},
          RunListVerb},
    Entry{{"run show", "[RUN]", "Shows a run: outcome, parameters, tasks, outputs, origin.",
           kReadFlags,
           "caudal run show\n"
           "caudal run show @2\n"
           "caudal run show 7be2 -o yaml",
           false, "run"},
          RunShowVerb},
    Entry{{"run watch", "[RUN]", "Shows a run while it goes on, and its outcome.", kWatchFlags,
           "caudal run watch\n"
           "caudal run watch 7be2",
           false, "run"},
          RunWatchVerb},
    Entry{{"run logs", "[RUN] [STEP]", "Prints what a step printed; left out, the one that failed.",
           kLogsFlags,
           "caudal run logs\n"
           "caudal run logs 7be2 train -f\n"
           "caudal run logs @1 train --attempt 1",
           false, "run step"},
          RunLogsVerb},
    Entry{{"run explain", "[RUN] [TASK]",
           "Says why tasks are as they are: condition, upstream, cache, retries.", kReadFlags,
           "caudal run explain\n"
           "caudal run explain 7be2\n"
           "caudal run explain @1 train -o yaml",
           false, "run step"},
          RunExplainVerb},
    Entry{
        {"run retry", "[RUN]", "Does again what failed in a run, and what follows it.", kRetryFlags,
         "caudal run retry\n"
         "caudal run retry 7be2 --detach",
         false, "run"},
        RunRetryVerb},
    Entry{{"run open", "[RUN]",
           "Prints the address of a run, and opens it where there is a display.", kTargetFlags,
           "caudal run open\n"
           "caudal run open 7be2",
           false, "run"},
          RunOpenVerb},
    Entry{{"run cancel", "[RUN]", "Ends a run; steps get time to end.", kCancelFlags,
           "caudal run cancel\n"
           "caudal run cancel 7be2 --now",
           false, "run"},
          RunCancelVerb},
    Entry{{"run archive", "RUN…", "Takes runs out of the list, or puts them back.", kArchiveFlags,
           "caudal run archive 7be2\n"
           "caudal run archive 7be2 --undo",
           false, "run"},
          RunArchiveVerb},
    Entry{{"run delete", "RUN…", "Deletes runs with their outputs and logs.", kDeleteFlags,
           "caudal run delete 7be2\n"
           "caudal run delete @1 @2 --yes",
           false, "run"},
          RunDeleteVerb},
};

}  // namespace

std::span<const Entry> RunEntries() { return kEntries; }

}  // namespace caudal::cli
