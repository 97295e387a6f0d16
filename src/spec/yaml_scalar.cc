#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <cmath>
#include <optional>
#include <set>

#include "spec/internal/yaml.h"

namespace caudal::spec::internal {
namespace {

namespace json = boost::json;

bool IsNull(const std::string& text) {
  return text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL";
}

std::optional<bool> ToBool(const std::string& text) {
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  return std::nullopt;
}

bool IsNumberJsonLacks(const std::string& text) {
  static const std::set<std::string, std::less<>> kNames = {".nan",  ".NaN",  ".NAN",  ".inf",
                                                            ".Inf",  ".INF",  "+.inf", "+.Inf",
                                                            "+.INF", "-.inf", "-.Inf", "-.INF"};
  return text[0] <= '.' && kNames.contains(text);
}

/// Go's ParseInt with base 0: the prefix says the base, and a leading zero alone means octal.
int TakeBase(std::string_view* digits) {
  if (digits->size() < 2 || digits->front() != '0') return 10;
  const char kind = static_cast<char>((*digits)[1] | 0x20);
  const int base = kind == 'x' ? 16 : kind == 'o' ? 8 : kind == 'b' ? 2 : 0;
  digits->remove_prefix(base == 0 ? 1 : 2);
  return base == 0 ? 8 : base;
}

bool ToInteger(std::string_view text, json::value* value) {
  const bool negative = text.front() == '-';
  if (negative || text.front() == '+') text.remove_prefix(1);
  const int base = TakeBase(&text);
  uint64_t size = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), size, base);
  if (text.empty() || read.ec != std::errc() || read.ptr != text.data() + text.size()) return false;
  constexpr uint64_t kLowest = uint64_t{1} << 63;
  if (negative && size > kLowest) return false;
  if (negative) {
    *value = static_cast<int64_t>(~size + 1);
  } else if (size < kLowest) {
    *value = static_cast<int64_t>(size);
  } else {
    *value = size;
  }
  return true;
}

/// [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?
bool LooksLikeFloat(std::string_view text) {
  const auto digits = [&text] {
    const size_t end = std::min(text.find_first_not_of("0123456789"), text.size());
    text.remove_prefix(end);
    return end > 0;
  };
  const auto take = [&text](std::string_view any_of) {
    if (text.empty() || any_of.find(text.front()) == std::string_view::npos) return false;
    text.remove_prefix(1);
    return true;
  };
  take("+-");
  if (take(".")) {
    if (!digits()) return false;
  } else {
    if (!digits()) return false;
    if (take(".")) digits();
  }
  if (take("eE")) {
    take("+-");
    if (!digits()) return false;
  }
  return text.empty();
}

bool ToFloat(std::string_view text, json::value* value) {
  if (!LooksLikeFloat(text)) return false;
  if (text.front() == '+') text.remove_prefix(1);
  double number = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  if (read.ec != std::errc()) return false;
  *value = number;
  return true;
}

bool ToNumber(const std::string& text, json::value* value) {
  const char first = text.empty() ? ' ' : text[0];
  if (first != '+' && first != '-' && first != '.' && (first < '0' || first > '9')) return false;
  if (text.find('_') == std::string::npos || first == '.') {
    return (first != '.' && ToInteger(text, value)) || ToFloat(text, value);
  }
  std::string plain = text;
  std::erase(plain, '_');
  return ToInteger(plain, value) || ToFloat(plain, value);
}

}  // namespace

bool ResolvePlain(const std::string& text, json::value* value) {
  if (IsNull(text)) {
    *value = nullptr;
    return true;
  }
  if (const auto flag = ToBool(text)) {
    *value = *flag;
    return true;
  }
  if (IsNumberJsonLacks(text)) return false;
  if (!ToNumber(text, value)) *value = json::string(text);
  return true;
}

bool ResolveTagged(const std::string& tag, const std::string& text, json::value* value) {
  static const std::string kPrefix = "tag:yaml.org,2002:";
  if (!tag.starts_with(kPrefix)) return false;
  const std::string kind = tag.substr(kPrefix.size());
  if (kind == "str" || kind == "timestamp") return *value = json::string(text), true;
  if (kind == "null") return *value = nullptr, IsNull(text);
  if (kind == "bool") {
    const auto flag = ToBool(text);
    if (flag) *value = *flag;
    return flag.has_value();
  }
  if (kind == "float") return ToNumber(text, value);
  return kind == "int" && ToNumber(text, value) && !value->is_double();
}

}  // namespace caudal::spec::internal
