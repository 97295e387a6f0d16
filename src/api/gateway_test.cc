#include "api/gateway.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <condition_variable>
#include <fstream>
#include <thread>

#include "api/testing/fake_backend.h"
#include "base/file.h"
#include "http/client.h"

namespace caudal::api {
namespace {

http::Request Get(const std::string& path, const std::string& query = "") {
  http::Request request;
  request.method = "GET";
  request.path = path;
  request.query = query;
  request.target = query.empty() ? path : path + "?" + query;
  request.headers = {{"host", "localhost"}};
  return request;
}

http::Request UploadOf(const std::string& file_name, const std::string& content) {
  http::Request request = Get("/apis/v2beta1/pipelines/upload");
  request.method = "POST";
  request.headers.emplace_back("content-type", "multipart/form-data; boundary=XX");
  request.body = "--XX\r\nContent-Disposition: form-data; name=\"uploadfile\"; filename=\"" +
                 file_name + "\"\r\n\r\n" + content + "\r\n--XX--\r\n";
  return request;
}

std::unique_ptr<Gateway> MakeGateway(testing::FakeBackend* fake) {
  auto gateway = Gateway::Make(fake->Make());
  EXPECT_TRUE(gateway.ok()) << gateway.status().ToString();
  return std::move(gateway).value();
}

TEST(Gateway, ServesEveryMethodOfTheProtos) {
  testing::FakeBackend fake;
  EXPECT_GE(fake.Make().methods.size(), 20u);
  MakeGateway(&fake);
}

TEST(Gateway, PassesTheUserAgentAsClient) {
  testing::FakeBackend fake;
  const auto gateway = MakeGateway(&fake);
  http::Request request = Get("/apis/v2beta1/runs/x");
  request.headers.emplace_back("user-agent", "kfp/2");
  gateway->Handle(request);
  EXPECT_EQ(fake.last_client, "kfp/2");
}

// Else the details, which are a message inside a message, could not be read back.
TEST(Gateway, AMessageThatIsNotUtf8KeepsItsDetails) {
  testing::FakeBackend fake;
  fake.failure_ending = ": caf\xc3";
  const auto gateway = MakeGateway(&fake);
  const http::Response response = gateway->Handle(Get("/apis/v2beta1/runs/fail-5"));
  EXPECT_EQ(response.status, 404);
  const size_t details = response.body.find("details");
  ASSERT_NE(details, std::string::npos);
  EXPECT_NE(response.body.find("was not found: caf\xef\xbf\xbd", details), std::string::npos)
      << response.body;
}

TEST(Gateway, RefusesTheSameRouteTwice) {
  testing::FakeBackend fake;
  Backend backend = fake.Make();
  backend.methods.push_back(backend.methods.front());
  const auto gateway = Gateway::Make(std::move(backend));
  ASSERT_FALSE(gateway.ok());
  EXPECT_EQ(gateway.status().code(), base::Code::kInternal);
  EXPECT_NE(gateway.status().message().find("served already"), std::string::npos);
}

TEST(Gateway, RefusesAMethodWithoutHandlerOrRule) {
  testing::FakeBackend fake;
  Backend no_handler = fake.Make();
  no_handler.methods.front().call = nullptr;
  EXPECT_FALSE(Gateway::Make(std::move(no_handler)).ok());
  Backend no_descriptor = fake.Make();
  no_descriptor.methods.front().descriptor = nullptr;
  EXPECT_FALSE(Gateway::Make(std::move(no_descriptor)).ok());
  EXPECT_FALSE(Gateway::Make(Backend()).ok());
}

TEST(Gateway, ServesTheHostsItIsTold) {
  testing::FakeBackend fake;
  Backend backend = fake.Make();
  backend.allowed_hosts = {"Caudal.example:8888", "::1"};
  const auto gateway = std::move(Gateway::Make(std::move(backend))).value();
  const auto status = [&gateway](const std::string& host) {
    http::Request request = Get("/apis/v2beta1/healthz");
    request.headers = {{"host", host}};
    return gateway->Handle(request).status;
  };
  EXPECT_EQ(status("caudal.example"), 200);
  EXPECT_EQ(status("CAUDAL.example.:80"), 200);
  EXPECT_EQ(status("[::1]:8888"), 200);
  EXPECT_EQ(status("localhost"), 403);
}

// What is in it, and whether it is too large, is the service's to say.
TEST(Upload, HandsOnWhateverTheFileIs) {
  testing::FakeBackend fake;
  const auto gateway = MakeGateway(&fake);
  EXPECT_EQ(gateway->Handle(UploadOf("p.yaml", std::string((32 << 20) + 1, 'x'))).status, 200);
  EXPECT_EQ(gateway->Handle(UploadOf("p.tar.gz", "\x1f\x8b\x08")).status, 200);
}

// A gateway behind a real server, and a log that grows.
class FollowTest : public ::testing::Test {
 protected:
  FollowTest() {
    char folder[] = "/tmp/caudal_log_XXXXXX";
    folder_ = mkdtemp(folder);
    fake_.live_log = {folder_ + "/live.log", [this] {
                        std::lock_guard lock(mutex_);
                        return is_complete_;
                      }};
    gateway_ = MakeGateway(&fake_);
    server_ = std::move(http::Server::Start({}, [this](const http::Request& request) {
                return gateway_->Handle(request);
              })).value();
  }

