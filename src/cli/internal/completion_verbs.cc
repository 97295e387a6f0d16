#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>

#include "cli/internal/completion.h"
#include "cli/internal/contexts.h"
#include "cli/internal/objects.h"
#include "cli/internal/report.h"
#include "cli/internal/steps.h"
#include "cli/internal/target.h"
#include "cli/internal/verbs.h"
#include "cli/internal/wording.h"

namespace caudal::cli {
namespace {

constexpr int kMostOffers = 20;
constexpr suseconds_t kPatienceMicros = 250'000;

// Whatever a server does, the shell gets its prompt back: what was found by then stands.
void LimitTime() {
  std::signal(SIGALRM, [](int) { _exit(0); });
  itimerval timer{};
  timer.it_value.tv_usec = kPatienceMicros;
  setitimer(ITIMER_REAL, &timer, nullptr);
}

void Print(const std::string& before, const Offer& offer) {
  std::printf("%s%s\t%s\n", before.c_str(), offer.word.c_str(), Printable(offer.help).c_str());
}

// A name that a shell takes without quoting, else the id.
std::string NameOrId(const std::string& name, const std::string& id) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
  return name.empty() || name.find_first_not_of(kPlain) != std::string::npos ? id : name;
}

std::vector<Offer> RunOffers(Api* api, const std::string& typed) {
  ListQuery query;
  Where("storage_state", v2beta1::Predicate::NOT_EQUALS, "ARCHIVED", &query.filter);
  query.limit = kMostOffers;
  const auto runs = api->ListRuns(query);
  std::vector<Offer> offers;
  if (!runs.ok()) return offers;
  const bool wants_numbers = !typed.empty() && typed[0] == '@';
  for (size_t i = 0; i < runs->size(); ++i) {
    const v2beta1::Run& run = (*runs)[i];
    // A prefix longer than the short id is completed to the whole one.
    const std::string id = typed.size() > 8 ? run.run_id() : ShortId(run.run_id());
    offers.push_back({wants_numbers ? "@" + std::to_string(i + 1) : id,
                      run.display_name() + ", " + RunStateWord(run) + ", " +
                          AgeText(MicrosOf(run.created_at()), NowMicros())});
  }
  return offers;
}

std::vector<Offer> StepOffers(Api* api, const Completion& completion) {
  std::vector<Offer> offers;
  const auto& words = completion.positionals;
  const auto run = Finder(api, "").Run(words.empty() ? "" : words[0]);
  if (!run.ok()) return offers;
  const auto report = api->GetReport(run->run_id(), 0, 0);
  if (!report.ok()) return offers;
  for (const ReportTask* step : StepsOf(*report)) {
    offers.push_back({step->path(), StateWord(step->state())});
  }
  return offers;
}

std::vector<Offer> PipelineOffers(Api* api) {
  ListQuery query;
  query.limit = kMostOffers;
  std::vector<Offer> offers;
  const auto pipelines = api->ListPipelines(query);
  if (!pipelines.ok()) return offers;
  for (const v2beta1::Pipeline& pipeline : *pipelines) {
    offers.push_back(
        {NameOrId(pipeline.display_name(), pipeline.pipeline_id()),
         pipeline.description().empty() ? pipeline.display_name() : pipeline.description()});
  }
  return offers;
}

std::vector<Offer> ExperimentOffers(Api* api) {
  ListQuery query;
  query.limit = kMostOffers;
  std::vector<Offer> offers;
  const auto experiments = api->ListExperiments(query);
  if (!experiments.ok()) return offers;
  for (const v2beta1::Experiment& experiment : *experiments) {
    offers.push_back({NameOrId(experiment.display_name(), experiment.experiment_id()),
                      experiment.description()});
  }
  return offers;
}

std::vector<Offer> KeySetOffers(Api* api, Api::KeyKind kind) {
  std::vector<Offer> offers;
  const auto listed = api->ListKeys(kind);
  if (!listed.ok()) return offers;
  for (const v1::KeySet& set : listed->sets()) {
    offers.push_back({set.name(), CountText(set.keys_size(), "key")});
  }
  return offers;
}

std::vector<Offer> ContextOffers() {
  std::vector<Offer> offers = {{kLocalContext, "the server of this machine"}};
  const auto contexts = ReadContexts();
  if (!contexts.ok()) return offers;
  for (const auto& [name, url] : contexts->urls) offers.push_back({name, url});
  return offers;
}

std::vector<Offer> LookUp(const Completion& completion) {
  if (completion.kind == "context") return ContextOffers();
  const auto target = PeekTarget(completion.server, completion.data_dir);
  if (!target.ok() || target->url.empty()) return {};
  Api api(target->url);
  if (completion.kind == "run") return RunOffers(&api, completion.typed);
  if (completion.kind == "step") return StepOffers(&api, completion);
  if (completion.kind == "pipeline") return PipelineOffers(&api);
  if (completion.kind == "experiment") return ExperimentOffers(&api);
  if (completion.kind == "secret") return KeySetOffers(&api, Api::KeyKind::kSecret);
  if (completion.kind == "configmap") return KeySetOffers(&api, Api::KeyKind::kConfigMap);
  return {};
}

int CompleteVerb(const Arguments& arguments) {
  LimitTime();
  const Completion completion = Complete(arguments.positionals());
  const bool is_file = completion.kind == "file" || completion.kind == "dir";
  std::printf(":%s\n", is_file ? completion.kind.c_str() : "none");
  for (const Offer& offer : completion.offers) Print(completion.before, offer);
  std::fflush(stdout);
  if (is_file || completion.kind.empty()) return kExitOk;
  for (const Offer& offer : LookUp(completion)) {
    if (offer.word.rfind(completion.typed, 0) == 0) Print(completion.before, offer);
  }
  return kExitOk;
}

int CompletionVerb(const Arguments& arguments) {
  const std::string& shell = arguments.positionals()[0];
  const std::string_view script = CompletionScript(shell);
  if (script.empty()) {
    return Fail(kExitWrongInput,
                "no completion for \"" + shell + "\": write 'caudal completion bash', zsh or fish");
  }
  std::fwrite(script.data(), 1, script.size(), stdout);
  return kExitOk;
}

constexpr std::array kEntries = {
    Entry{{"completion",
           "SHELL",
           "Prints what makes bash, zsh or fish complete these commands.",
           {},
           "caudal completion bash\n"
           "caudal completion zsh\n"
           "caudal completion fish",
           false,
           "bash|zsh|fish"},
          CompletionVerb},
    Entry{{"complete", "[WORD…]", "Answers the shell: what could the last word be.", {}, "", true},
          CompleteVerb},
};

}  // namespace

std::span<const Entry> CompletionEntries() { return kEntries; }

}  // namespace caudal::cli
