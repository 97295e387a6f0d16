#include "server/serve.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <boost/json.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>

#include "api/gateway.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/uuid.h"
#include "base/version.h"
#include "executor/local_executor.h"
#include "executor/workspaces.h"
#include "http/server.h"
#include "orchestrator/orchestrator.h"
#include "pyenv/pyenv.h"
#include "rpc/server.h"
#include "sandbox/sandbox.h"
#include "secrets/secrets.h"
#include "server/internal/data_dir.h"
#include "server/internal/loopback.h"
#include "service/service.h"
#include "store/rows.h"
#include "store/run_log.h"
#include "store/store.h"

namespace caudal::server {
namespace {

namespace json = boost::json;
using base::Result;
using base::Status;
using Steady = std::chrono::steady_clock;

constexpr int kHandlerThreads = 32;
constexpr auto kCallGrace = std::chrono::seconds(5);  // for gRPC calls that run at the stop
constexpr auto kTick = std::chrono::seconds(1);
constexpr int kTicksPerCheckpoint = 10;

/// When the last request came in, for --idle-exit.
class Activity {
 public:
  void Touch() { last_ = Steady::now().time_since_epoch().count(); }
  std::chrono::seconds IdleFor() const {
    const Steady::time_point last{Steady::duration(last_.load())};
    return std::chrono::duration_cast<std::chrono::seconds>(Steady::now() - last);
  }

 private:
  std::atomic<Steady::rep> last_{Steady::now().time_since_epoch().count()};
};

/// Everything a server consists of, in the order of construction; stopped in reverse.
struct Parts {
  base::SystemClock clock;
  std::unique_ptr<store::Store> store;
  std::unique_ptr<secrets::Vault> vault;
  std::unique_ptr<pyenv::Environments> environments;
  std::unique_ptr<executor::LocalExecutor> executor;
  std::unique_ptr<orchestrator::Orchestrator> orchestrator;
  std::unique_ptr<service::Service> service;
  std::unique_ptr<api::Gateway> gateway;
  std::unique_ptr<http::Server> http;
  std::unique_ptr<rpc::Server> rpc;  // its calls run on the threads of http
  std::atomic<bool> is_stopping = false;
  std::thread sweeper;

