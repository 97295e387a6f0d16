#include "server/internal/loopback.h"

#include <arpa/inet.h>

#include <algorithm>

namespace caudal::server {

bool IsLoopback(const std::string& host) {
  if (host == "localhost" || host == "::1") return true;
  in_addr address{};
  if (inet_pton(AF_INET, host.c_str(), &address) != 1) return false;
  return ntohl(address.s_addr) >> 24 == 127;
}

std::vector<std::string> NamesOf(const std::string& host) {
  std::vector<std::string> names{"localhost", "127.0.0.1", "[::1]"};
  const std::string written = host.find(':') == host.npos ? host : "[" + host + "]";
  if (std::find(names.begin(), names.end(), written) == names.end()) names.push_back(written);
  return names;
}

}  // namespace caudal::server
