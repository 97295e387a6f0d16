#pragma once

/// Blocking HTTP client for our own command line, over libcurl.

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace caudal::http {

struct ClientResponse {
  int status = 0;
  std::string body;
};

/// One per thread: keeps its connection alive between calls.
class Client {
 public:
  /// `base_url`: "http://127.0.0.1:8888", without trailing slash.
  explicit Client(std::string base_url);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Sends one request. Errors: kUnavailable when no answer came (refused, reset, timed out); any
  /// HTTP status is a response, not an error.
  base::Result<ClientResponse> Send(std::string_view method, std::string_view target,
                                    std::string_view body = {}, int timeout_seconds = 60,
                                    std::string_view content_type = "application/json");

  /// GET, handing over the body as it arrives until `on_data` returns false or the server ends it.
  base::Status Stream(std::string_view target, std::function<bool(std::string_view)> on_data);

 private:
  std::string base_url_;
  void* curl_;
};

}  // namespace caudal::http
