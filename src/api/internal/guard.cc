#include "api/internal/guard.h"

#include <algorithm>

#include "api/internal/errors.h"

namespace caudal::api::internal {
namespace {

// Lower case, without port, user and the root's final dot; IPv6 addresses in brackets.
std::string HostOf(std::string_view authority) {
  const size_t at = authority.rfind('@');
  if (at != std::string_view::npos) authority.remove_prefix(at + 1);
  if (authority.starts_with('[')) {
    authority = authority.substr(0, authority.find(']') + 1);
  } else if (std::count(authority.begin(), authority.end(), ':') > 1) {
    return "[" + std::string(authority) + "]";
  } else {
    authority = authority.substr(0, authority.find(':'));
  }
  if (authority.ends_with('.')) authority.remove_suffix(1);
  std::string host(authority);
  for (char& c : host) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return host;
}

bool ChangesNothing(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "OPTIONS";
}

http::Response Refusal(const std::string& message) {
  return GatewayError(403, base::Code::kPermissionDenied, message);
}

}  // namespace

Guard::Guard(const std::vector<std::string>& allowed_hosts) {
  for (const std::string& host : allowed_hosts) hosts_.push_back(HostOf(host));
  if (hosts_.empty()) hosts_ = {"localhost", "127.0.0.1", "[::1]"};
}

bool Guard::IsAllowed(std::string_view host_and_port) const {
  const std::string host = HostOf(host_and_port);
  return std::find(hosts_.begin(), hosts_.end(), host) != hosts_.end();
}

std::string Guard::Remedy() const {
  std::string names;
  for (const std::string& host : hosts_) names += (names.empty() ? "" : ", ") + host;
  return "use one of the names this server goes by: " + names;
}

std::optional<http::Response> Guard::Check(const http::Request& request) const {
  const std::string_view host = request.Header("host");
  if (!IsAllowed(host)) {
    return Refusal("host '" + std::string(host) + "' is not served here; " + Remedy());
  }
  const std::string_view origin = request.Header("origin");
  if (origin.empty() || ChangesNothing(request.method)) return std::nullopt;
  const size_t scheme = origin.find("://");
  if (scheme != std::string_view::npos && IsAllowed(origin.substr(scheme + 3))) return std::nullopt;
  return Refusal("a page of '" + std::string(origin) + "' may not change anything here; " +
                 Remedy());
}

std::string CleanPath(std::string_view path) {
  std::vector<std::string_view> kept;
  size_t begin = 0;
  while (begin <= path.size()) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view segment = path.substr(begin, end - begin);
    if (segment == "..") {
      if (!kept.empty()) kept.pop_back();
    } else if (!segment.empty() && segment != ".") {
      kept.push_back(segment);
    }
    begin = end + 1;
  }
  std::string clean;
  for (const std::string_view segment : kept) clean.append("/").append(segment);
  if (clean.empty() || path.ends_with('/')) clean += '/';
  return clean;
}

}  // namespace caudal::api::internal
