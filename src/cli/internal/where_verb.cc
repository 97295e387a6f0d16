#include <cstdio>
#include <cstdlib>

#include "base/version.h"
#include "cli/internal/api.h"
#include "cli/internal/owner.h"
#include "cli/internal/target.h"
#include "cli/internal/verbs.h"

namespace caudal::cli {
namespace {

void PrintLastRun(const std::string& url) {
  const auto runs = Api(url).ListNewestRuns(1);
  if (!runs.ok()) {
    std::printf("server    does not answer: %s\n", runs.status().message().c_str());
    return;
  }
  std::printf("server    answers\n");
  if (runs->runs().empty()) {
    std::printf("last run  none yet\n");
    return;
  }
  const v2beta1::Run& run = runs->runs(0);
  std::printf("last run  %s · %s · %s\n", run.display_name().c_str(),
              v2beta1::RuntimeState_Name(run.state()).c_str(), run.run_id().c_str());
}

}  // namespace

int WhereVerb(const Arguments&) {
  std::printf("caudal %s\n", base::kVersion);
  const char* server = std::getenv("CAUDAL_SERVER");
  const auto data_dir = ResolveDataDir("");
  if (server != nullptr && *server != '\0') {
    const auto url = NormalizeUrl(server);
    if (!url.ok()) return Fail(kExitWrongInput, url.status().message());
    std::printf("target    %s (CAUDAL_SERVER)\n", url->c_str());
    PrintLastRun(*url);
  } else if (!data_dir.ok()) {
    return Fail(kExitWrongInput, data_dir.status().message());
  } else if (const auto owner = FindOwner(*data_dir); owner && !owner->http.empty()) {
    std::printf("target    http://%s · %s\n", owner->http.c_str(), data_dir->c_str());
    PrintLastRun("http://" + owner->http);
  } else {
    std::printf("target    %s\nserver    none runs; 'caudal run' starts one\n", data_dir->c_str());
  }
  std::printf(
      "\nNext\n"
      "  caudal run pipeline.yaml    run a compiled pipeline\n"
      "  caudal server status        where the server listens\n"
      "  caudal --help               every command\n");
  return kExitOk;
}

}  // namespace caudal::cli
