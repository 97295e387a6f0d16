#include "rpc/internal/raw_service.h"

#include <grpcpp/impl/codegen/server_callback_handlers.h>
#include <grpcpp/impl/rpc_service_method.h>
#include <grpcpp/support/proto_buffer_reader.h>
#include <grpcpp/support/server_callback.h>

#include <exception>

#include "base/log.h"
#include "base/utf8.h"
#include "google/rpc/status.pb.h"

namespace caudal::rpc::internal {
namespace {

using base::Status;
using google::protobuf::Message;

// Together with what encoding adds, these stay below the 8 KiB that clients take as trailers.
constexpr size_t kMessageBytes = 1500;
constexpr size_t kDetailBytes = 300;

google::rpc::Status ToProto(const Status& status, size_t limit) {
  google::rpc::Status proto;
  proto.set_code(static_cast<int>(status.code()));
  proto.set_message(base::Shortened(base::ToUtf8(status.message()), limit));
  return proto;
}

service::Caller CallerOf(const grpc::CallbackServerContext& context) {
  service::Caller caller;
  caller.principal = auth::LocalUser();
  const auto& metadata = context.client_metadata();
  const auto agent = metadata.find("user-agent");
  if (agent != metadata.end()) {
    caller.client = std::string(agent->second.data(), agent->second.size());
  }
  return caller;
}

base::Result<std::unique_ptr<Message>> Parse(const google::protobuf::Descriptor& type,
                                             grpc::ByteBuffer bytes) {
  const Message* prototype =
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(&type);
  std::unique_ptr<Message> message(prototype->New());
  // Without a buffer there is no reader to destroy either; an empty message is such a one.
  if (bytes.Length() == 0) return message;
  grpc::ProtoBufferReader reader(&bytes);
  if (!reader.status().ok() || !message->ParseFromZeroCopyStream(&reader)) {
    return base::Internal("the request's bytes are no " + type.full_name());
  }
  return message;
}

Status Run(const service::Method& method, const grpc::CallbackServerContext& context,
           const grpc::ByteBuffer& request, grpc::ByteBuffer* reply) {
  CAUDAL_ASSIGN(const auto input, Parse(*method.descriptor->input_type(), request));
  CAUDAL_ASSIGN(const service::Reply output, method.call(CallerOf(context), *input));
  std::string bytes;
  if (!output->SerializeToString(&bytes)) {
    return base::Internal("the reply is too large to be sent");
  }
  const grpc::Slice slice(bytes);
  *reply = grpc::ByteBuffer(&slice, 1);
  return {};
}

// The last line before gRPC's threads: nothing is thrown past it.
Status RunCaught(const service::Method& method, const grpc::CallbackServerContext& context,
                 const grpc::ByteBuffer& request, grpc::ByteBuffer* reply) {
  try {
    return Run(method, context, request, reply);
  } catch (const std::exception& error) {
    base::LogError(method.descriptor->full_name() + " threw: " + error.what());
    return base::Internal("internal error; the server's log has more");
  }
}

}  // namespace

grpc::Status ToGrpc(const Status& status) {
  if (status.ok()) return grpc::Status::OK;
  google::rpc::Status details = ToProto(status, kMessageBytes);
  details.add_details()->PackFrom(ToProto(status, kDetailBytes));
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), details.message(),
                      details.SerializeAsString());
}

RawService::RawService(std::vector<service::Method> methods, Calls* calls)
    : methods_(std::move(methods)), calls_(calls) {
  using Handler = grpc::internal::CallbackUnaryHandler<grpc::ByteBuffer, grpc::ByteBuffer>;
  int index = 0;
  for (const service::Method& method : methods_) {
    names_.push_back("/" + method.descriptor->service()->full_name() + "/" +
                     method.descriptor->name());
    AddMethod(new grpc::internal::RpcServiceMethod(names_.back().c_str(),
                                                   grpc::internal::RpcMethod::NORMAL_RPC, nullptr));
    MarkMethodRawCallback(
        index++, new Handler([this, &method](auto* context, const auto* request, auto* reply) {
          return Accept(method, context, request, reply);
        }));
  }
}

grpc::ServerUnaryReactor* RawService::Accept(const service::Method& method,
                                             grpc::CallbackServerContext* context,
                                             const grpc::ByteBuffer* request,
                                             grpc::ByteBuffer* reply) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  if (calls_->count.fetch_add(1) >= calls_->limit) {
    calls_->count.fetch_sub(1);
    reactor->Finish(ToGrpc(base::ResourceExhausted(
        "the server works on " + std::to_string(calls_->limit) + " calls already; try again")));
    return reactor;
  }
  calls_->post([this, &method, context, request, reply, reactor](bool runs) {
    Status status = base::Unavailable("the server is stopping");
    if (runs) {
      // Nobody waits for the answer any more: the call was cancelled or its deadline is over.
      status = context->IsCancelled()
                   ? Status(base::Code::kCancelled, "the call was cancelled before it ran")
                   : RunCaught(method, *context, *request, reply);
    }
    calls_->count.fetch_sub(1);
    reactor->Finish(ToGrpc(status));
  });
  return reactor;
}

}  // namespace caudal::rpc::internal
