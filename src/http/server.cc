#include "http/server.h"

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/basic_resolver.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <mutex>
#include <set>
#include <thread>

#include "base/log.h"
#include "http/internal/connection.h"
#include "http/internal/handler_pool.h"

namespace caudal::http {
namespace {

using boost::system::error_code;
using internal::Connection;
using internal::HandlerPool;
using internal::SteadyClock;
namespace asio = boost::asio;
using Tcp = asio::ip::tcp;

constexpr asio::use_awaitable_t<internal::Executor> kAwait;
constexpr auto kSweepInterval = std::chrono::milliseconds(500);
constexpr auto kAcceptRetry = std::chrono::milliseconds(100);
constexpr auto kDrainTime = std::chrono::seconds(2);

std::string HostAndPort(const Tcp::endpoint& endpoint) {
  const std::string host = endpoint.address().to_string();
  const std::string port = ":" + std::to_string(endpoint.port());
  return endpoint.address().is_v6() ? "[" + host + "]" + port : host + port;
}

Tcp::endpoint Resolve(asio::io_context& io, const ServerOptions& options, error_code& ec) {
  const std::string host = options.host == "localhost" ? "127.0.0.1" : options.host;
  const asio::ip::address address = asio::ip::make_address(host, ec);
  if (!ec) return {address, options.port};
  Tcp::resolver resolver(io);
  const auto found = resolver.resolve(host, std::to_string(options.port), ec);
  return ec || found.empty() ? Tcp::endpoint() : found.begin()->endpoint();
}

Response Failure(int status, std::string body) {
  Response response;
  response.status = status;
  response.headers.emplace_back("X-Content-Type-Options", "nosniff");
  response.body = std::move(body);
  return response;
}

// A fresh socket's send buffer is empty, so this cannot block.
void RefuseConnection(internal::Socket socket) {
  const Response response =
      Failure(503, R"({"code":14,"message":"too many connections are open; try again later"})");
  const std::string text = internal::RenderHead(response, false, false) + response.body;
  error_code ec;
  socket.non_blocking(true, ec);
  socket.write_some(asio::buffer(text), ec);
}

}  // namespace

struct Server::Impl {
  Impl(const ServerOptions& server_options, Handler request_handler)
      : options(server_options), handler(std::move(request_handler)), pool(options.threads) {}

  error_code Listen();
  void Run();
  void Stop();

  internal::Task<void> AcceptLoop();
  void Admit(internal::Socket socket);
  void Remove(const std::shared_ptr<Connection>& connection);
  void Dispatch(std::shared_ptr<Connection> connection);
  Response Handle(const Request& request) const;
  void ScheduleSweep();
  void Sweep();

