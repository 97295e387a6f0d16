#include "store/internal/filter.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <sstream>

#include "backend/api/v2beta1/filter.pb.h"
#include "wire/json.h"

namespace caudal::store {
namespace {

namespace v2beta1 = kubeflow::pipelines::backend::api::v2beta1;
using base::InvalidArgument;
using base::Result;
using v2beta1::Predicate;
using Value = std::variant<int64_t, std::string>;

constexpr int64_t kMicros = 1'000'000;
// Far above what clients send, well below what databases take.
constexpr int kMostPredicates = 100;
constexpr size_t kMostValues = 1000;
constexpr size_t kLongestSubstring = 1000;

// Clients may have encoded the filter twice: it is decoded once more, as a query component.
Result<std::string> UnescapeOnce(const std::string& text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      result += ' ';
    } else if (text[i] != '%') {
      result += text[i];
    } else {
      unsigned byte = 0;
      const char* begin = text.data() + i + 1;
      const char* end = text.data() + std::min(i + 3, text.size());
      const auto parsed = std::from_chars(begin, end, byte, 16);
      if (parsed.ptr != begin + 2) {
        return InvalidArgument("filter has a stray '%'; encode it as %25");
      }
      result += static_cast<char>(byte);
      i += 2;
    }
  }
  return result;
}

std::string_view Operator(Predicate::Operation operation) {
  switch (operation) {
    case Predicate::EQUALS:
      return "=";
    case Predicate::NOT_EQUALS:
      return "<>";
    case Predicate::GREATER_THAN:
      return ">";
    case Predicate::GREATER_THAN_EQUALS:
      return ">=";
    case Predicate::LESS_THAN:
      return "<";
    case Predicate::LESS_THAN_EQUALS:
      return "<=";
    default:
      return "";
  }
}

bool IsList(const Predicate& predicate) {
  return predicate.has_int_values() || predicate.has_long_values() || predicate.has_string_values();
}

// Whole seconds since 1970 from "1700000000" or "2026-01-02T03:04:05Z"; other text stays text,
// which compares as the database likes and is no error.
Value TimeValue(const std::string& text) {
  int64_t seconds = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (!text.empty() && parsed.ptr == text.data() + text.size()) return seconds;
  std::tm parts{};
  const char* rest = strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest != nullptr) return static_cast<int64_t>(timegm(&parts));
  return text;
}

std::vector<Value> ValuesOf(const Predicate& predicate, ColumnKind kind) {
  std::vector<Value> values;
  const auto add_text = [&](const std::string& text) {
    values.push_back(kind == ColumnKind::kTime ? TimeValue(text) : Value(text));
  };
  const auto add_number = [&](int64_t number) {
    if (kind == ColumnKind::kTime) {
      values.emplace_back(number);
    } else {
      values.emplace_back(std::to_string(number));
    }
  };
  switch (predicate.value_case()) {
    case Predicate::kIntValue:
      add_number(predicate.int_value());
      break;
    case Predicate::kLongValue:
      add_number(predicate.long_value());
      break;
    case Predicate::kStringValue:
      add_text(predicate.string_value());
      break;
    case Predicate::kTimestampValue:
      add_number(predicate.timestamp_value().seconds());
      break;
    case Predicate::kIntValues:
      for (const int32_t v : predicate.int_values().values()) add_number(v);
      break;
    case Predicate::kLongValues:
      for (const int64_t v : predicate.long_values().values()) add_number(v);
      break;
    case Predicate::kStringValues:
      for (const auto& v : predicate.string_values().values()) add_text(v);
      break;
    case Predicate::VALUE_NOT_SET:
      break;
  }
  return values;
}

Result<Condition> TagCondition(const Predicate& predicate, std::string_view tags_column) {
  if (predicate.operation() != Predicate::EQUALS || !predicate.has_string_value()) {
    return InvalidArgument("filter on '" + predicate.key() +
                           "': tags can only be compared by EQUALS with a string_value");
  }
  Condition condition;
  condition.sql = "EXISTS(SELECT 1 FROM json_each(" + std::string(tags_column) +
                  ") AS tag WHERE tag.key=? AND tag.value=?)";
  condition.values = {predicate.key().substr(5), predicate.string_value()};
  return condition;
}

