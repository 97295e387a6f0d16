#include "http/client.h"

#include <gtest/gtest.h>

#include "http/server.h"

namespace caudal::http {
namespace {

// Ends after as many pieces as it is told, or never.
class CountingStream : public BodyStream {
 public:
  explicit CountingStream(int pieces) : left_(pieces) {}
  void SetWaker(std::function<void()>) override {}
  State Next(std::string* chunk) override {
    if (left_ == 0) return State::kEnd;
    --left_;
    *chunk = "piece\n";
    return State::kData;
  }

 private:
  int left_;
};

Response Answer(const Request& request) {
  Response response;
  response.content_type = "text/plain";
  if (request.path == "/stream") response.stream = std::make_unique<CountingStream>(3);
  if (request.path == "/endless") response.stream = std::make_unique<CountingStream>(-1);
  if (request.path == "/missing") response.status = 404;
  response.body = request.path == "/missing"
                      ? "no such thing"
                      : request.method + " " + request.target + " " + request.body + " " +
                            std::string(request.Header("content-type"));
  return response;
}

class ClientTest : public ::testing::Test {
 protected:
  ClientTest()
      : server_(Server::Start({}, Answer).value()), client_("http://" + server_->address()) {}

  std::unique_ptr<Server> server_;
  Client client_;
};

TEST_F(ClientTest, SendsMethodTargetAndBody) {
  const auto get = client_.Send("GET", "/a?b=c");
  ASSERT_TRUE(get.ok()) << get.status().ToString();
  EXPECT_EQ(get->status, 200);
  EXPECT_EQ(get->body, "GET /a?b=c  application/json");

  const auto post = client_.Send("POST", "/p", "{}");
  ASSERT_TRUE(post.ok()) << post.status().ToString();
  EXPECT_EQ(post->body, "POST /p {} application/json");

  for (const std::string_view method : {"POST", "PATCH", "DELETE"}) {
    const auto empty = client_.Send(method, "/e");
    ASSERT_TRUE(empty.ok()) << empty.status().ToString();
    EXPECT_EQ(empty->body, std::string(method) + " /e  application/json");
  }
}

TEST_F(ClientTest, SendsLargeBodies) {
  const std::string body(3'000'000, 'x');
  const auto post = client_.Send("POST", "/p", body);
  ASSERT_TRUE(post.ok()) << post.status().ToString();
  EXPECT_EQ(post->body, "POST /p " + body + " application/json");
}

TEST_F(ClientTest, AnErrorStatusIsAnAnswer) {
  const auto missing = client_.Send("GET", "/missing");
  ASSERT_TRUE(missing.ok());
  EXPECT_EQ(missing->status, 404);
  EXPECT_EQ(missing->body, "no such thing");
}

TEST_F(ClientTest, StreamsUntilTheServerEnds) {
  std::string text;
  const base::Status status = client_.Stream("/stream", [&text](std::string_view data) {
    text += data;
    return true;
  });
  EXPECT_TRUE(status.ok()) << status.ToString();
  EXPECT_EQ(text, "piece\npiece\npiece\n");
}

TEST_F(ClientTest, StreamsUntilTheReaderHasEnough) {
  int calls = 0;
  const base::Status status =
      client_.Stream("/endless", [&calls](std::string_view) { return ++calls < 3; });
  EXPECT_TRUE(status.ok()) << status.ToString();
  EXPECT_EQ(calls, 3);
}

TEST_F(ClientTest, AStreamThatIsRefusedIsAnError) {
  const base::Status status = client_.Stream("/missing", [](std::string_view) { return true; });
  EXPECT_EQ(status.code(), base::Code::kNotFound);
  EXPECT_NE(status.message().find("no such thing"), std::string::npos) << status.message();
}

TEST_F(ClientTest, NobodyListeningIsUnavailable) {
  server_->Stop();
  const auto answer = client_.Send("GET", "/");
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.status().code(), base::Code::kUnavailable);
  EXPECT_NE(answer.status().message().find(server_->address()), std::string::npos);
}

}  // namespace
}  // namespace caudal::http