  void Stop();
};

void Parts::Stop() {
  is_stopping = true;
  if (orchestrator) orchestrator->StopWaits();
  if (environments) environments->Stop();  // a caller of http may wait for a build
  if (rpc) rpc->Stop(kCallGrace);
  if (http) http->Stop();
  if (orchestrator) orchestrator->Stop();
  if (executor) executor->Stop();
  if (sweeper.joinable()) sweeper.join();
}

Status CheckOptions(const ServeOptions& options) {
  if (!IsLoopback(options.host)) {
    return base::InvalidArgument(
        "--host " + options.host +
        " is reachable from other machines and this version has no authentication; use 127.0.0.1");
  }
  if (!options.isolation.empty() && options.isolation != "sandbox" &&
      options.isolation != "process") {
    return base::InvalidArgument("--isolation " + options.isolation +
                                 " is not known; use sandbox or process");
  }
  return {};
}

// The isolation to use, and why it is not the sandbox if it is not.
Result<std::string> ChooseIsolation(const ServeOptions& options, std::string* no_sandbox_reason) {
  const Status probed = sandbox::Probe();
  if (!probed.ok()) *no_sandbox_reason = probed.message();
  if (options.isolation == "sandbox" && !probed.ok()) {
    return base::FailedPrecondition("this machine cannot make sandboxes: " + probed.message() +
                                    "; use --isolation process");
  }
  if (!options.isolation.empty()) return options.isolation;
  if (!probed.ok()) {
    std::fprintf(stderr,
                 "caudal: steps run without a sandbox, as plain processes that can read what you "
                 "can read: %s\n",
                 probed.message().c_str());
  }
  return std::string(probed.ok() ? "sandbox" : "process");
}

Status MakeExecutor(const ServeOptions& options, const std::string& data_dir,
                    const std::string& isolation, const std::string& no_sandbox_reason,
                    Parts* parts) {
  executor::LocalOptions local;
  local.data_dir = data_dir;
  local.executable = options.executable.empty() ? "/proc/self/exe" : options.executable;
  local.isolation = isolation;
  local.no_sandbox_reason = no_sandbox_reason;
  local.cores_milli = options.cores_milli;
  local.memory_bytes = options.memory_bytes;
  local.kill_grace_millis = options.kill_grace_millis;
  local.log_limit_bytes = options.log_limit_bytes;
  local.kfp_package = options.kfp_package;
  local.step_uid = geteuid() == 0 ? static_cast<int>(sandbox::StepUid()) : -1;
  local.mounts = options.mounts;
  local.require_secrets = options.require_secrets;
  parts->environments = std::make_unique<pyenv::Environments>(executor::EnvironmentOptions(local));
  CAUDAL_ASSIGN(parts->executor,
                executor::LocalExecutor::Make(std::move(local), *parts->environments));
  return {};
}

Status MakeGateway(const ServeOptions& options, Parts* parts) {
  service::Service* service = parts->service.get();
  api::Backend backend;
  backend.methods = service->Methods();
  backend.upload_pipeline = [service](const auto& caller, const auto& upload) {
    return service->UploadPipeline(caller, upload);
  };
  backend.upload_pipeline_version = [service](const auto& caller, const auto& upload) {
    return service->UploadPipelineVersion(caller, upload);
  };
  backend.open_log = [service](const auto& caller, const auto& run_id, const auto& node_id,
                               int64_t attempt) {
    return service->OpenLog(caller, run_id, node_id, attempt);
  };
  backend.has_code = [service](const auto& caller, const auto& sha256) {
    return service->HasCode(caller, sha256);
  };
  backend.add_code = [service](const auto& caller, const auto& sha256, const auto& content) {
    return service->AddCode(caller, sha256, content);
  };
  backend.version = base::kVersion;
  backend.allowed_hosts = NamesOf(options.host);
  CAUDAL_ASSIGN(parts->gateway, api::Gateway::Make(std::move(backend)));
  return {};
}

Status StartHttp(const ServeOptions& options, Activity* activity, Parts* parts) {
  http::ServerOptions http;
  http.host = options.host;
  http.port = static_cast<uint16_t>(options.http_port);
  http.threads = kHandlerThreads;
  api::Gateway* gateway = parts->gateway.get();
  CAUDAL_ASSIGN(parts->http,
                http::Server::Start(http, [gateway, activity](const http::Request& request) {
                  activity->Touch();
                  return gateway->Handle(request);
                }));
  return {};
}

Status StartRpc(const ServeOptions& options, Activity* activity, Parts* parts) {
  rpc::ServerOptions rpc;
  rpc.host = options.host;
  rpc.port = static_cast<uint16_t>(options.grpc_port);
  http::Server* http = parts->http.get();
  CAUDAL_ASSIGN(parts->rpc, rpc::Server::Start(rpc, parts->service->Methods(),
                                               [http, activity](std::function<void(bool)> work) {
                                                 activity->Touch();
                                                 http->Post(std::move(work));
                                               }));
  return {};
}

Status Construct(const ServeOptions& options, const DataDir& data_dir, Activity* activity,
                 Parts* parts) {
  std::string no_sandbox_reason;
  CAUDAL_ASSIGN(const std::string isolation, ChooseIsolation(options, &no_sandbox_reason));
  CAUDAL_ASSIGN(parts->store, store::Store::Open(data_dir.path() + "/caudal.db"));
  parts->vault = std::make_unique<secrets::Vault>(data_dir.path());
  CAUDAL_TRY(MakeExecutor(options, data_dir.path(), isolation, no_sandbox_reason, parts));
  parts->orchestrator = std::make_unique<orchestrator::Orchestrator>(
      *parts->store, *parts->executor, parts->clock, [] { return base::RandomHex(16); },
      orchestrator::Options{std::chrono::milliseconds(options.terminate_grace_millis)});
  service::Options service_options{data_dir.path(), isolation};
  service_options.no_sandbox_reason = no_sandbox_reason;
  service_options.environments = parts->environments.get();
  service_options.vault = parts->vault.get();
  service_options.no_cache = options.no_cache;
  service_options.flatten_collected = options.flatten_collected;
  parts->service = std::make_unique<service::Service>(*parts->store, *parts->orchestrator,
                                                      parts->clock, std::move(service_options));
  CAUDAL_TRY(parts->service->Prepare());
  CAUDAL_TRY(MakeGateway(options, parts));
  CAUDAL_TRY(parts->orchestrator->Recover());
  parts->orchestrator->Start();
  CAUDAL_TRY(StartHttp(options, activity, parts));
  CAUDAL_TRY(StartRpc(options, activity, parts));
  parts->sweeper = std::thread([parts, store = parts->store.get(), path = data_dir.path()] {
    SweepFiles(path, parts->is_stopping, [store](int64_t key) -> Result<bool> {
      bool known = true;
      CAUDAL_TRY(store->Read([&](sql::Database& database) -> Status {
        CAUDAL_ASSIGN(known, store::IsKnownAttempt(database, key));
        return {};
      }));
      return known;
    });
    parts->service->SweepCode(parts->is_stopping);
    executor::SweepWorkspaces(
        path, parts->is_stopping, [store](const std::string& run_id) -> Result<bool> {
          const Status found = store->Read([&](sql::Database& database) -> Status {
            return store::GetRun(database, run_id).status();
          });
          if (found.code() == base::Code::kNotFound) return false;
          if (!found.ok()) return found;
          return true;
        });
  });
  return {};
}

Status Announce(const ServeOptions& options, const DataDir& data_dir, const Parts& parts) {
  CAUDAL_TRY(data_dir.Announce(parts.http->address()));
  if (options.ready_file.empty()) return {};
  const json::object ready{{"pid", getpid()},
                           {"http", parts.http->address()},
                           {"grpc", parts.rpc->address()},
                           {"s3", nullptr},
                           {"mlmd", nullptr},
                           {"version", base::kVersion}};
  return base::WriteFileAtomic(options.ready_file, json::serialize(ready), 0644);
}

bool HasOpenRuns(store::Store& store) {
  bool open = true;
  const Status read = store.Read([&](sql::Database& database) -> Status {
    CAUDAL_ASSIGN(const auto keys, store::ListOpenRuns(database));
    open = !keys.empty();
    return {};
  });
  return !read.ok() || open;
}

// Until a signal asks for the end, or nothing has happened for too long.
void WaitForEnd(const ServeOptions& options, const sigset_t& signals, const Activity& activity,
                Parts& parts) {
  const timespec tick{kTick.count(), 0};
  const std::chrono::seconds idle_limit(options.idle_exit_seconds);
  for (int ticks = 1;; ++ticks) {
    const int signal = sigtimedwait(&signals, nullptr, &tick);
    if (signal == SIGTERM || signal == SIGINT) return;
    if (ticks % kTicksPerCheckpoint == 0) {
      const Status copied = parts.store->Checkpoint();
      if (!copied.ok()) base::LogWarning("checkpoint: " + copied.message());
    }
    if (idle_limit.count() > 0 && activity.IdleFor() >= idle_limit && !HasOpenRuns(*parts.store)) {
      base::LogInfo("idle: stopping");
      return;
    }
  }
}

int Report(const Status& status) {
  std::fprintf(stderr, "caudal: %s\n", status.message().c_str());
  const bool bad_options = status.code() == base::Code::kInvalidArgument ||
                           status.code() == base::Code::kFailedPrecondition;
  return bad_options ? 2 : 3;
}

}  // namespace

int Serve(const ServeOptions& options) {
  base::SetLogLevel(options.verbose ? base::LogLevel::kInfo : base::LogLevel::kWarning);
  umask(077);
  // Before any thread exists, so that only WaitForEnd hears these.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);

  const Status checked = CheckOptions(options);
  if (!checked.ok()) return Report(checked);
  auto data_dir = DataDir::Claim(options.data_dir);
  if (!data_dir.ok()) return Report(data_dir.status());
  Activity activity;
  Parts parts;
  Status started = Construct(options, *data_dir, &activity, &parts);
  if (started.ok()) started = Announce(options, *data_dir, parts);
  if (started.ok()) {
    if (isatty(STDERR_FILENO) != 0) {
      std::fprintf(stderr, "caudal %s serves %s at http://%s, gRPC at %s\n", base::kVersion,
                   data_dir->path().c_str(), parts.http->address().c_str(),
                   parts.rpc->address().c_str());
    }
    WaitForEnd(options, signals, activity, parts);
  }
  data_dir->Withdraw();
  parts.Stop();
  return started.ok() ? 0 : Report(started);
}

}  // namespace caudal::server
