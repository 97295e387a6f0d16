#pragma once

/// What is refused or redirected before any route is looked at.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/server.h"

namespace caudal::api::internal {

/// Keeps pages of foreign sites from using a server that trusts whoever reaches it: by the Host
/// header against names rebound to this machine, by the Origin header against posts across sites.
///
/// Thread-safe.
class Guard {
 public:
  /// `allowed_hosts` without ports; empty means the loopback names.
  explicit Guard(const std::vector<std::string>& allowed_hosts);

  /// The refusal, or nullopt.
  std::optional<http::Response> Check(const http::Request& request) const;

 private:
  bool IsAllowed(std::string_view host_and_port) const;
  std::string Remedy() const;
  std::vector<std::string> hosts_;
};

/// The path without empty, "." and ".." segments; a trailing slash stays.
std::string CleanPath(std::string_view path);

}  // namespace caudal::api::internal
