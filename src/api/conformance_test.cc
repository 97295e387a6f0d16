// Runs tests/conformance/api/*.txt: requests and the answers wanted; README.md there has the
// format.

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <optional>
#include <sstream>

#include "api/gateway.h"
#include "api/testing/fake_backend.h"
#include "base/file.h"

namespace caudal::api {
namespace {

constexpr char kFolder[] = "tests/conformance/api";
constexpr std::string_view kLogContent = "first line\nsecond line\n";

struct Case {
  std::string file;
  int line = 0;
  std::string name;
  std::string request;
  std::string want;
};

// Cuts off the next line.
std::string TakeLine(std::string* text) {
  const size_t end = text->find('\n');
  const std::string line = text->substr(0, end);
  text->erase(0, end == std::string::npos ? end : end + 1);
  return line;
}

std::string WithCrlf(const std::string& text) {
  std::string converted;
  for (const char c : text) converted += c == '\n' ? "\r\n" : std::string(1, c);
  return converted;
}

http::Request ParseRequest(std::string text) {
  http::Request request;
  std::istringstream first(TakeLine(&text));
  first >> request.method >> request.target;
  const size_t question = request.target.find('?');
  request.path = request.target.substr(0, question);
  if (question != std::string::npos) request.query = request.target.substr(question + 1);
  for (std::string line = TakeLine(&text); !line.empty(); line = TakeLine(&text)) {
    const size_t colon = line.find(": ");
    request.headers.emplace_back(line.substr(0, colon), line.substr(colon + 2));
  }
  if (request.Header("host").empty()) request.headers.emplace_back("host", "localhost:8888");
  const bool is_form = request.Header("content-type").starts_with("multipart/");
  request.body = is_form ? WithCrlf(text) : text;
  return request;
}

std::string HeaderOf(const http::Response& response, const std::string& name) {
  if (name == "Content-Type") return response.content_type;
  for (const auto& [key, value] : response.headers) {
    if (key == name) return value;
  }
  return "(none)";
}

std::string BodyOf(http::Response* response) {
  if (response->stream == nullptr) return response->body;
  response->stream->SetWaker([] {});
  std::string body;
  std::string chunk;
  while (response->stream->Next(&chunk) == http::BodyStream::State::kData) {
    body += chunk;
    chunk.clear();
  }
  return body;
}

void Check(std::string want, http::Response response, const testing::FakeBackend& backend) {
  EXPECT_EQ(std::to_string(response.status), TakeLine(&want));
  EXPECT_EQ(HeaderOf(response, "X-Content-Type-Options"), "nosniff");
  const std::string body = BodyOf(&response);
  bool wants_whole_body = true;
  std::string want_call = "-";
  for (std::string line = TakeLine(&want); !line.empty(); line = TakeLine(&want)) {
    const size_t colon = line.find(": ");
    const std::string name = line.substr(0, colon);
    const std::string value = line.substr(colon + 2);
    if (name == "call") {
      want_call = value;
    } else if (name == "contains") {
      wants_whole_body = false;
      EXPECT_NE(body.find(value), std::string::npos) << "'" << value << "' is not in:\n" << body;
    } else {
      EXPECT_EQ(HeaderOf(response, name), value) << name;
    }
  }
  EXPECT_EQ(backend.last_call.empty() ? "-" : backend.last_call, want_call);
  if (wants_whole_body) {
    EXPECT_EQ(body, want);
  }
}

class ConformanceTest : public ::testing::Test {
 public:
  explicit ConformanceTest(Case test) : test_(std::move(test)) {}

  void TestBody() override {
    SCOPED_TRACE(test_.file + ":" + std::to_string(test_.line) + ": " + test_.name);
    char folder[] = "/tmp/caudal_api_XXXXXX";
    ASSERT_NE(mkdtemp(folder), nullptr);
    testing::FakeBackend backend;
    backend.done_log = {std::string(folder) + "/done.log", [] { return true; }};
    backend.live_log = {std::string(folder) + "/none.log", [] { return false; }};
    ASSERT_TRUE(base::WriteFileAtomic(backend.done_log.path, kLogContent).ok());
    auto gateway = Gateway::Make(backend.Make());
    ASSERT_TRUE(gateway.ok()) << gateway.status().ToString();

    Check(test_.want, (*gateway)->Handle(ParseRequest(test_.request)), backend);

    EXPECT_TRUE(base::RemoveTree(folder).ok());
  }

 private:
  const Case test_;
};

std::string TestName(const std::string& text) {
  std::string name;
  for (const char c : text) name += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
}

// Trailing blank lines only separate cases.
void Trim(std::string* text) {
  while (text->ends_with('\n')) text->pop_back();
}

std::vector<Case> ReadCases(const std::string& file) {
  std::vector<Case> cases;
  std::ifstream stream(std::string(kFolder) + "/" + file);
  bool is_want = false;
  int number = 0;
  for (std::string line; std::getline(stream, line);) {
    ++number;
    if (line.starts_with("=== ")) {
      cases.push_back({file, number, line.substr(4), "", ""});
      is_want = false;
    } else if (line == "---") {
      is_want = true;
    } else if (!cases.empty()) {
      (is_want ? cases.back().want : cases.back().request) += line + "\n";
    }
  }
  for (Case& test : cases) {
    Trim(&test.request);
    Trim(&test.want);
    test.request += '\n';
    test.want += '\n';
    // One line break belongs to the format, not to the body.
    if (test.want.find("\n\n") != std::string::npos) test.want.pop_back();
    if (test.request.find("\n\n") != std::string::npos) test.request.pop_back();
  }
  return cases;
}

int RegisterAll() {
  int count = 0;
  const auto files = base::ListDir(kFolder);
  for (const std::string& file : files.ok() ? *files : std::vector<std::string>()) {
    if (!file.ends_with(".txt")) continue;
    for (const Case& test : ReadCases(file)) {
      const std::string suite = "Api_" + TestName(file.substr(0, file.size() - 4));
      ::testing::RegisterTest(suite.c_str(), TestName(test.name).c_str(), nullptr, nullptr, kFolder,
                              test.line,
                              [test]() -> ConformanceTest* { return new ConformanceTest(test); });
      ++count;
    }
  }
  return count;
}

const int kRegistered = RegisterAll();

TEST(ApiConformance, HasCases) {
  EXPECT_GT(kRegistered, 50) << "run from the project's root; cases are in " << kFolder;
}

}  // namespace
}  // namespace caudal::api
