#pragma once

/// One accepted socket: reads requests, has them answered, writes the answers, one after the other.

#include <array>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "http/server.h"

namespace caudal::http::internal {

namespace asio = boost::asio;
namespace beast = boost::beast;

// The concrete executor everywhere: the type-erased one costs a third of the throughput.
using Executor = asio::io_context::executor_type;
using Socket = asio::basic_stream_socket<asio::ip::tcp, Executor>;
using SteadyClock = std::chrono::steady_clock;
using Timer = asio::basic_waitable_timer<SteadyClock, asio::wait_traits<SteadyClock>, Executor>;
template <typename T>
using Task = asio::awaitable<T, Executor>;

/// A flag that one coroutine waits for. I/O thread only.
class Event {
 public:
  explicit Event(const Executor& executor) : timer_(executor, SteadyClock::time_point::max()) {}
  void Set();
  void Clear() { is_set_ = false; }
  Task<void> Wait();

 private:
  Timer timer_;
  bool is_set_ = false;
};

/// Lifetime: shared by the server's list, its own coroutine and the handler at work.
/// Thread-safety: I/O thread only; a handler thread may read `request()` between dispatch and
/// Deliver.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  /// Has `request()` answered by a later call of Deliver on the I/O thread.
  using Dispatch = std::function<void(std::shared_ptr<Connection>)>;

  Connection(Socket socket, const ServerOptions& options, Dispatch dispatch);

  /// Serves until either side ends the connection; closed when it returns.
  Task<void> Run();

  const Request& request() const { return request_; }
  void Deliver(Response response);

  /// Closes at once, or after the answer under way.
  void BeginStop();
  void Close();
  /// Closes when the peer has been too slow.
  void CloseIfOverdue(SteadyClock::time_point now);

 private:
  enum class Incoming { kRequest, kRefused, kClosed };
  using Parser = beast::http::request_parser<beast::http::string_body>;
  using ConstBuffers = std::array<asio::const_buffer, 3>;

  Task<Incoming> ReadRequest();
  Task<Incoming> ReadHeader();
  Task<Incoming> ReadBody();
  Task<bool> ReadSome(size_t size);
  Task<void> Answer();
  Task<void> Send();
  Task<void> SendStream();
  Task<bool> WriteChunk();
  Task<bool> Write(ConstBuffers parts);
  Task<void> Linger();
  Task<void> StopWatching();

  void WatchPeer();
  Incoming TakeRequest();
  Incoming Refuse(int status, int code, std::string_view why);
  Incoming RefuseMalformed(const boost::system::error_code& ec);
  void SetDeadline(int seconds);
  void ClearDeadline() { deadline_ = SteadyClock::time_point::max(); }

  Socket socket_;
  const ServerOptions& options_;
  Dispatch dispatch_;
  Event event_;  // answer delivered, stream has more, peer gone, or closing
  SteadyClock::time_point deadline_ = SteadyClock::time_point::max();
  beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  Request request_;
  Response response_;
  std::string head_;
  std::string chunk_;
  std::string chunk_size_;
  std::string peer_;
  bool is_http10_ = false;
  bool is_head_ = false;
  bool keep_alive_ = true;
  bool is_delivered_ = false;
  bool is_busy_ = false;  // a request is being answered
  bool is_stopping_ = false;
  bool is_watching_ = false;
  bool wants_watch_ = false;
  bool is_gone_ = false;  // the peer hung up during a stream
};

/// The head of an answer, up to and with the blank line.
std::string RenderHead(const Response& response, bool is_http10, bool keep_alive);

}  // namespace caudal::http::internal
