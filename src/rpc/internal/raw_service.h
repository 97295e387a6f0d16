#pragma once

/// One proto service as gRPC serves it, without generated stubs.

#include <grpcpp/impl/service_type.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <deque>
#include <string>
#include <vector>

#include "rpc/server.h"

namespace caudal::rpc::internal {

/// A status as clients of the original server know it: the code, the message, and as details a
/// google.rpc.Status that repeats both and embeds one more. Long messages are cut, for what a
/// client takes as trailers is bounded.
grpc::Status ToGrpc(const base::Status& status);

/// What all services of one server share. Outlives them and every call.
struct Calls {
  Post post;
  int limit = 0;
  std::atomic<int> count = 0;  ///< running or waiting
};

/// Every method is registered raw: its bytes come here, and the table says what they are.
///
/// Thread-safe; lives as long as the grpc::Server it is registered with.
class RawService final : public grpc::Service {
 public:
  /// `methods` all belong to one proto service.
  RawService(std::vector<service::Method> methods, Calls* calls);

 private:
  grpc::ServerUnaryReactor* Accept(const service::Method& method,
                                   grpc::CallbackServerContext* context,
                                   const grpc::ByteBuffer* request, grpc::ByteBuffer* reply);

  const std::vector<service::Method> methods_;
  std::deque<std::string> names_;  // gRPC keeps pointers to them
  Calls* const calls_;
};

}  // namespace caudal::rpc::internal
