#include <unistd.h>

#include <cstdio>

#include "base/version.h"
#include "cli/internal/objects.h"
#include "cli/internal/progress.h"
#include "cli/internal/report.h"
#include "cli/internal/target.h"
#include "cli/internal/verbs.h"
#include "cli/internal/wording.h"

namespace caudal::cli {
namespace {

using Commands = std::vector<std::pair<std::string, std::string>>;

void PrintRow(const std::string& name, const std::string& value) {
  std::printf("%s  %s\n", PadTo(name, 8).c_str(), value.c_str());
}

void PrintNext(const Commands& commands) {
  size_t width = 0;
  for (const auto& [command, help] : commands) width = std::max(width, Columns(command));
  std::printf("\nNext\n");
  for (const auto& [command, help] : commands) {
    std::printf("  %s  %s\n", PadTo(command, width).c_str(), help.c_str());
  }
}

const Commands kAtFirst = {{"caudal run pipeline.yaml", "run a compiled pipeline"},
                           {"caudal doctor", "what this machine can do"},
                           {"caudal --help", "every command"}};

// The last run, and what one would do next about it.
Commands PrintLastRun(Api* api) {
  ListQuery query;
  query.limit = 1;
  const auto runs = api->ListRuns(query);
  if (!runs.ok()) {
    PrintRow("server", "does not answer: " + runs.status().message());
    return {{"caudal server status", "whether one runs here"},
            {"caudal context list", "the servers that have a name"},
            {"caudal doctor", "what this machine can do"}};
  }
  PrintRow("server", "answers");
  if (runs->empty()) {
    PrintRow("last run", "none yet");
    return kAtFirst;
  }
  const v2beta1::Run& run = runs->front();
  const std::string state = RunStateWord(run);
  const Style style = StyleFor(STDOUT_FILENO);
  PrintRow("last run", Printable(run.display_name()) + " · " +
                           Dress(state, StateDress(state), style) + " · " + ShortId(run.run_id()) +
                           " · " + AgeText(MicrosOf(run.created_at()), NowMicros()));
  if (!HasEnded(run)) {
    return {{"caudal run watch", "follow the last run"},
            {"caudal run cancel", "end it"},
            {"caudal run list", "all runs"}};
  }
  if (state == "failed") {
    return {{"caudal run logs", "what the step that failed printed"},
            {"caudal run show", "the last run"},
            {"caudal run list", "all runs"}};
  }
  return {{"caudal run show", "the last run: outputs, artifacts, origin"},
          {"caudal run list", "all runs"},
          {"caudal run pipeline.yaml", "run a compiled pipeline"}};
}

}  // namespace

int WhereVerb(const Arguments&) {
  const auto target = PeekTarget("", "");
  if (!target.ok()) return FailWith(target.status());
  std::printf("caudal %s\n\n", base::kVersion);
  const std::string place = target->data_dir.empty() ? target->url : target->data_dir;
  PrintRow("target", target->name + " · " + place);
  if (target->url.empty()) {
    PrintRow("server", "none runs; the first command that needs one starts it");
    PrintNext(kAtFirst);
    return kExitOk;
  }
  if (!target->data_dir.empty()) PrintRow("address", target->url);
  Api api(target->url);
  PrintNext(PrintLastRun(&api));
  return kExitOk;
}

}  // namespace caudal::cli
