#include "api/internal/route.h"

#include <utility>

#include "api/internal/bind.h"
#include "base/utf8.h"
#include "google/api/annotations.pb.h"
#include "http/server.h"

namespace caudal::api::internal {
namespace {

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> pieces;
  size_t end = text.find(separator);
  while (end != std::string_view::npos) {
    pieces.emplace_back(text.substr(0, end));
    text.remove_prefix(end + 1);
    end = text.find(separator);
  }
  pieces.emplace_back(text);
  return pieces;
}

// The HTTP method and the path template of one binding.
std::pair<std::string, std::string> Pattern(const google::api::HttpRule& rule) {
  switch (rule.pattern_case()) {
    case google::api::HttpRule::kGet:
      return {"GET", rule.get()};
    case google::api::HttpRule::kPut:
      return {"PUT", rule.put()};
    case google::api::HttpRule::kPost:
      return {"POST", rule.post()};
    case google::api::HttpRule::kDelete:
      return {"DELETE", rule.delete_()};
    case google::api::HttpRule::kPatch:
      return {"PATCH", rule.patch()};
    case google::api::HttpRule::kCustom:
      return {rule.custom().kind(), rule.custom().path()};
    case google::api::HttpRule::PATTERN_NOT_SET:
      break;
  }
  return {};
}

}  // namespace

std::optional<PathPieces> SplitPath(std::string_view path) {
  PathPieces pieces;
  if (path.starts_with('/')) path.remove_prefix(1);
  pieces.raw = Split(path, '/');
  for (const std::string& piece : pieces.raw) {
    std::optional<std::string> decoded = http::PercentDecode(piece, false);
    if (!decoded || !base::IsUtf8(*decoded)) return std::nullopt;
    pieces.decoded.push_back(*std::move(decoded));
  }
  return pieces;
}

base::Result<Template> Template::Parse(std::string_view text) {
  const std::string whole(text);
  Template parsed;
  if (!text.starts_with('/'))
    return base::Internal("path template '" + whole + "' is not absolute");
  text.remove_prefix(1);
  const size_t colon = text.rfind(':');
  if (colon != std::string_view::npos && text.find('/', colon) == std::string_view::npos) {
    parsed.verb_ = text.substr(colon + 1);
    text = text.substr(0, colon);
  }
  for (const std::string& piece : Split(text, '/')) {
    Segment segment;
    segment.is_variable = piece.starts_with('{') && piece.ends_with('}');
    if (segment.is_variable) {
      parsed.variables_.push_back(piece.substr(1, piece.size() - 2));
    } else {
      segment.literal = piece;
    }
    const std::string& name = segment.is_variable ? parsed.variables_.back() : piece;
    if (name.empty() || name.find_first_of("{}=*") != std::string::npos) {
      return base::Internal("path template '" + whole + "': segment '" + piece +
                            "' is of a form that is not served");
    }
    parsed.segments_.push_back(std::move(segment));
  }
  return parsed;
}

std::optional<std::vector<std::string>> Template::Match(const PathPieces& path) const {
  if (path.raw.size() != segments_.size()) return std::nullopt;
  std::vector<std::string> values;
  for (size_t i = 0; i < segments_.size(); ++i) {
    std::string piece = path.decoded[i];
    if (!verb_.empty() && i + 1 == segments_.size()) {
      // Cut off as sent, so that an escaped colon belongs to the value.
      const std::string suffix = ":" + verb_;
      if (!path.raw[i].ends_with(suffix)) return std::nullopt;
      piece.resize(piece.size() - suffix.size());
    }
    if (segments_[i].is_variable) {
      values.push_back(std::move(piece));
    } else if (piece != segments_[i].literal) {
      return std::nullopt;
    }
  }
  return values;
}

std::string Template::Shape() const {
  std::string shape;
  for (const Segment& segment : segments_)
    shape += "/" + (segment.is_variable ? "{}" : segment.literal);
  return shape + ":" + verb_;
}

base::Status RouteTable::Add(const service::Method& method) {
  if (method.descriptor == nullptr || method.call == nullptr) {
    return base::Internal("a method of the table has no descriptor or no handler");
  }
  const std::string name(method.descriptor->full_name());
  const google::api::HttpRule& rule = method.descriptor->options().GetExtension(google::api::http);
  std::vector<const google::api::HttpRule*> bindings = {&rule};
  for (const google::api::HttpRule& more : rule.additional_bindings()) bindings.push_back(&more);
  for (const google::api::HttpRule* binding : bindings) {
    auto [http_method, path] = Pattern(*binding);
    if (path.empty()) return base::Internal("method " + name + " has no HTTP rule");
    auto parsed = Template::Parse(path);
    if (!parsed.ok()) return base::Status(parsed.status()).With("method " + name);
    Route route{std::move(http_method), *std::move(parsed), binding->body(), &method};
    CAUDAL_TRY(AddRoute(std::move(route)).With("method " + name));
  }
  return {};
}

base::Status RouteTable::AddRoute(Route route) {
  const google::protobuf::Descriptor* input = route.method->descriptor->input_type();
  for (const std::string& variable : route.path.variables()) {
    CAUDAL_TRY(CheckPathField(*input, variable));
  }
  if (!route.body.empty() && route.body != "*") CAUDAL_TRY(CheckBodyField(*input, route.body));
  for (const Route& other : routes_) {
    if (other.http_method == route.http_method && other.path.Shape() == route.path.Shape()) {
      return base::Internal("route " + route.http_method + " " + route.path.Shape() +
                            " is served already by " + other.method->descriptor->full_name());
    }
  }
  routes_.push_back(std::move(route));
  return {};
}

RouteTable::Found RouteTable::Find(std::string_view http_method, const PathPieces& path) const {
  Found found;
  for (auto route = routes_.rbegin(); route != routes_.rend(); ++route) {
    const bool is_method = route->http_method == http_method;
    const std::string& verb = route->path.verb();
    // A verb without an id is no path at all, for whatever resource.
    if (is_method && !verb.empty() && path.raw.back() == ":" + verb) return {};
    std::optional<std::vector<std::string>> values = route->path.Match(path);
    if (!values) continue;
    found.verdict = is_method ? Verdict::kFound : Verdict::kOtherMethod;
    if (!is_method) continue;
    found.route = &*route;
    found.values = *std::move(values);
    return found;
  }
  return found;
}

}  // namespace caudal::api::internal
