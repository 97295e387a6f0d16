#include "cli/internal/target.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "cli/internal/api.h"
#include "cli/internal/background.h"
#include "cli/internal/compiler.h"
#include "cli/internal/contexts.h"
#include "cli/internal/owner.h"
#include "cli/internal/python_source.h"
#include "cli/internal/submission.h"

namespace caudal::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// A server that has taken the directory answers within this time, however long its recovery.
constexpr milliseconds kOwnerDeadline{60'000};

bool WasGiven(const std::vector<std::string>& words, const std::string& flag,
              const std::string& value) {
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] == flag + "=" + value) return true;
    if (words[i] == flag && i + 1 < words.size() && words[i + 1] == value) return true;
  }
  return false;
}

base::Status CheckFlags(const Owner& owner, const TargetOptions& options,
                        const std::string& data_dir) {
  for (const auto& [flag, value] : options.server_flags) {
    if (WasGiven(owner.command_line, flag, value)) continue;
    return base::FailedPrecondition("the server that runs (pid " + std::to_string(owner.pid) +
                                    ") was started without " + flag + " " + value +
                                    ": stop it first, caudal server stop --data-dir " + data_dir);
  }
  return base::OkStatus();
}

base::Result<Target> UseOwner(const Owner& owner, const TargetOptions& options,
                              const std::string& data_dir) {
  if (options.foreground) {
    return base::FailedPrecondition("--foreground: data directory '" + data_dir +
                                    "' has a server already (pid " + std::to_string(owner.pid) +
                                    "): stop it first, caudal server stop --data-dir " + data_dir);
  }
  CAUDAL_TRY(CheckFlags(owner, options, data_dir));
  Target target;
  target.url = "http://" + owner.http;
  target.data_dir = data_dir;
  return target;
}

// A server given by address, and by what it was given.
base::Result<Target> NameAddress(const std::string& given, const std::string& name) {
  CAUDAL_ASSIGN(std::string url, NormalizeUrl(given));
  Target target;
  target.url = std::move(url);
  target.name = name;
  return target;
}

base::Result<Target> UseAddress(const std::string& given, const std::string& name) {
  CAUDAL_ASSIGN(Target target, NameAddress(given, name));
  const base::Status healthy = Api(target.url).CheckHealth();
  if (healthy.ok()) return target;
  const std::string by = name[0] == '-' ? "" : " (" + name + ")";
  std::string reason = healthy.message();
  const std::string again = "no answer from " + target.url + ": ";
  if (reason.starts_with(again)) reason.erase(0, again.size());
  return base::Unavailable("no server answers at " + target.url + by + ": " + reason);
}

base::Result<Target> Start(const TargetOptions& options, const std::string& data_dir) {
  StartOptions start;
  start.data_dir = data_dir;
  start.lifetime = options.foreground ? Lifetime::kOurs : Lifetime::kBackground;
  for (const auto& [flag, value] : options.server_flags) {
    start.flags.push_back(flag);
    start.flags.push_back(value);
  }
  CAUDAL_ASSIGN(const StartedServer started, StartServer(start));
  // The next file may be Python; the import of its SDK takes a second.
  const std::string python = options.foreground ? "" : FindPreparedPython();
  if (!python.empty()) StartCompilerAhead(python, data_dir);
  Target target;
  target.url = "http://" + started.http;
  target.data_dir = data_dir;
  target.ours = options.foreground ? started.pid : 0;
  target.was_started = true;
  return target;
}

base::Result<Target> UseDataDir(const TargetOptions& options, const std::string& data_dir) {
  const auto deadline = steady_clock::now() + kOwnerDeadline;
  while (steady_clock::now() < deadline) {
    const auto owner = FindOwner(data_dir);
    if (!owner) {
      auto started = Start(options, data_dir);
      if (started.ok() || started.status().code() != base::Code::kAborted) return started;
    } else if (!owner->http.empty() && Api("http://" + owner->http).CheckHealth().ok()) {
      return UseOwner(*owner, options, data_dir);
    }
    std::this_thread::sleep_for(milliseconds(5));
  }
  return base::Unavailable("the server of '" + data_dir + "' does not answer, see " + data_dir +
                           "/server.log");
}