  const ServerOptions options;
  const Handler handler;
  asio::io_context io{1};
  asio::executor_work_guard<internal::Executor> work{io.get_executor()};
  asio::basic_socket_acceptor<Tcp, internal::Executor> acceptor{io};
  internal::Timer accept_retry{io};
  internal::Timer sweep{io};
  std::string address;
  std::set<std::shared_ptr<Connection>> connections;
  bool is_sweeping = false;
  SteadyClock::time_point drain_until = SteadyClock::time_point::max();
  std::once_flag stop_once;
  HandlerPool pool;
  std::thread io_thread;
};

error_code Server::Impl::Listen() {
  error_code ec;
  const Tcp::endpoint endpoint = Resolve(io, options, ec);
  if (!ec) acceptor.open(endpoint.protocol(), ec);
  if (!ec) acceptor.set_option(asio::socket_base::reuse_address(true), ec);
  if (!ec) acceptor.bind(endpoint, ec);
  if (!ec) acceptor.listen(asio::socket_base::max_listen_connections, ec);
  if (!ec) address = HostAndPort(acceptor.local_endpoint(ec));
  return ec;
}

void Server::Impl::Run() {
  const auto on_end = [](const std::exception_ptr&) {};
  asio::co_spawn(io, AcceptLoop(), on_end);
  io_thread = std::thread([this] { io.run(); });
}

internal::Task<void> Server::Impl::AcceptLoop() {
  error_code ec;
  auto token = asio::redirect_error(kAwait, ec);
  while (acceptor.is_open()) {
    internal::Socket socket(io.get_executor());
    co_await acceptor.async_accept(socket, token);
    if (!acceptor.is_open()) co_return;
    if (!ec) {
      Admit(std::move(socket));
      continue;
    }
    // Out of descriptors, most likely: trying again at once would only spin.
    base::LogWarning("cannot accept a connection: " + ec.message());
    accept_retry.expires_after(kAcceptRetry);
    co_await accept_retry.async_wait(token);
  }
}

void Server::Impl::Admit(internal::Socket socket) {
  if (connections.size() >= static_cast<size_t>(options.max_connections)) {
    RefuseConnection(std::move(socket));
    return;
  }
  auto dispatch = [this](std::shared_ptr<Connection> ready) { Dispatch(std::move(ready)); };
  auto connection = std::make_shared<Connection>(std::move(socket), options, std::move(dispatch));
  connections.insert(connection);
  const auto on_end = [this, connection](const std::exception_ptr& error) {
    if (error) base::LogError("a connection ended by an exception");
    Remove(connection);
  };
  asio::co_spawn(io, connection->Run(), on_end);
  ScheduleSweep();
}

void Server::Impl::Remove(const std::shared_ptr<Connection>& connection) {
  connection->Close();
  connections.erase(connection);
  if (connections.empty()) sweep.cancel();
}

void Server::Impl::Dispatch(std::shared_ptr<Connection> connection) {
  pool.Post([this, connection = std::move(connection)](HandlerPool::Verdict verdict) mutable {
    Response response = verdict == HandlerPool::Verdict::kRun
                            ? Handle(connection->request())
                            : Failure(503, R"({"code":14,"message":"the server is stopping"})");
    // The connection goes along, so that its last owner is always the I/O thread.
    asio::post(io, [connection = std::move(connection), response = std::move(response)]() mutable {
      connection->Deliver(std::move(response));
    });
  });
}

Response Server::Impl::Handle(const Request& request) const {
  try {
    return handler(request);
  } catch (const std::exception& error) {
    base::LogError("handler of " + request.method + " " + request.path + " threw: " + error.what());
    return Failure(500, R"({"code":13,"message":"internal error; the server's log has more"})");
  }
}

// One timer for all connections: a timer per read costs a third of a request.
void Server::Impl::ScheduleSweep() {
  if (is_sweeping || connections.empty()) return;
  is_sweeping = true;
  sweep.expires_after(kSweepInterval);
  sweep.async_wait([this](const error_code&) {
    is_sweeping = false;
    Sweep();
    ScheduleSweep();
  });
}

void Server::Impl::Sweep() {
  const SteadyClock::time_point now = SteadyClock::now();
  for (const auto& connection : connections) {
    if (now > drain_until) {
      connection->Close();
    } else {
      connection->CloseIfOverdue(now);
    }
  }
}

void Server::Impl::Stop() {
  asio::post(io, [this] {
    error_code ec;
    acceptor.close(ec);
    accept_retry.cancel();
    for (const auto& connection : connections) connection->BeginStop();
  });
  pool.Stop();
  asio::post(io, [this] { drain_until = SteadyClock::now() + kDrainTime; });
  work.reset();
  io_thread.join();
}

base::Result<std::unique_ptr<Server>> Server::Start(const ServerOptions& options, Handler handler) {
  auto impl = std::make_unique<Impl>(options, std::move(handler));
  const error_code ec = impl->Listen();
  if (ec) {
    return base::Unavailable("cannot listen on " + options.host + ":" +
                             std::to_string(options.port) + ": " + ec.message());
  }
  impl->Run();
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() { Stop(); }

std::string Server::address() const { return impl_->address; }

void Server::Post(std::function<void(bool)> work) {
  impl_->pool.Post([work = std::move(work)](HandlerPool::Verdict verdict) {
    work(verdict == HandlerPool::Verdict::kRun);
  });
}

void Server::Stop() {
  std::call_once(impl_->stop_once, [this] { impl_->Stop(); });
}

}  // namespace caudal::http
