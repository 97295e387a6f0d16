#include "rpc/server.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>

#include <future>
#include <mutex>

#include "async/pool.h"
#include "backend/api/v2beta1/run.pb.h"
#include "google/rpc/status.pb.h"

namespace caudal::rpc {
namespace {

namespace v2beta1 = kubeflow::pipelines::backend::api::v2beta1;
using base::Code;

constexpr char kGetRun[] = "/kubeflow.pipelines.backend.api.v2beta1.RunService/GetRun";
constexpr auto kPatience = std::chrono::seconds(30);

/// What a client sees.
struct Answer {
  grpc::Status status;
  std::string bytes;
};

std::string Flat(grpc::ByteBuffer buffer) {
  grpc::Slice slice;
  if (buffer.Length() == 0 || !buffer.DumpToSingleSlice(&slice).ok()) return "";
  return std::string(reinterpret_cast<const char*>(slice.begin()), slice.size());
}

class Client {
 public:
  explicit Client(const std::string& address)
      : stub_(grpc::CreateChannel(address, grpc::InsecureChannelCredentials())) {}

  std::future<Answer> Start(const std::string& method, const std::string& bytes) {
    struct Call {
      grpc::ClientContext context;
      grpc::ByteBuffer request;
      grpc::ByteBuffer reply;
      std::promise<Answer> answer;
    };
    auto call = std::make_shared<Call>();
    call->context.set_deadline(std::chrono::system_clock::now() + kPatience);
    const grpc::Slice slice(bytes);
    call->request = grpc::ByteBuffer(&slice, 1);
    stub_.UnaryCall(&call->context, method, {}, &call->request, &call->reply,
                    [call](grpc::Status status) {
                      call->answer.set_value({std::move(status), Flat(call->reply)});
                    });
    return call->answer.get_future();
  }

  Answer Call(const std::string& method, const std::string& bytes) {
    return Start(method, bytes).get();
  }

 private:
  grpc::GenericStub stub_;
};

/// A table with GetRun alone, whose function a test gives, served on a pool of two threads.
class Rpc : public ::testing::Test {
 protected:
  using Function =
      std::function<base::Result<service::Reply>(const service::Caller&, const std::string& id)>;

  static service::MethodTable Table(Function function) {
    service::Method method;
    method.descriptor = v2beta1::Run::descriptor()
                            ->file()
                            ->FindServiceByName("RunService")
                            ->FindMethodByName("GetRun");
    method.call = [function](const service::Caller& caller,
                             const google::protobuf::Message& request) {
      return function(caller, static_cast<const v2beta1::GetRunRequest&>(request).run_id());
    };
    return {method};
  }

  void Serve(Function function, ServerOptions options = {}) {
    auto started =
        Server::Start(options, Table(std::move(function)), [this](std::function<void(bool)> work) {
          if (!pool_.Post([work] { work(true); })) work(false);
        });
    ASSERT_TRUE(started.ok()) << started.status().ToString();
    server_ = *std::move(started);
  }

  void Fail(base::Status status) {
    Serve([status](const auto&, const auto&) -> base::Result<service::Reply> { return status; });
  }

  static std::string Request(const std::string& run_id) {
    v2beta1::GetRunRequest request;
    request.set_run_id(run_id);
    return request.SerializeAsString();
  }

  static service::Reply MakeRun(const std::string& id) {
    auto run = std::make_unique<v2beta1::Run>();
    run->set_run_id(id);
    return run;
  }

  Answer Get(const std::string& run_id) {
    return Client(server_->address()).Call(kGetRun, Request(run_id));
  }

