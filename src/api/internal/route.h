#pragma once

/// Which method answers a path: routes read from the HTTP annotations of the proto services.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "service/method.h"

namespace caudal::api::internal {

/// A request path cut at its slashes, each piece both as sent and decoded.
struct PathPieces {
  std::vector<std::string> raw;
  std::vector<std::string> decoded;
};

/// nullopt for a broken percent escape. `path` starts with '/'.
std::optional<PathPieces> SplitPath(std::string_view path);

/// "/apis/v2beta1/runs/{run_id}:retry".
class Template {
 public:
  /// Errors: kInternal for a form we do not serve, such as {x=a/*}.
  static base::Result<Template> Parse(std::string_view text);

  /// One decoded value per variable, in order; nullopt when the path is another one.
  std::optional<std::vector<std::string>> Match(const PathPieces& path) const;

  const std::vector<std::string>& variables() const { return variables_; }  ///< field paths
  const std::string& verb() const { return verb_; }  ///< after ':'; empty for most
  std::string Shape() const;                         ///< equal for templates that match the same

 private:
  struct Segment {
    bool is_variable = false;
    std::string literal;
  };
  std::vector<Segment> segments_;
  std::vector<std::string> variables_;
  std::string verb_;
};

struct Route {
  std::string http_method;
  Template path;
  std::string body;  ///< "", "*" or the name of a field
  const service::Method* method = nullptr;
};

/// Later routes win over earlier ones where both match.
class RouteTable {
 public:
  /// Adds every binding of `method`, which must stay. Errors: kInternal without a rule or handler,
  /// for an unknown field, for a route that is there already.
  base::Status Add(const service::Method& method);

  enum class Verdict { kFound, kNotFound, kOtherMethod };
  struct Found {
    Verdict verdict = Verdict::kNotFound;
    const Route* route = nullptr;
    std::vector<std::string> values;
  };
  Found Find(std::string_view http_method, const PathPieces& path) const;

 private:
  base::Status AddRoute(Route route);
  std::vector<Route> routes_;
};

}  // namespace caudal::api::internal
