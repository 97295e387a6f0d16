#include <boost/json.hpp>
#include <cstdio>

#include "cli/internal/report.h"
#include "cli/internal/run_verbs.h"
#include "cli/internal/session.h"
#include "cli/internal/submission.h"
#include "cli/internal/verbs.h"
#include "cli/internal/watch.h"

namespace caudal::cli {

int RunRetryVerb(const Arguments& arguments) {
  auto session = OpenSession(arguments);
  if (!session.ok()) return FailWith(session.status());
  const auto& words = arguments.positionals();
  const auto run = session->finder().Run(words.empty() ? "" : words[0]);
  if (!run.ok()) return FailWith(run.status());
  const std::string name = "run " + ShortId(run->run_id());
  if (!HasEnded(*run)) {
    return Fail(kExitWrongInput, name + " has not ended yet: see 'caudal run watch " +
                                     ShellQuote(ShortId(run->run_id())) + session->target_words +
                                     "'");
  }
  WatchOptions options;
  options.place = PlaceOf(session->target);
  options.target_words = session->target_words;
  options.json = arguments.Has("--json");
  options.find_again = [target = session->target] { return FindUrlAgain(target, {}); };
  // First, as its signals are taken over before there are other threads.
  RunWatch watch(session->target.url, std::move(options));
  const base::Status retried = session->api->RetryRun(run->run_id());
  if (!retried.ok()) return FailWith(retried);
  if (!arguments.Has("--detach")) return watch.Follow(run->run_id());
  if (arguments.Has("--json")) {
    const auto report = session->api->GetReport(run->run_id(), 0, 0);
    if (!report.ok()) return FailWith(report.status());
    std::printf("%s\n", ReportToJson(*report).c_str());
  } else {
    std::printf("%s\n", run->run_id().c_str());
  }
  std::fprintf(stderr, "Follow it:  caudal run watch %s%s\n",
               ShellQuote(ShortId(run->run_id())).c_str(), session->target_words.c_str());
  return kExitOk;
}

}  // namespace caudal::cli
