#include <array>
#include <boost/json.hpp>
#include <cstdio>
#include <vector>

#include "base/version.h"
#include "cli/internal/api.h"
#include "cli/internal/background.h"
#include "cli/internal/common_flags.h"
#include "cli/internal/compiler.h"
#include "cli/internal/output.h"
#include "cli/internal/owner.h"
#include "cli/internal/verbs.h"
#include "server/serve.h"
#include "supervisor/supervisor.h"

namespace caudal::cli {
namespace {

constexpr int64_t kStopMillis = 60'000;

constexpr std::array kServerFlags = {
    kDataDirFlag,
    Flag{"--host", "", "H", "address to listen on (default 127.0.0.1)"},
    Flag{"--http-port", "", "N", "REST and page (default 8888; 0: the kernel picks)"},
    Flag{"--grpc-port", "", "N", "gRPC (default 8887)"},
    Flag{"--s3-port", "", "N", "S3 (default 9000)"},
    Flag{"--mlmd-port", "", "N", "ML Metadata (default 8080)"},
    Flag{"--ready-file", "", "PATH", "written once every listener accepts", false, "file"},
    Flag{"--isolation", "", "M", "how steps run: sandbox or process", false, "sandbox|process"},
    Flag{"--mount", "", "HOST[:PATH][:rw]", "shows sandboxed steps a host path", true, "dir"},
    Flag{"--kfp-package", "", "S", "use this kfp in steps instead of the pinned one"},
    Flag{"--cores", "", "N", "cores for all steps together (default: all)"},
    Flag{"--memory", "", "SIZE", "memory for all steps together (default: all)"},
    Flag{"--kill-grace", "", "TIME", "from SIGTERM to SIGKILL (default 10s)"},
    Flag{"--terminate-grace", "", "TIME", "for exit tasks of a canceled run (default 5m)"},
    Flag{"--no-cache", "", "", "no run uses outputs of an earlier one"},
    Flag{"--flatten-collected", "", "", "nested lists of loops come out flat, as from a cluster"},
    Flag{"--require-secrets", "", "", "a step without its secrets or config maps fails"},
    Flag{"--log-limit", "", "SIZE", "a step that logs more fails (default 1GiB)"},
    Flag{"--idle-exit", "", "TIME", "stops after so long without runs and requests"},
    Flag{"--verbose", "", "", "logs what it does"},
};
constexpr std::array kStatusFlags = {kDataDirFlag, kOutputFlag, kJsonFlag};
constexpr std::array kDataDirOnly = {kDataDirFlag};

// Reads flags, keeping every fault.
class FlagReader {
 public:
  explicit FlagReader(const Arguments& arguments) : arguments_(arguments) {}

  template <typename T, typename Parse>
  void Read(const char* flag, Parse parse, T* value) {
    if (!arguments_.Has(flag)) return;
    const base::Result<int64_t> parsed = parse(arguments_.Get(flag));
    if (parsed.ok()) {
      *value = static_cast<T>(*parsed);
    } else {
      faults_.push_back({"", std::string(flag) + " " + parsed.status().message()});
    }
  }

  void AddFault(const std::string& message) { faults_.push_back({"", message}); }
  base::Status status() const { return base::FaultsToStatus(faults_); }

