#include <algorithm>
#include <boost/json.hpp>
#include <boost/json/basic_parser_impl.hpp>
#include <charconv>
#include <cmath>

#include "wire/json.h"

namespace caudal::wire {
namespace {

namespace json = boost::json;

/// Builds a value as Boost.JSON's own handler does, but reads fractions exactly (the library's are
/// off by a digit now and then) and counts what goes in, so that a lost member shows: of two equal
/// keys the library keeps the last without a word.
class Handler {
 public:
  explicit Handler(size_t max_nodes) : max_nodes_(max_nodes) { stack_.reset(); }

  static constexpr size_t max_object_size = size_t(-1);
  static constexpr size_t max_array_size = size_t(-1);
  static constexpr size_t max_key_size = size_t(-1);
  static constexpr size_t max_string_size = size_t(-1);

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_object_begin(json::error_code&) { return true; }
  bool on_array_begin(json::error_code&) { return true; }
  bool on_object_end(size_t size, json::error_code& error) {
    stack_.push_object(size);
    members_ += size;
    return Count(error);
  }
  bool on_array_end(size_t size, json::error_code& error) {
    stack_.push_array(size);
    return Count(error);
  }
  bool on_key_part(std::string_view text, size_t, json::error_code&) {
    stack_.push_chars(text);
    return true;
  }
  bool on_key(std::string_view text, size_t, json::error_code&) {
    stack_.push_key(text);
    return true;
  }
  bool on_string_part(std::string_view text, size_t, json::error_code&) {
    stack_.push_chars(text);
    return true;
  }
  bool on_string(std::string_view text, size_t, json::error_code& error) {
    stack_.push_string(text);
    return Count(error);
  }
  bool on_number_part(std::string_view, json::error_code&) { return true; }
  bool on_int64(int64_t number, std::string_view, json::error_code& error) {
    stack_.push_int64(number);
    return Count(error);
  }
  bool on_uint64(uint64_t number, std::string_view, json::error_code& error) {
    stack_.push_uint64(number);
    return Count(error);
  }
  bool on_double(double number, std::string_view text, json::error_code& error) {
    std::from_chars(text.data(), text.data() + text.size(), number);
    if (!std::isfinite(number)) return Fail(json::error::exponent_overflow, error);
    stack_.push_double(number);
    return Count(error);
  }
  bool on_bool(bool flag, json::error_code& error) {
    stack_.push_bool(flag);
    return Count(error);
  }
  bool on_null(json::error_code& error) {
    stack_.push_null();
    return Count(error);
  }
  bool on_comment_part(std::string_view, json::error_code&) { return true; }
  bool on_comment(std::string_view, json::error_code&) { return true; }

  json::value Release() { return stack_.release(); }
  size_t members() const { return members_; }

 private:
  bool Count(json::error_code& error) {
    return ++nodes_ <= max_nodes_ || Fail(json::error::array_too_large, error);
  }

  static bool Fail(json::error code, json::error_code& error) {
    error = code;
    return false;
  }

  const size_t max_nodes_;
  size_t nodes_ = 0;
  size_t members_ = 0;
  json::value_stack stack_;
};

size_t CountMembers(const json::value& value) {
  size_t count = 0;
  if (const auto* object = value.if_object()) {
    count = object->size();
    for (const auto& [key, member] : *object) count += CountMembers(member);
  } else if (const auto* list = value.if_array()) {
    for (const auto& item : *list) count += CountMembers(item);
  }
  return count;
}

/// "line 3, column 14" of the byte at `offset`.
std::string LineAndColumn(std::string_view text, size_t offset) {
  const std::string_view before = text.substr(0, offset);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const size_t start = before.rfind('\n');
  const size_t column = before.size() - (start == std::string_view::npos ? 0 : start + 1) + 1;
  return "line " + std::to_string(line) + ", column " + std::to_string(column);
}

}  // namespace

base::Result<json::value> ParseJson(std::string_view text, const JsonLimits& limits) {
  json::parse_options options;
  options.max_depth = limits.depth;
  json::basic_parser<Handler> parser(options, limits.nodes);
  json::error_code error;
  const size_t read = parser.write_some(false, text.data(), text.size(), error);
  if (!error && read < text.size()) error = json::error::extra_data;
  if (error) {
    return base::InvalidArgument("not JSON: " + LineAndColumn(text, read) + ": " + error.message());
  }
  json::value value = parser.handler().Release();
  if (CountMembers(value) != parser.handler().members()) {
    return base::InvalidArgument("an object in the JSON text has one key twice");
  }
  return value;
}

}  // namespace caudal::wire