  ~FollowTest() override {
    server_->Stop();
    if (reader_.joinable()) reader_.join();
    EXPECT_TRUE(base::RemoveTree(folder_).ok());
  }

  void Append(const std::string& text) {
    std::ofstream(fake_.live_log.path, std::ios::app) << text;
  }

  void Complete() {
    std::lock_guard lock(mutex_);
    is_complete_ = true;
  }

  void StartReading(const std::string& query) {
    reader_ = std::thread([this, query] {
      http::Client client("http://" + server_->address());
      const base::Status status = client.Stream("/apis/v1alpha1/runs/r/nodes/live/log?" + query,
                                                [this](std::string_view t) {
                                                  std::lock_guard lock(mutex_);
                                                  text_ += t;
                                                  changed_.notify_all();
                                                  return true;
                                                });
      std::lock_guard lock(mutex_);
      EXPECT_TRUE(status.ok()) << status.ToString();
      is_ended_ = true;
      changed_.notify_all();
    });
  }

  // False when nothing of the kind has come for half a minute.
  bool AwaitText(const std::string& text) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(30), [&] { return text_ == text; });
  }
  bool AwaitEnd() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(30), [this] { return is_ended_; });
  }

  bool HasEnded() {
    std::lock_guard lock(mutex_);
    return is_ended_;
  }

  std::string folder_;
  testing::FakeBackend fake_;
  std::unique_ptr<Gateway> gateway_;
  std::unique_ptr<http::Server> server_;
  std::thread reader_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string text_;
  bool is_complete_ = false;
  bool is_ended_ = false;
};

TEST_F(FollowTest, SendsWhatIsWrittenUntilTheLogIsComplete) {
  StartReading("follow=true");  // the file does not exist yet
  Append("one\n");
  ASSERT_TRUE(AwaitText("one\n"));
  Append("two\n");
  ASSERT_TRUE(AwaitText("one\ntwo\n"));
  EXPECT_FALSE(HasEnded());
  Append("last");
  Complete();
  ASSERT_TRUE(AwaitEnd());
  EXPECT_EQ(text_, "one\ntwo\nlast");
}

TEST_F(FollowTest, EndsWhenTheLogIsCompleteWithoutAFile) {
  StartReading("follow=1");
  Complete();
  ASSERT_TRUE(AwaitEnd());
  EXPECT_EQ(text_, "");
}

TEST_F(FollowTest, StartsAtTheOffset) {
  Append("0123456789");
  StartReading("follow=true&offset=7");
  ASSERT_TRUE(AwaitText("789"));
  Append("ab");
  ASSERT_TRUE(AwaitText("789ab"));
  Complete();
  ASSERT_TRUE(AwaitEnd());
}

TEST_F(FollowTest, StartsBeforeTheEnd) {
  Append("0123456789");
  StartReading("tail_bytes=2");
  ASSERT_TRUE(AwaitEnd());
  EXPECT_EQ(text_, "89");
}

TEST_F(FollowTest, WithoutFollowEndsWithTheFile) {
  Append("so far");
  StartReading("offset=3");
  ASSERT_TRUE(AwaitEnd());
  EXPECT_EQ(text_, "far");
}

}  // namespace
}  // namespace caudal::api