Result<Condition> ToCondition(const Predicate& predicate, const ColumnMap& columns,
                              std::string_view tags_column) {
  const std::string& key = predicate.key();
  if (key.empty()) return InvalidArgument("filter has a predicate without key");
  if (!tags_column.empty() && key.rfind("tags.", 0) == 0) {
    return TagCondition(predicate, tags_column);
  }
  const auto column = columns.find(key);
  if (column == columns.end()) return InvalidArgument("filter: unknown key '" + key + "'");
  if (predicate.value_case() == Predicate::VALUE_NOT_SET) {
    return InvalidArgument("filter on '" + key + "' has no value");
  }
  // Times are kept finer than the API shows them: compare whole seconds.
  const std::string sql = column->second.kind == ColumnKind::kTime
                              ? "(" + column->second.sql + "/" + std::to_string(kMicros) + ")"
                              : column->second.sql;
  Condition condition;
  condition.values = ValuesOf(predicate, column->second.kind);
  if (predicate.operation() == Predicate::IN) {
    if (!IsList(predicate)) return InvalidArgument("filter on '" + key + "': IN wants a list");
    if (condition.values.size() > kMostValues) {
      return InvalidArgument("filter on '" + key + "': IN has " +
                             std::to_string(condition.values.size()) + " values, at most " +
                             std::to_string(kMostValues) + " are allowed");
    }
    std::string marks;
    for (size_t i = 0; i < condition.values.size(); ++i) marks += i == 0 ? "?" : ",?";
    condition.sql = sql + " IN (" + marks + ")";
    return condition;
  }
  if (IsList(predicate)) {
    return InvalidArgument("filter on '" + key + "': only IN takes a list of values");
  }
  if (predicate.operation() == Predicate::IS_SUBSTRING) {
    if (!predicate.has_string_value()) {
      return InvalidArgument("filter on '" + key + "': IS_SUBSTRING wants a string_value");
    }
    if (predicate.string_value().size() > kLongestSubstring) {
      return InvalidArgument("filter on '" + key + "': the substring has " +
                             std::to_string(predicate.string_value().size()) + " bytes, at most " +
                             std::to_string(kLongestSubstring) + " are allowed");
    }
    condition.sql = sql + " LIKE ?";
    condition.values = {"%" + predicate.string_value() + "%"};
    return condition;
  }
  const std::string_view sign = Operator(predicate.operation());
  if (sign.empty()) return InvalidArgument("filter on '" + key + "' has no operation");
  condition.sql = sql + std::string(sign) + "?";
  return condition;
}

}  // namespace

Result<std::vector<Condition>> ParseFilter(const std::string& filter, const ColumnMap& columns,
                                           std::string_view tags_column) {
  std::vector<Condition> conditions;
  if (filter.empty()) return conditions;
  CAUDAL_ASSIGN(const std::string text, UnescapeOnce(filter));
  v2beta1::Filter parsed;
  base::Status read = wire::FromJsonText(text, &parsed);
  if (!read.ok()) return std::move(read).With("filter");
  if (parsed.predicates_size() > kMostPredicates) {
    return InvalidArgument("filter has " + std::to_string(parsed.predicates_size()) +
                           " predicates, at most " + std::to_string(kMostPredicates) +
                           " are allowed");
  }
  for (const Predicate& predicate : parsed.predicates()) {
    CAUDAL_ASSIGN(Condition condition, ToCondition(predicate, columns, tags_column));
    conditions.push_back(std::move(condition));
  }
  return conditions;
}

Result<Sort> ParseSort(const std::string& sort_by, const ColumnMap& columns) {
  std::string lowered = sort_by;
  std::transform(lowered.begin(), lowered.end(), lowered.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  std::istringstream words(lowered);
  std::string key;
  std::string direction;
  std::string rest;
  words >> key >> direction >> rest;
  Sort sort;
  if (key.empty()) return sort;
  const bool known_direction = direction.empty() || direction == "asc" || direction == "desc";
  if (!rest.empty() || !known_direction) {
    return InvalidArgument("sort_by \"" + sort_by +
                           "\" is not \"field\", \"field asc\" or \"field desc\"");
  }
  if (columns.find(key) == columns.end()) {
    return InvalidArgument("sort_by: unknown field '" + key + "'");
  }
  sort.key = key;
  sort.descending = direction == "desc";
  return sort;
}

}  // namespace caudal::store
