#include <sys/types.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "cli/internal/progress.h"
#include "cli/internal/run_verbs.h"
#include "cli/internal/session.h"
#include "cli/internal/verbs.h"

namespace caudal::cli {
namespace {

bool HasDisplay() {
  for (const char* name : {"DISPLAY", "WAYLAND_DISPLAY"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return true;
  }
  return false;
}

// In the background and without our terminal; it is no fault when there is no such program.
void OpenInBrowser(const std::string& url) {
  if (fork() != 0) return;
  if (setsid() >= 0 && freopen("/dev/null", "w", stdout) != nullptr &&
      freopen("/dev/null", "w", stderr) != nullptr) {
    execlp("xdg-open", "xdg-open", url.c_str(), nullptr);
  }
  _exit(127);
}

}  // namespace

int RunOpenVerb(const Arguments& arguments) {
  auto session = OpenSession(arguments);
  if (!session.ok()) return FailWith(session.status());
  const auto& words = arguments.positionals();
  const auto run = session->finder().Run(words.empty() ? "" : words[0]);
  if (!run.ok()) return FailWith(run.status());
  const std::string url = session->target.url + "/apis/caudal/v1/runs/" + UrlEncode(run->run_id());
  std::fprintf(stderr, "there is no page yet: this is the run as the API tells it\n");
  std::printf("%s\n", url.c_str());
  std::fflush(stdout);
  if (IsTerminal(STDOUT_FILENO) && HasDisplay()) OpenInBrowser(url);
  return kExitOk;
}

}  // namespace caudal::cli
