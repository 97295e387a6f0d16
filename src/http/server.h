#pragma once

/// HTTP/1.1 server: parses requests, hands them to a bounded pool of threads, sends what comes
/// back.
///
/// Asio and Beast stay inside this room.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace caudal::http {

struct Request {
  std::string method;  ///< "GET"
  std::string target;  ///< as sent, "/apis/v2beta1/runs?page_size=5"
  std::string path;    ///< target before '?', still percent-encoded
  std::string query;   ///< after '?', still encoded; may be empty
  std::vector<std::pair<std::string, std::string>> headers;  ///< names lower-case
  std::string body;
  std::string peer;  ///< "127.0.0.1:40000"

  /// First value of a header (name in lower case), or empty.
  std::string_view Header(std::string_view name) const;
};

/// A body produced piece by piece while the client reads (live logs, events).
///
/// The server calls `SetWaker` once, then `Next`, and destroys the stream at its end, when the
/// client hangs up or when it stops itself: all on its I/O thread, so none of them may block. After
/// kWait it sleeps until the waker is called: from any thread, also spuriously, also after the
/// stream or even the server is gone.
class BodyStream {
 public:
  enum class State { kData, kWait, kEnd };
  virtual ~BodyStream() = default;
  virtual void SetWaker(std::function<void()> wake) = 0;
  /// kData: `chunk` has bytes to send. kEnd: the body is complete, `chunk` is not looked at.
  virtual State Next(std::string* chunk) = 0;
};

struct Response {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string content_type = "application/json";
  std::string body;
  std::unique_ptr<BodyStream> stream;  ///< when set, sent chunked instead of `body`
};

/// Called on a pool thread; may block. Must not throw.
using Handler = std::function<Response(const Request&)>;

struct ServerOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 0;  ///< 0: the kernel picks
  int threads = 8;    ///< handlers running at once; further requests wait
  size_t max_body_bytes = 64u << 20;
  size_t max_header_bytes = 64u << 10;
  int max_connections = 10'000;
  int idle_seconds = 75;    ///< keep-alive connections without a request
  int header_seconds = 10;  ///< from first byte to end of header
};

/// Lifetime: requests are served from Start until Stop, which closes the listener, lets running
/// handlers finish, ends streams and joins all threads. Thread-safe, but a handler cannot call
/// Stop.
class Server {
 public:
  /// Binds and starts. Errors: kUnavailable when the address is taken, naming host and port.
  static base::Result<std::unique_ptr<Server>> Start(const ServerOptions& options, Handler handler);
  ~Server();
  std::string address() const;  ///< "127.0.0.1:8888", with the real port
  /// Lets another listener share the handlers' threads: calls `work` exactly once, with true on one
  /// of them, or with false, on any thread, once the server stops.
  void Post(std::function<void(bool runs)> work);
  void Stop();

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Percent-decoding; `plus_is_space` for query strings. nullopt for a broken escape.
std::optional<std::string> PercentDecode(std::string_view text, bool plus_is_space);

/// Decoded query pairs in order. nullopt for a broken escape.
std::optional<std::vector<std::pair<std::string, std::string>>> ParseQuery(std::string_view query);

}  // namespace caudal::http
