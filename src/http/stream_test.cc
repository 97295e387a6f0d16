#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "http/server.h"
#include "http/testing/raw_client.h"

namespace caudal::http {
namespace {

using testing::BodyOf;
using testing::RawClient;

// What a test and the stream it feeds share.
struct Feed {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::string> chunks;
  bool is_ended = false;
  bool is_opened = false;
  bool is_destroyed = false;
  std::function<void()> wake;

  void Push(std::string chunk) {
    std::lock_guard lock(mutex);
    chunks.push_back(std::move(chunk));
    if (wake) wake();
  }
  void End() {
    std::lock_guard lock(mutex);
    is_ended = true;
    if (wake) wake();
  }
  void AwaitOpened() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [this] { return is_opened; });
  }
  void AwaitDestroyed() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [this] { return is_destroyed; });
  }
};

class FeedStream : public BodyStream {
 public:
  explicit FeedStream(Feed* feed) : feed_(feed) {}
  ~FeedStream() override {
    std::lock_guard lock(feed_->mutex);
    feed_->is_destroyed = true;
    feed_->changed.notify_all();
  }
  void SetWaker(std::function<void()> wake) override {
    std::lock_guard lock(feed_->mutex);
    feed_->wake = std::move(wake);
    feed_->is_opened = true;
    feed_->changed.notify_all();
  }
  State Next(std::string* chunk) override {
    std::lock_guard lock(feed_->mutex);
    if (feed_->chunks.empty()) return feed_->is_ended ? State::kEnd : State::kWait;
    *chunk = std::move(feed_->chunks.front());
    feed_->chunks.pop_front();
    return State::kData;
  }

 private:
  Feed* feed_;
};

class StreamTest : public ::testing::Test {
 protected:
  StreamTest() {
    auto server = Server::Start({}, [this](const Request& request) {
      Response response;
      response.content_type = "text/plain";
      if (request.path == "/stream") response.stream = std::make_unique<FeedStream>(&feed_);
      return response;
    });
    server_ = std::move(server).value();
  }

  Feed feed_;
  std::unique_ptr<Server> server_;
};

TEST_F(StreamTest, SendsChunksAsTheyComeAndKeepsTheConnection) {
  RawClient client(server_->address());
  client.Send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string head = client.ReadUntil("\r\n\r\n");
  EXPECT_NE(head.find("Transfer-Encoding: chunked"), std::string::npos) << head;

  feed_.Push("hello");
  EXPECT_EQ(client.ReadUntil("hello\r\n"), "5\r\nhello\r\n");
  feed_.Push("");  // must not end the body
  feed_.Push(std::string(20, 'x'));
  EXPECT_EQ(client.ReadUntil("x\r\n"), "14\r\nxxxxxxxxxxxxxxxxxxxx\r\n");
  feed_.End();
  EXPECT_EQ(client.ReadUntil("0\r\n\r\n"), "0\r\n\r\n");

  client.Send("GET /plain HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(client.ReadResponse().starts_with("HTTP/1.1 200 OK"));
}

TEST_F(StreamTest, AnswersARequestSentDuringTheStreamAfterIt) {
  RawClient client(server_->address());
  client.Send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  feed_.AwaitOpened();
  client.Send("GET /plain HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  feed_.Push("a");
  feed_.End();

  EXPECT_EQ(BodyOf(client.ReadUntil("0\r\n\r\n")), "1\r\na\r\n0\r\n\r\n");
  EXPECT_NE(client.ReadAll().find("Content-Length: 0"), std::string::npos);
}

TEST_F(StreamTest, ForHttp10EndsByClosing) {
  feed_.Push("abc");
  feed_.End();
  RawClient client(server_->address());
  client.Send("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");

  EXPECT_EQ(BodyOf(client.ReadAll()), "abc");
}

TEST_F(StreamTest, SendsNoBodyForHead) {
  RawClient client(server_->address());
  client.Send("HEAD /stream HTTP/1.1\r\nHost: x\r\n\r\nGET /plain HTTP/1.1\r\nHost: x\r\n\r\n");

  EXPECT_NE(client.ReadUntil("\r\n\r\n").find("chunked"), std::string::npos);
  EXPECT_TRUE(client.ReadResponse().starts_with("HTTP/1.1 200 OK"));
}

TEST_F(StreamTest, AClientThatHangsUpEndsTheStream) {
  RawClient client(server_->address());
  client.Send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  client.ReadUntil("\r\n\r\n");
  client.Close();

  feed_.AwaitDestroyed();
  feed_.Push("late");  // the waker outlives its stream
}

TEST_F(StreamTest, StopCutsStreamsShortSoThatTheClientCanTell) {
  RawClient client(server_->address());
  client.Send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  client.ReadUntil("\r\n\r\n");
  feed_.Push("abc");
  client.ReadUntil("abc\r\n");

  server_->Stop();

  EXPECT_TRUE(feed_.is_destroyed);
  EXPECT_EQ(client.ReadAll(), "");
  server_.reset();
  feed_.Push("late");  // and even its server
}

TEST_F(StreamTest, StopDoesNotWaitForAClientThatDoesNotRead) {
  RawClient client(server_->address());
  client.Send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  feed_.AwaitOpened();
  for (int i = 0; i < 30; ++i) feed_.Push(std::string(1 << 20, 'x'));

  server_->Stop();

  EXPECT_TRUE(feed_.is_destroyed);
}

TEST_F(StreamTest, ManyWakesFromManyThreadsLoseNothing) {
  RawClient client(server_->address());
  client.Send("GET /stream HTTP/1.0\r\n\r\n");
  feed_.AwaitOpened();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([this] {
      for (int n = 0; n < 500; ++n) feed_.Push("0123456789");
    });
  }
  for (std::thread& thread : threads) thread.join();
  feed_.End();

  EXPECT_EQ(BodyOf(client.ReadAll()).size(), 4u * 500 * 10);
}

}  // namespace
}  // namespace caudal::http
