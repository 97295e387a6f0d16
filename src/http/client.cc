#include "http/client.h"

#include <curl/curl.h>

#include <memory>
#include <mutex>

#include "base/version.h"

namespace caudal::http {
namespace {

constexpr long kConnectSeconds = 10;
constexpr size_t kMaxErrorBody = 64 << 10;
const std::string kUserAgent = std::string("caudal/") + base::kVersion;

struct ListDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

void InitOnce() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

bool IsLoopback(std::string_view base_url) {
  for (const std::string_view host : {"localhost", "127.0.0.1", "[::1]"}) {
    for (const std::string_view scheme : {"http://", "https://"}) {
      const std::string prefix = std::string(scheme) + std::string(host);
      if (base_url == prefix || base_url.starts_with(prefix + ":")) return true;
    }
  }
  return false;
}

size_t AppendBody(char* data, size_t, size_t size, void* body) {
  static_cast<std::string*>(body)->append(data, size);
  return size;
}

// State of one Stream call; an answer other than 200 is an error, its body the message.
struct Sink {
  CURL* curl;
  const std::function<bool(std::string_view)>& on_data;
  bool is_stopped = false;
  std::string error_body;
};

size_t FeedSink(char* data, size_t, size_t size, void* opaque) {
  Sink* sink = static_cast<Sink*>(opaque);
  long status = 0;
  curl_easy_getinfo(sink->curl, CURLINFO_RESPONSE_CODE, &status);
  if (status != 200) {
    if (sink->error_body.size() + size <= kMaxErrorBody) sink->error_body.append(data, size);
    return size;
  }
  sink->is_stopped = !sink->on_data({data, size});
  return sink->is_stopped ? 0 : size;
}

base::Code CodeOfStatus(long status) {
  switch (status) {
    case 400:
      return base::Code::kInvalidArgument;
    case 401:
      return base::Code::kUnauthenticated;
    case 403:
      return base::Code::kPermissionDenied;
    case 404:
      return base::Code::kNotFound;
    case 409:
      return base::Code::kAborted;
    case 429:
      return base::Code::kResourceExhausted;
    case 501:
      return base::Code::kUnimplemented;
    case 503:
      return base::Code::kUnavailable;
    default:
      return base::Code::kUnknown;
  }
}

}  // namespace

Client::Client(std::string base_url) : base_url_(std::move(base_url)) {
  InitOnce();
  curl_ = curl_easy_init();
}

Client::~Client() { curl_easy_cleanup(curl_); }

namespace {

// Options common to all calls; reset keeps the live connection.
void Prepare(CURL* curl, const std::string& base_url, const std::string& url, curl_slist* headers) {
  curl_easy_reset(curl);
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, kUserAgent.c_str());
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  // A proxy cannot reach this machine's loopback.
  if (IsLoopback(base_url)) curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
}

base::Status FromCurl(CURLcode code, const std::string& base_url) {
  return base::Unavailable("no answer from " + base_url + ": " + curl_easy_strerror(code));
}

}  // namespace

base::Result<ClientResponse> Client::Send(std::string_view method, std::string_view target,
                                          std::string_view body, int timeout_seconds,
                                          std::string_view content_type) {
  if (curl_ == nullptr) return base::Internal("libcurl could not be initialised");
  CURL* curl = curl_;
  const std::string url = base_url_ + std::string(target);
  const std::string verb(method);
  // Without the second header, libcurl waits for "100 Continue" before each larger body.
  const std::string type_header = "Content-Type: " + std::string(content_type);
  std::unique_ptr<curl_slist, ListDeleter> headers(curl_slist_append(nullptr, type_header.c_str()));
  curl_slist_append(headers.get(), "Expect:");
  Prepare(curl, base_url_, url, headers.get());

  if (method == "HEAD") {
    curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
  } else if (!body.empty() || (method != "GET" && method != "DELETE")) {
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.empty() ? "" : body.data());
  }
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, verb.c_str());
  curl_easy_setopt(curl, CURLOPT_TIMEOUT, static_cast<long>(timeout_seconds));
  ClientResponse response;
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, AppendBody);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &response.body);

  const CURLcode code = curl_easy_perform(curl);
  if (code != CURLE_OK) return FromCurl(code, base_url_);
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  response.status = static_cast<int>(status);
  return response;
}

base::Status Client::Stream(std::string_view target,
                            std::function<bool(std::string_view)> on_data) {
  if (curl_ == nullptr) return base::Internal("libcurl could not be initialised");
  CURL* curl = curl_;
  const std::string url = base_url_ + std::string(target);
  Prepare(curl, base_url_, url, nullptr);
  Sink sink{curl, on_data, false, {}};
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, FeedSink);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &sink);

  const CURLcode code = curl_easy_perform(curl);
  if (sink.is_stopped) return {};
  if (code != CURLE_OK) return FromCurl(code, base_url_);
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  if (status == 200) return {};
  return base::Status(CodeOfStatus(status), "GET " + std::string(target) + " answered " +
                                                std::to_string(status) + ": " + sink.error_body);
}

}  // namespace caudal::http
