#include "cli/internal/verbs.h"

#include <array>

namespace caudal::cli {
namespace {

constexpr Flag kDataDir = {"--data-dir", "", "DIR",
                           "where everything is kept (default ~/.local/share/caudal)"};
constexpr Flag kIsolation = {"--isolation", "", "M", "how steps run: sandbox or process"};
constexpr Flag kKfpPackage = {"--kfp-package", "", "S",
                              "use this kfp in steps instead of the pinned one"};
constexpr Flag kMount = {"--mount", "", "HOST[:PATH][:rw]", "shows sandboxed steps a host path",
                         true};

constexpr std::array kRunFlags = {
    Flag{"--param", "-p", "NAME=VALUE", "a parameter; NAME=@FILE reads the value from a file",
         true},
    Flag{"--params", "", "FILE", "parameters from a JSON file; -p wins"},
    Flag{"--name", "", "N", "the run's name"},
    Flag{"--experiment", "-e", "EXPERIMENT", "the experiment it belongs to; made when missing"},
    kDataDir,
    Flag{"--server", "", "URL", "run there (default: CAUDAL_SERVER, else a local server)"},
    kIsolation,
    kMount,
    kKfpPackage,
    Flag{"--no-cache", "", "", "runs every step, whatever ran before"},
    Flag{"--detach", "", "", "returns as soon as the run is accepted"},
    Flag{"--foreground", "", "", "starts a server for this run only and ends it afterwards"},
    Flag{"--json", "", "", "prints one JSON object with the outcome"},
};

constexpr std::array kServerFlags = {
    kDataDir,
    Flag{"--host", "", "H", "address to listen on (default 127.0.0.1)"},
    Flag{"--http-port", "", "N", "REST and page (default 8888; 0: the kernel picks)"},
    Flag{"--grpc-port", "", "N", "gRPC (default 8887)"},
    Flag{"--s3-port", "", "N", "S3 (default 9000)"},
    Flag{"--mlmd-port", "", "N", "ML Metadata (default 8080)"},
    Flag{"--ready-file", "", "PATH", "written once every listener accepts"},
    kIsolation,
    kMount,
    kKfpPackage,
    Flag{"--cores", "", "N", "cores for all steps together (default: all)"},
    Flag{"--memory", "", "SIZE", "memory for all steps together (default: all)"},
    Flag{"--kill-grace", "", "TIME", "from SIGTERM to SIGKILL (default 10s)"},
    Flag{"--log-limit", "", "SIZE", "a step that logs more fails (default 1GiB)"},
    Flag{"--idle-exit", "", "TIME", "stops after so long without runs and requests"},
    Flag{"--verbose", "", "", "logs what it does"},
};

constexpr std::array kDataDirOnly = {kDataDir};

constexpr std::array kEntries = {
    Entry{{"run", "FILE", "Runs a compiled pipeline (YAML or JSON) and prints its outputs.",
           kRunFlags,
           "caudal run pipeline.yaml\n"
           "caudal run pipeline.yaml -p rate=0.1 -p text=@notes.txt\n"
           "caudal run pipeline.yaml --params params.json --json\n"
           "caudal run pipeline.yaml --server http://127.0.0.1:8888 --detach"},
          RunVerb},
    Entry{{"server", "", "Serves a data directory until it is told to stop.", kServerFlags,
           "caudal server\n"
           "caudal server --data-dir ./data --http-port 0 --ready-file ready.json"},
          ServerVerb},
    Entry{{"server stop", "",
           "Stops the server of a data directory; its runs go on at the next start.", kDataDirOnly,
           "caudal server stop\n"
           "caudal server stop --data-dir ./data"},
          ServerStopVerb},
    Entry{{"server status", "", "Says whether a data directory has a server, and where it listens.",
           kDataDirOnly,
           "caudal server status\n"
           "caudal server status --data-dir ./data"},
          ServerStatusVerb},
    Entry{{"version", "", "Prints the version.", {}, "caudal version"}, VersionVerb},
    Entry{{"supervise", "", "Parents the steps of one data directory.", kDataDirOnly, "", true},
          SuperviseVerb},
};

}  // namespace

std::span<const Entry> AllVerbs() { return kEntries; }

std::string OverviewText() {
  std::string text = "caudal runs Kubeflow pipelines on this machine\n\nCommands\n";
  for (const Entry& entry : kEntries) {
    if (entry.verb.is_hidden) continue;
    std::string name = "caudal " + std::string(entry.verb.name);
    if (!entry.verb.positional.empty()) name += " " + std::string(entry.verb.positional);
    text += "  " + name + std::string(name.size() < 22 ? 22 - name.size() : 1, ' ') +
            std::string(entry.verb.summary) + "\n";
  }
  return text +
         "\nExamples\n"
         "  caudal run pipeline.yaml\n"
         "  caudal run --help\n";
}

}  // namespace caudal::cli