// The address that CAUDAL_SERVER or the chosen context gives; url is empty where neither does.
base::Result<Target> GivenElsewhere() {
  const char* variable = std::getenv("CAUDAL_SERVER");
  if (variable != nullptr && *variable != '\0') return NameAddress(variable, "CAUDAL_SERVER");
  CAUDAL_ASSIGN(const Contexts contexts, ReadContexts());
  if (contexts.current == kLocalContext) return Target{};
  return NameAddress(contexts.urls.at(contexts.current), contexts.current);
}

}  // namespace

base::Result<Target> FindTarget(const TargetOptions& options) {
  if (!options.server.empty()) return UseAddress(options.server, "--server");
  if (options.data_dir.empty() && !options.foreground) {
    CAUDAL_ASSIGN(const Target elsewhere, GivenElsewhere());
    if (!elsewhere.url.empty()) return UseAddress(elsewhere.url, elsewhere.name);
  }
  CAUDAL_ASSIGN(const std::string data_dir, ResolveDataDir(options.data_dir));
  return UseDataDir(options, data_dir);
}

base::Result<Target> FindTargetAgain(const Target& target, const TargetOptions& options) {
  if (target.data_dir.empty()) return UseAddress(target.url, target.name);
  return UseDataDir(options, target.data_dir);
}

base::Result<std::string> FindUrlAgain(const Target& target, const TargetOptions& options) {
  const auto again = FindTargetAgain(target, options);
  if (again.ok()) return again->url;
  // An address is asked until the attempts are used up; a data directory says for certain.
  if (target.data_dir.empty()) return target.url;
  return again.status();
}

base::Result<Target> PeekTarget(const std::string& server, const std::string& data_dir) {
  if (!server.empty()) return NameAddress(server, "--server");
  if (data_dir.empty()) {
    CAUDAL_ASSIGN(Target elsewhere, GivenElsewhere());
    if (!elsewhere.url.empty()) return elsewhere;
  }
  Target target;
  CAUDAL_ASSIGN(target.data_dir, ResolveDataDir(data_dir));
  const auto owner = FindOwner(target.data_dir);
  if (owner && !owner->http.empty()) target.url = "http://" + owner->http;
  return target;
}

std::string PlaceOf(const Target& target) {
  const bool is_address = target.name.starts_with("--") || target.name == "CAUDAL_SERVER";
  return is_address ? target.url.substr(target.url.find("://") + 3) : target.name;
}

std::string TargetLine(const Target& target) {
  const std::string name = target.name.starts_with("--") ? "" : target.name + " · ";
  return name + target.url + (target.was_started ? " · started" : "");
}

base::Result<Target> OpenTarget(const Arguments& arguments) {
  if (arguments.Has("--server") && arguments.Has("--data-dir")) {
    return base::InvalidArgument(
        "--data-dir is for a server on this machine: it does not go with --server");
  }
  TargetOptions options;
  options.server = arguments.Get("--server");
  options.data_dir = arguments.Get("--data-dir");
  CAUDAL_ASSIGN(Target target, FindTarget(options));
  std::fprintf(stderr, "%s\n", TargetLine(target).c_str());
  return target;
}

std::string TargetWords(const Arguments& arguments) {
  std::string words;
  for (const char* flag : {"--server", "--data-dir"}) {
    if (!arguments.Get(flag).empty()) {
      words += std::string(" ") + flag + " " + ShellQuote(arguments.Get(flag));
    }
  }
  return words;
}

base::Result<std::string> NormalizeUrl(const std::string& given) {
  std::string url = given.find("://") == std::string::npos ? "http://" + given : given;
  while (!url.empty() && url.back() == '/') url.pop_back();
  const bool known = url.rfind("http://", 0) == 0 || url.rfind("https://", 0) == 0;
  if (!known || url.find("://") + 3 >= url.size()) {
    return base::InvalidArgument("server address \"" + given +
                                 "\" is no URL: write http://127.0.0.1:8888");
  }
  return url;
}

}  // namespace caudal::cli
