#include "rpc/server.h"

#include <arpa/inet.h>
#include <grpc/support/log.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <netdb.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>

#include "base/file.h"
#include "base/log.h"
#include "rpc/internal/raw_service.h"

namespace caudal::rpc {
namespace {

using internal::RawService;

std::string HostAndPort(const std::string& host, int port) {
  const bool is_v6 = host.find(':') != std::string::npos;
  return (is_v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

// gRPC reports to standard error whatever it comes across; here the reasons that matter are ours.
void Log(gpr_log_func_args* args) {
  if (args->severity == GPR_LOG_SEVERITY_ERROR)
    base::LogInfo(std::string("grpc: ") + args->message);
}

// All callback servers of a process share one completion queue, which gRPC 1.51 frees with the last
// of them, now and then twice. A server that listens nowhere and never ends keeps it.
void KeepQueue() {
  static grpc::CallbackGenericService service;
  grpc::ServerBuilder builder;
  builder.RegisterCallbackGenericService(&service);
  static const grpc::Server* const keeper = builder.BuildAndStart().release();
  static_cast<void>(keeper);
}

// Process-wide settings, before the first server.
void SetUp() {
  static std::once_flag once;
  std::call_once(once, [] {
    gpr_set_log_function(Log);
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    KeepQueue();
  });
}

base::Status Check(const service::Method& method) {
  if (method.descriptor == nullptr) return base::Internal("a method has no descriptor");
  const std::string& name = method.descriptor->full_name();
  if (!method.call) return base::Internal("method " + name + " has no function");
  if (method.descriptor->client_streaming() || method.descriptor->server_streaming()) {
    return base::Internal("method " + name + " streams, which is not served");
  }
  return {};
}

// gRPC does not say why it could not bind, so the reason is found by trying.
std::string WhyNot(const ServerOptions& options) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(options.port);
  const int error = getaddrinfo(options.host.c_str(), port.c_str(), &hints, &found);
  if (error != 0) return gai_strerror(error);
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> addresses(found, &freeaddrinfo);
  const base::UniqueFd fd(socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int yes = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(fd.get(), found->ai_addr, found->ai_addrlen) != 0) return std::strerror(errno);
  if (listen(fd.get(), 1) != 0) return std::strerror(errno);
  return "the address cannot be used";
}

}  // namespace

struct Server::Impl {
  void Stop(std::chrono::milliseconds grace) {
    std::call_once(stop_once, [&] {
      if (server) server->Shutdown(std::chrono::system_clock::now() + grace);
    });
  }

  internal::Calls calls;
  std::vector<std::unique_ptr<RawService>> services;
  std::unique_ptr<grpc::Server> server;
  std::string address;
  std::once_flag stop_once;
};

base::Result<std::unique_ptr<Server>> Server::Start(const ServerOptions& options,
                                                    const service::MethodTable& methods,
                                                    Post post) {
  SetUp();
  std::map<std::string, std::vector<service::Method>> by_service;
  for (const service::Method& method : methods) {
    CAUDAL_TRY(Check(method));
    by_service[method.descriptor->service()->full_name()].push_back(method);
  }
  auto impl = std::make_unique<Impl>();
  impl->calls.post = std::move(post);
  impl->calls.limit = options.max_calls;

  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(HostAndPort(options.host, options.port),
                           grpc::InsecureServerCredentials(), &port);
  // Else a second server could bind the same port, and each would get half of the calls.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, options.max_streams_per_client);
  builder.SetMaxReceiveMessageSize(options.max_request_bytes);
  for (auto& [name, table] : by_service) {
    impl->services.push_back(std::make_unique<RawService>(std::move(table), &impl->calls));
    builder.RegisterService(impl->services.back().get());
  }
  impl->server = builder.BuildAndStart();
  if (impl->server == nullptr || port == 0) {
    return base::Unavailable("cannot listen on " + HostAndPort(options.host, options.port) +
                             " for gRPC: " + WhyNot(options));
  }
  impl->address = HostAndPort(options.host, port);
  if (auto* health = impl->server->GetHealthCheckService(); health != nullptr) {
    for (const auto& [name, table] : by_service) health->SetServingStatus(name, true);
  }
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() { impl_->Stop(std::chrono::milliseconds(0)); }

std::string Server::address() const { return impl_->address; }

void Server::Stop(std::chrono::milliseconds grace) { impl_->Stop(grace); }

}  // namespace caudal::rpc
