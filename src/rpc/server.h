#pragma once

/// gRPC over the service layer: every method of a table, server reflection and health.
///
/// gRPC stays inside this room.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/status.h"
#include "service/method.h"

namespace caudal::rpc {

struct ServerOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 0;                   ///< 0: the kernel picks
  int max_request_bytes = 64 << 20;    ///< a larger one is answered RESOURCE_EXHAUSTED
  int max_calls = 1'000;               ///< running or waiting; further ones are answered likewise
  int max_streams_per_client = 1'000;  ///< calls of one connection; further ones wait there
};

/// Calls `work` exactly once: with true on a thread that may block, or with false, on any thread,
/// when it cannot run any more.
using Post = std::function<void(std::function<void(bool runs)> work)>;

/// Lifetime: calls are served from Start until Stop. Thread-safe.
class Server {
 public:
  /// Binds and starts. `post` must work until Stop has returned. Errors: kUnavailable when the
  /// address is taken, naming host and port; kInternal for a method without descriptor or
  /// function, or one that streams.
  static base::Result<std::unique_ptr<Server>> Start(const ServerOptions& options,
                                                     const service::MethodTable& methods,
                                                     Post post);
  /// Stops without grace.
  ~Server();

  std::string address() const;  ///< "127.0.0.1:8887", with the real port

  /// Takes no more calls; those that run may end by themselves for `grace`, then their clients see
  /// them cancelled. Returns when the last function of a method has. Not to be called from one.
  void Stop(std::chrono::milliseconds grace);

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace caudal::rpc
