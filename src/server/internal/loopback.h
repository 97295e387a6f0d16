#pragma once

/// Which hosts are this machine's own, and by which names its server may be called.

#include <string>
#include <vector>

namespace caudal::server {

/// "localhost", "::1", or an IPv4 address 127.x.y.z. Other names are not asked for: what they stand
/// for may change.
bool IsLoopback(const std::string& host);

/// The names in requests to a server that listens at `host`.
std::vector<std::string> NamesOf(const std::string& host);

}  // namespace caudal::server
