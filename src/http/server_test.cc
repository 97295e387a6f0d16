#include "http/server.h"

#include <gtest/gtest.h>

#include <future>
#include <latch>
#include <thread>

#include "http/testing/raw_client.h"

namespace caudal::http {
namespace {

using testing::BodyOf;
using testing::RawClient;
using testing::StatusOf;

// Says back what it was asked.
Response Echo(const Request& request) {
  Response response;
  response.content_type = "text/plain";
  response.body =
      request.method + " " + request.path + " ? " + request.query + " # " + request.body;
  return response;
}

std::unique_ptr<Server> StartServer(Handler handler = Echo, ServerOptions options = {}) {
  auto server = Server::Start(options, std::move(handler));
  EXPECT_TRUE(server.ok()) << server.status().ToString();
  return std::move(server).value();
}

TEST(Server, AnswersWithLengthAndKeepsTheConnection) {
  const auto server = StartServer();
  RawClient client(server->address());

  client.Send("GET /a/b?c=d HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string first = client.ReadResponse();
  client.Send("POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
  const std::string second = client.ReadResponse();

  EXPECT_TRUE(first.starts_with("HTTP/1.1 200 OK\r\n")) << first;
  EXPECT_NE(first.find("\r\nContent-Type: text/plain\r\n"), std::string::npos);
  EXPECT_NE(first.find("\r\nContent-Length: 17\r\n"), std::string::npos) << first;
  EXPECT_EQ(BodyOf(first), "GET /a/b ? c=d # ");
  EXPECT_EQ(BodyOf(second), "POST /p ?  # hello");
}

TEST(Server, GivesTheHandlerHeadersAndPeer) {
  Request seen;
  const auto server = StartServer([&seen](const Request& request) {
    seen = request;
    return Response();
  });
  RawClient client(server->address());

  client.Send("GET /a%20b?x=%31 HTTP/1.1\r\nHost: h\r\nUser-AGENT: Test 1\r\n\r\n");
  client.ReadResponse();

  EXPECT_EQ(seen.target, "/a%20b?x=%31");
  EXPECT_EQ(seen.path, "/a%20b");
  EXPECT_EQ(seen.query, "x=%31");
  EXPECT_EQ(seen.Header("user-agent"), "Test 1");
  EXPECT_TRUE(seen.peer.starts_with("127.0.0.1:")) << seen.peer;
}

TEST(Server, AnswersPipelinedRequestsInOrder) {
  const auto server = StartServer();
  RawClient client(server->address());

  client.Send(
      "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n"
      "POST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab"
      "GET /3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");

  EXPECT_EQ(BodyOf(client.ReadResponse()), "GET /1 ?  # ");
  EXPECT_EQ(BodyOf(client.ReadResponse()), "POST /2 ?  # ab");
  EXPECT_EQ(BodyOf(client.ReadAll()), "GET /3 ?  # ");
}

TEST(Server, ReadsARequestThatArrivesByteByByte) {
  const auto server = StartServer();
  RawClient client(server->address());

  for (const char c :
       std::string_view("POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")) {
    client.Send({&c, 1});
  }

  EXPECT_EQ(BodyOf(client.ReadResponse()), "POST /p ?  # abc");
}

TEST(Server, ReadsChunkedBodies) {
  const auto server = StartServer();
  RawClient client(server->address());

  client.Send("POST /p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab");
  client.Send("c\r\n5;note=1\r\ndefgh\r\n0\r\nTrailer: t\r\n\r\n");

  EXPECT_EQ(BodyOf(client.ReadResponse()), "POST /p ?  # abcdefgh");
}

TEST(Server, InvitesABodyThatWaitsForIt) {
  const auto server = StartServer();
  RawClient client(server->address());

  client.Send("POST /p HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(client.ReadUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.Send("hi");

  EXPECT_EQ(BodyOf(client.ReadResponse()), "POST /p ?  # hi");
}

TEST(Server, AnswersHeadWithTheLengthButNoBody) {
  const auto server = StartServer();
  RawClient client(server->address());

  client.Send("HEAD /h HTTP/1.1\r\nHost: x\r\n\r\nGET /g HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string head = client.ReadUntil("\r\n\r\n");

  EXPECT_NE(head.find("Content-Length: 13"), std::string::npos) << head;
  EXPECT_EQ(BodyOf(client.ReadResponse()), "GET /g ?  # ");
}

TEST(Server, ClosesAfterHttp10UnlessAskedNotTo) {
  const auto server = StartServer();
  RawClient plain(server->address());
  plain.Send("GET /1 HTTP/1.0\r\n\r\n");
  const std::string closed = plain.ReadAll();
  EXPECT_NE(closed.find("Connection: close"), std::string::npos);
  EXPECT_EQ(BodyOf(closed), "GET /1 ?  # ");

  RawClient kept(server->address());
  kept.Send("GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_NE(kept.ReadResponse().find("Connection: keep-alive"), std::string::npos);
  kept.Send("GET /2 HTTP/1.0\r\n\r\n");
  EXPECT_EQ(BodyOf(kept.ReadAll()), "GET /2 ?  # ");
}

TEST(Server, HeaderValuesCannotEndTheirLine) {
  const auto server = StartServer([](const Request&) {
    Response response;
    response.headers.emplace_back("X-Note", "a\r\nX-Evil: 1");
    return response;
  });
  RawClient client(server->address());

  client.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");

  EXPECT_NE(client.ReadResponse().find("X-Note: a  X-Evil: 1\r\n"), std::string::npos);
}

TEST(Server, AHandlerThatThrowsFailsItsRequestOnly) {
  const auto server = StartServer([](const Request& request) -> Response {
    if (request.path == "/bad") throw std::runtime_error("no");
    return Echo(request);
  });
  RawClient client(server->address());

  client.Send("GET /bad HTTP/1.1\r\nHost: x\r\n\r\nGET /good HTTP/1.1\r\nHost: x\r\n\r\n");

  EXPECT_EQ(StatusOf(client.ReadResponse()), 500);
  EXPECT_EQ(StatusOf(client.ReadResponse()), 200);
}

struct BadRequest {
  std::string_view name;
  std::string text;
  int status;
};

class ServerRefusal : public ::testing::TestWithParam<BadRequest> {};

TEST_P(ServerRefusal, AnswersAndCloses) {
  ServerOptions options;
  options.max_body_bytes = 10;
  options.max_header_bytes = 1024;
  const auto server = StartServer(Echo, options);
  RawClient client(server->address());

  client.Send(GetParam().text);
  const std::string response = client.ReadAll();

  EXPECT_EQ(StatusOf(response), GetParam().status) << response;
  EXPECT_NE(response.find("Connection: close"), std::string::npos);
  EXPECT_TRUE(BodyOf(response).starts_with("{\"code\":")) << response;
}

std::string ManyFields(int count) {
  std::string fields;
  for (int i = 0; i < count; ++i) fields += "X-Field: 0123456789\r\n";
  return fields;
}

const BadRequest kBad[] = {
    {"NotHttp", "hello there\r\n\r\n", 400},
    {"TlsHello", std::string("\x16\x03\x01\x02\x00\x01", 6), 400},
    {"BadVersion", "GET / HTTP/3.0\r\nHost: x\r\n\r\n", 400},
    {"BadField", "GET / HTTP/1.1\r\nHost x\r\n\r\n", 400},
    {"BadLength", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400},
    {"TwoLengths", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
     400},
    {"LengthAndChunks",
     "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: "
     "chunked\r\n\r\n0\r\n\r\n",
     400},
    {"BadChunk", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
    {"NoHost", "GET / HTTP/1.1\r\n\r\n", 400},
    {"TwoHosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
    {"BodyTooLong", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n01234567890", 413},
    {"BodyTooLongUnsent",
     "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 99999999999\r\n\r\n",
     413},
    {"ChunksTooLong",
     "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
     "chunked\r\n\r\n6\r\n012345\r\n6\r\n012345\r\n0\r\n\r\n",
     413},
    {"LongTarget", "GET /" + std::string(2000, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n", 431},
    {"LongField", "GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(2000, 'a') + "\r\n\r\n", 431},
    {"ManyFields", "GET / HTTP/1.1\r\nHost: x\r\n" + ManyFields(100) + "\r\n", 431},
};

INSTANTIATE_TEST_SUITE_P(All, ServerRefusal, ::testing::ValuesIn(kBad),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(Server, RefusesABodyLargerThanTheLimitWhileItIsStillSent) {
  ServerOptions options;
  options.max_body_bytes = 1000;
  const auto server = StartServer(Echo, options);
  RawClient client(server->address());

  client.Send("POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n");
  client.Send(std::string(3'000'000, 'x'));

  EXPECT_EQ(StatusOf(client.ReadResponse()), 413);
}

TEST(Server, TurnsAwayConnectionsBeyondTheLimit) {
  ServerOptions options;
  options.max_connections = 1;
  const auto server = StartServer(Echo, options);
  RawClient first(server->address());
  first.Send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
  first.ReadResponse();

  RawClient second(server->address());
  EXPECT_EQ(StatusOf(second.ReadResponse()), 503);

  first.Send("GET /2 HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(StatusOf(first.ReadResponse()), 200);
}

TEST(Server, ClosesSlowAndIdleConnections) {
  ServerOptions options;
  options.header_seconds = 1;
  options.idle_seconds = 1;
  const auto server = StartServer(Echo, options);
  RawClient slow_header(server->address());
  RawClient slow_body(server->address());
  RawClient idle(server->address());

  slow_header.Send("GET / HT");
  slow_body.Send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc");

  EXPECT_EQ(slow_header.ReadAll(), "");
  EXPECT_EQ(slow_body.ReadAll(), "");
  EXPECT_EQ(idle.ReadAll(), "");
}

TEST(Server, RunsAsManyHandlersAtOnceAsItHasThreads) {
  ServerOptions options;
  options.threads = 3;
  std::latch all_inside(3);
  const auto server = StartServer(
      [&all_inside](const Request& request) {
        all_inside.arrive_and_wait();
        return Echo(request);
      },
      options);

  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<RawClient>(server->address()));
    clients.back()->Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  }

  for (const auto& client : clients) EXPECT_EQ(StatusOf(client->ReadResponse()), 200);
}

TEST(Server, StopLetsARunningHandlerAnswerAndRefusesTheQueue) {
  ServerOptions options;
  options.threads = 1;
  std::latch entered(1);
  std::latch may_finish(1);
  const auto server = StartServer(
      [&](const Request& request) {
        entered.count_down();
        may_finish.wait();
        return Echo(request);
      },
      options);
  RawClient running(server->address());
  running.Send("GET /running HTTP/1.1\r\nHost: x\r\n\r\n");
  entered.wait();
  RawClient idle(server->address());

  std::thread stopper([&server] { server->Stop(); });
  EXPECT_EQ(idle.ReadAll(), "");  // closed, so the stop has begun
  may_finish.count_down();

  EXPECT_EQ(BodyOf(running.ReadAll()), "GET /running ?  # ");
  stopper.join();
  EXPECT_FALSE(RawClient(server->address()).is_connected());
}

TEST(Server, LendsItsThreadsUntilItStops) {
  const auto server = StartServer();
  std::promise<std::thread::id> ran;
  server->Post([&ran](bool runs) {
    EXPECT_TRUE(runs);
    ran.set_value(std::this_thread::get_id());
  });
  EXPECT_NE(ran.get_future().get(), std::this_thread::get_id());
  server->Stop();
  bool told = false;
  server->Post([&told](bool runs) { told = !runs; });
  EXPECT_TRUE(told);
}

TEST(Server, NamesTheAddressItCannotHave) {
  const auto server = StartServer();
  ServerOptions options;
  const std::string address = server->address();
  options.port = static_cast<uint16_t>(std::atoi(address.c_str() + address.rfind(':') + 1));

  const auto second = Server::Start(options, Echo);

  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().code(), base::Code::kUnavailable);
  EXPECT_NE(second.status().message().find(address), std::string::npos)
      << second.status().message();
}

}  // namespace
}  // namespace caudal::http
