#include "cli/internal/run_verbs.h"
#include "cli/internal/session.h"
#include "cli/internal/verbs.h"
#include "cli/internal/watch.h"

namespace caudal::cli {

int RunWatchVerb(const Arguments& arguments) {
  auto session = OpenSession(arguments);
  if (!session.ok()) return FailWith(session.status());
  const auto& words = arguments.positionals();
  const auto run = session->finder().Run(words.empty() ? "" : words[0]);
  if (!run.ok()) return FailWith(run.status());
  WatchOptions options;
  options.place = PlaceOf(session->target);
  options.target_words = session->target_words;
  options.json = arguments.Has("--json");
  options.find_again = [target = session->target] { return FindUrlAgain(target, {}); };
  return WatchRun(*session->api, run->run_id(), options);
}

}  // namespace caudal::cli