  async::Pool pool_{"test", 2};
  std::unique_ptr<Server> server_;
};

TEST_F(Rpc, ACallReachesItsFunction) {
  std::mutex mutex;
  service::Caller seen;
  Serve([&](const service::Caller& caller, const std::string& id) -> base::Result<service::Reply> {
    const std::lock_guard lock(mutex);
    seen = caller;
    return MakeRun(id);
  });
  const Answer answer = Get("r1");
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  v2beta1::Run run;
  ASSERT_TRUE(run.ParseFromString(answer.bytes));
  EXPECT_EQ(run.run_id(), "r1");
  EXPECT_TRUE(seen.principal.is_local_user);
  EXPECT_EQ(seen.client.rfind("grpc-c++/", 0), 0u) << seen.client;
}

TEST_F(Rpc, EmptyMessagesGoBothWays) {
  Serve([](const auto&, const std::string& id) -> base::Result<service::Reply> {
    EXPECT_EQ(id, "");
    return service::Reply(std::make_unique<v2beta1::Run>());
  });
  const Answer answer = Get("");
  EXPECT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_EQ(answer.bytes, "");
}

TEST_F(Rpc, AnErrorHasCodeMessageAndDetails) {
  Fail(base::NotFound("run 'größe' not found"));
  const Answer answer = Get("x");
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(answer.status.error_message(), "run 'größe' not found");
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(answer.status.error_details()));
  EXPECT_EQ(details.code(), 5);
  EXPECT_EQ(details.message(), "run 'größe' not found");
  google::rpc::Status inner;
  ASSERT_EQ(details.details_size(), 1);
  ASSERT_TRUE(details.details(0).UnpackTo(&inner));
  EXPECT_EQ(inner.code(), 5);
  EXPECT_EQ(inner.message(), "run 'größe' not found");
}

TEST_F(Rpc, EveryCodeArrives) {
  for (int code = 1; code <= 16; ++code) {
    Fail(base::Status(static_cast<Code>(code), "no"));
    EXPECT_EQ(Get("x").status.error_code(), static_cast<grpc::StatusCode>(code));
  }
}

// More than a client takes as trailers would lose the code as well.
TEST_F(Rpc, ALongMessageIsCutBetweenCharacters) {
  std::string text;
  while (text.size() < 100'000) text += "fünf Öfen\n";
  Fail(base::InvalidArgument(text));
  const grpc::Status status = Get("x").status;
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  const std::string& message = status.error_message();
  ASSERT_GT(message.size(), 1000u);
  EXPECT_TRUE(message.ends_with("…"));
  EXPECT_EQ(message.substr(0, message.size() - 3), text.substr(0, message.size() - 3));
  google::rpc::Status details;
  EXPECT_TRUE(details.ParseFromString(status.error_details()));  // proto3 text must be UTF-8
}

TEST_F(Rpc, AMessageThatIsNotUtf8IsMadeSo) {
  Fail(base::InvalidArgument("caf\xc3"));
  const grpc::Status status = Get("x").status;
  EXPECT_EQ(status.error_message(), "caf\xef\xbf\xbd");
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(status.error_details()));
  EXPECT_EQ(details.message(), "caf\xef\xbf\xbd");
}

TEST_F(Rpc, WhatIsNotInTheTableIsUnimplemented) {
  Serve([](const auto&, const std::string& id) -> base::Result<service::Reply> {
    return MakeRun(id);
  });
  Client client(server_->address());
  EXPECT_EQ(client.Call("/kubeflow.pipelines.backend.api.v2beta1.RunService/RetryRun", "")
                .status.error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(client.Call("/no.such/Service", "").status.error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(Rpc, BytesThatAreNoMessageCallNothing) {
  Serve([](const auto&, const auto&) -> base::Result<service::Reply> {
    ADD_FAILURE() << "called";
    return MakeRun("");
  });
  const grpc::Status status = Client(server_->address()).Call(kGetRun, "\xff\xff\xff").status;
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_EQ(status.error_message(),
            "the request's bytes are no kubeflow.pipelines.backend.api.v2beta1.GetRunRequest");
}

TEST_F(Rpc, AFunctionThatThrowsFailsItsCallOnly) {
  Serve([](const auto&, const std::string& id) -> base::Result<service::Reply> {
    if (id == "bad") throw std::runtime_error("secret");
    return MakeRun(id);
  });
  const grpc::Status status = Get("bad").status;
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_EQ(status.error_message().find("secret"), std::string::npos);
  EXPECT_TRUE(Get("good").status.ok());
}

TEST_F(Rpc, TooLargeARequestIsRefused) {
  ServerOptions options;
  options.max_request_bytes = 1000;
  Serve([](const auto&,
           const std::string& id) -> base::Result<service::Reply> { return MakeRun(id); },
        options);
  EXPECT_TRUE(Get(std::string(900, 'x')).status.ok());
  EXPECT_EQ(Get(std::string(1001, 'x')).status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

/// Lets calls in and holds them until opened.
class Gate {
 public:
  base::Result<service::Reply> Pass() {
    entered_.set_value();
    opened_.get_future().wait();
    return service::Reply(std::make_unique<v2beta1::Run>());
  }
  void AwaitEntry() { entered_.get_future().wait(); }
  void Open() { opened_.set_value(); }

 private:
  std::promise<void> entered_;
  std::promise<void> opened_;
};

TEST_F(Rpc, CallsBeyondTheLimitAreRefusedAtOnce) {
  Gate gate;
  ServerOptions options;
  options.max_calls = 1;
  Serve([&](const auto&, const auto&) { return gate.Pass(); }, options);
  Client client(server_->address());
  auto first = client.Start(kGetRun, Request("a"));
  gate.AwaitEntry();
  const grpc::Status second = client.Call(kGetRun, Request("b")).status;
  EXPECT_EQ(second.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(second.error_message(), "the server works on 1 calls already; try again");
  gate.Open();
  EXPECT_TRUE(first.get().status.ok());
}

TEST_F(Rpc, StopLetsARunningCallEnd) {
  Gate gate;
  Serve([&](const auto&, const auto&) { return gate.Pass(); });
  Client client(server_->address());
  auto answer = client.Start(kGetRun, Request("a"));
  gate.AwaitEntry();
  auto stopped = std::async(std::launch::async, [&] { server_->Stop(kPatience); });
  gate.Open();
  stopped.wait();
  EXPECT_TRUE(answer.get().status.ok());
}

TEST_F(Rpc, StopWithoutGraceCancelsWhatRuns) {
  Gate gate;
  Serve([&](const auto&, const auto&) { return gate.Pass(); });
  Client client(server_->address());
  auto answer = client.Start(kGetRun, Request("a"));
  gate.AwaitEntry();
  auto stopped =
      std::async(std::launch::async, [&] { server_->Stop(std::chrono::milliseconds(0)); });
  EXPECT_FALSE(answer.get().status.ok());
  gate.Open();  // the function itself is never cut short
  stopped.wait();
}

TEST_F(Rpc, WithoutThreadsACallIsUnavailable) {
  Serve([](const auto&, const auto&) -> base::Result<service::Reply> { return MakeRun(""); });
  pool_.Stop(async::Leftovers::kDrain);
  EXPECT_EQ(Get("a").status.error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(Rpc, ATakenAddressIsNamed) {
  Fail({});
  ServerOptions options;
  const std::string& address = server_->address();
  options.port = static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
  const auto second = Server::Start(options, {}, [](const auto&) {});
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().code(), Code::kUnavailable);
  EXPECT_EQ(second.status().message(),
            "cannot listen on " + address + " for gRPC: Address already in use");
}

TEST_F(Rpc, AMethodWithoutFunctionStartsNothing) {
  service::MethodTable table = Table(nullptr);
  table[0].call = nullptr;
  const auto started = Server::Start({}, table, [](const auto&) {});
  EXPECT_EQ(started.status().code(), Code::kInternal);
}

TEST_F(Rpc, HealthKnowsEveryService) {
  Fail({});
  Client client(server_->address());
  const std::string name = "kubeflow.pipelines.backend.api.v2beta1.RunService";
  const std::string serving = "\x08\x01";  // field 1, SERVING
  const std::string field_one = "\x0a";    // field 1, text
  EXPECT_EQ(client.Call("/grpc.health.v1.Health/Check", "").bytes, serving);
  EXPECT_EQ(
      client.Call("/grpc.health.v1.Health/Check", field_one + static_cast<char>(name.size()) + name)
          .bytes,
      serving);
  EXPECT_EQ(client.Call("/grpc.health.v1.Health/Check", field_one + "\x01x").status.error_code(),
            grpc::StatusCode::NOT_FOUND);
}

}  // namespace
}  // namespace caudal::rpc