 private:
  const Arguments& arguments_;
  std::vector<base::Fault> faults_;
};

base::Result<int64_t> ParsePort(const std::string& text) { return ParseInteger(text, 0, 65'535); }

base::Result<int64_t> ParseSeconds(const std::string& text) {
  CAUDAL_ASSIGN(const int64_t millis, ParseDurationMillis(text));
  return (millis + 999) / 1000;
}

// "2.5" cores in thousandths; the duration "2.5s" has the same grammar.
base::Result<int64_t> ParseCores(const std::string& text) {
  const auto milli = ParseDurationMillis(text + "s");
  if (milli.ok() && *milli > 0) return milli;
  return base::InvalidArgument("wants a number of cores such as 2 or 0.5, got \"" + text + "\"");
}

base::Result<server::ServeOptions> ReadOptions(const Arguments& arguments) {
  server::ServeOptions options;
  FlagReader reader(arguments);
  reader.Read("--http-port", ParsePort, &options.http_port);
  reader.Read("--grpc-port", ParsePort, &options.grpc_port);
  reader.Read("--s3-port", ParsePort, &options.s3_port);
  reader.Read("--mlmd-port", ParsePort, &options.mlmd_port);
  reader.Read("--cores", ParseCores, &options.cores_milli);
  reader.Read("--memory", ParseBytes, &options.memory_bytes);
  reader.Read("--kill-grace", ParseDurationMillis, &options.kill_grace_millis);
  reader.Read("--terminate-grace", ParseDurationMillis, &options.terminate_grace_millis);
  reader.Read("--log-limit", ParseBytes, &options.log_limit_bytes);
  reader.Read("--idle-exit", ParseSeconds, &options.idle_exit_seconds);
  options.isolation = arguments.Get("--isolation");
  if (!options.isolation.empty() && options.isolation != "sandbox" &&
      options.isolation != "process") {
    reader.AddFault("--isolation wants sandbox or process, got \"" + options.isolation + "\"");
  }
  const auto data_dir = ResolveDataDir(arguments.Get("--data-dir"));
  if (!data_dir.ok()) reader.AddFault(data_dir.status().message());
  CAUDAL_TRY(reader.status());
  options.data_dir = *data_dir;
  options.host = arguments.Get("--host", options.host);
  options.ready_file = arguments.Get("--ready-file");
  options.kfp_package = arguments.Get("--kfp-package");
  options.mounts = arguments.All("--mount");
  options.no_cache = arguments.Has("--no-cache");
  options.flatten_collected = arguments.Has("--flatten-collected");
  options.require_secrets = arguments.Has("--require-secrets");
  options.verbose = arguments.Has("--verbose");
  options.executable = OwnExecutable();
  return options;
}

int ServerVerb(const Arguments& arguments) {
  const auto options = ReadOptions(arguments);
  if (!options.ok()) return Fail(kExitWrongInput, options.status().message());
  return server::Serve(*options);
}

int ServerStopVerb(const Arguments& arguments) {
  const auto data_dir = ResolveDataDir(arguments.Get("--data-dir"));
  if (!data_dir.ok()) return Fail(kExitWrongInput, data_dir.status().message());
  StopCompilers(*data_dir);
  const auto owner = FindOwner(*data_dir);
  if (!owner) {
    std::fprintf(stderr, "no server runs for %s\n", data_dir->c_str());
    return kExitOk;
  }
  const base::Status stopped = StopProcess(owner->pid, kStopMillis);
  if (!stopped.ok()) return Fail(kExitUnreachable, stopped.message());
  std::fprintf(stderr, "stopped the server of %s (pid %d)\n", data_dir->c_str(), owner->pid);
  return kExitOk;
}

void PrintStatus(OutputForm form, const std::string& data_dir, const Owner& owner,
                 const base::Status& healthy) {
  if (form != OutputForm::kTable) {
    return PrintData(form, {{"data_dir", data_dir},
                            {"pid", owner.pid},
                            {"http", owner.http},
                            {"version", owner.version},
                            {"answers", healthy.ok()}});
  }
  std::printf("%s · pid %d · http://%s · version %s · %s\n", data_dir.c_str(), owner.pid,
              owner.http.c_str(), owner.version.c_str(),
              healthy.ok() ? "answers" : healthy.message().c_str());
}

int ServerStatusVerb(const Arguments& arguments) {
  const auto form = ReadOutputForm(arguments);
  if (!form.ok()) return FailWith(form.status());
  const auto data_dir = ResolveDataDir(arguments.Get("--data-dir"));
  if (!data_dir.ok()) return Fail(kExitWrongInput, data_dir.status().message());
  const auto owner = FindOwner(*data_dir);
  if (!owner) {
    if (*form == OutputForm::kTable) {
      std::printf("no server runs for %s\n", data_dir->c_str());
    } else {
      PrintData(*form, {{"data_dir", *data_dir}, {"pid", nullptr}, {"answers", false}});
    }
    return kExitUnreachable;
  }
  const base::Status healthy = owner->http.empty() ? base::Unavailable("it is starting")
                                                   : Api("http://" + owner->http).CheckHealth();
  PrintStatus(*form, *data_dir, *owner, healthy);
  return healthy.ok() ? kExitOk : kExitUnreachable;
}

int SuperviseVerb(const Arguments& arguments) {
  supervisor::Options options;
  options.data_dir = arguments.Get("--data-dir");
  if (options.data_dir.empty()) return Fail(kExitWrongInput, "supervise wants --data-dir DIR");
  return supervisor::Run(options);
}

constexpr std::array kEntries = {
    Entry{{"server", "", "Serves a data directory until it is told to stop.", kServerFlags,
           "caudal server\n"
           "caudal server --data-dir ./data --http-port 0 --ready-file ready.json"},
          ServerVerb},
    Entry{{"server status", "", "Says whether a data directory has a server, and where it listens.",
           kStatusFlags,
           "caudal server status\n"
           "caudal server status --data-dir ./data --json"},
          ServerStatusVerb},
    Entry{{"server stop", "", "Stops the server of a data directory; runs go on at the next start.",
           kDataDirOnly,
           "caudal server stop\n"
           "caudal server stop --data-dir ./data"},
          ServerStopVerb},
    Entry{{"supervise", "", "Parents the steps of one data directory.", kDataDirOnly, "", true},
          SuperviseVerb},
};

}  // namespace

std::span<const Entry> ServerEntries() { return kEntries; }

int VersionVerb(const Arguments&) {
  std::printf("caudal %s\n", base::kVersion);
  return kExitOk;
}

}  // namespace caudal::cli
