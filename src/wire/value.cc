#include <algorithm>
#include <boost/json.hpp>
#include <cmath>

#include "wire/internal/text.h"
#include "wire/json.h"

namespace caudal::wire {
namespace {

using google::protobuf::Value;
namespace json = boost::json;

void Fill(const json::value& from, Value* to) {
  switch (from.kind()) {
    case json::kind::null:
      to->set_null_value(google::protobuf::NULL_VALUE);
      return;
    case json::kind::bool_:
      to->set_bool_value(from.get_bool());
      return;
    case json::kind::int64:
      to->set_number_value(static_cast<double>(from.get_int64()));
      return;
    case json::kind::uint64:
      to->set_number_value(static_cast<double>(from.get_uint64()));
      return;
    case json::kind::double_:
      to->set_number_value(from.get_double());
      return;
    case json::kind::string:
      to->set_string_value(from.get_string().data(), from.get_string().size());
      return;
    case json::kind::array:
      to->mutable_list_value();
      for (const auto& item : from.get_array()) Fill(item, to->mutable_list_value()->add_values());
      return;
    case json::kind::object:
      auto& fields = *to->mutable_struct_value()->mutable_fields();
      for (const auto& [key, item] : from.get_object()) Fill(item, &fields[std::string(key)]);
      return;
  }
}

json::value Number(double number) {
  constexpr double kExact = 9007199254740992.0;  // 2^53: up to here an int64 says the same
  if (std::abs(number) <= kExact && number == std::trunc(number)) {
    return static_cast<int64_t>(number);
  }
  if (!std::isfinite(number)) return nullptr;
  return number;
}

void AppendGo(const Value& value, std::string* out);

void AppendGoList(const google::protobuf::ListValue& list, std::string* out) {
  *out += '[';
  for (int i = 0; i < list.values_size(); ++i) {
    if (i > 0) *out += ',';
    AppendGo(list.values(i), out);
  }
  *out += ']';
}

void AppendGoStruct(const google::protobuf::Struct& object, std::string* out) {
  std::vector<const std::string*> keys;
  for (const auto& [key, value] : object.fields()) keys.push_back(&key);
  std::sort(keys.begin(), keys.end(), [](auto* a, auto* b) { return *a < *b; });
  *out += '{';
  for (const std::string* key : keys) {
    if (key != keys.front()) *out += ',';
    internal::AppendString(*key, internal::HtmlEscapes::kYes, out);
    *out += ':';
    AppendGo(object.fields().at(*key), out);
  }
  *out += '}';
}

void AppendGo(const Value& value, std::string* out) {
  switch (value.kind_case()) {
    case Value::KIND_NOT_SET:
    case Value::kNullValue:
      *out += "null";
      return;
    case Value::kBoolValue:
      *out += value.bool_value() ? "true" : "false";
      return;
    case Value::kNumberValue:
      if (std::isfinite(value.number_value())) {
        internal::AppendNumber(value.number_value(), out);
      } else {
        *out += "null";
      }
      return;
    case Value::kStringValue:
      internal::AppendString(value.string_value(), internal::HtmlEscapes::kYes, out);
      return;
    case Value::kListValue:
      AppendGoList(value.list_value(), out);
      return;
    case Value::kStructValue:
      AppendGoStruct(value.struct_value(), out);
      return;
  }
}

}  // namespace

Value ToValue(const json::value& from) {
  Value value;
  Fill(from, &value);
  return value;
}

json::value FromValue(const Value& value) {
  switch (value.kind_case()) {
    case Value::KIND_NOT_SET:
    case Value::kNullValue:
      return nullptr;
    case Value::kBoolValue:
      return value.bool_value();
    case Value::kNumberValue:
      return Number(value.number_value());
    case Value::kStringValue:
      return json::string(value.string_value());
    case Value::kListValue:
      break;
    case Value::kStructValue: {
      std::vector<std::pair<std::string_view, const Value*>> entries;  // sorted, for equal results
      for (const auto& [key, item] : value.struct_value().fields())
        entries.emplace_back(key, &item);
      std::sort(entries.begin(), entries.end());
      json::object object;
      for (const auto& [key, item] : entries) object[key] = FromValue(*item);
      return object;
    }
  }
  json::array list;
  for (const Value& item : value.list_value().values()) list.push_back(FromValue(item));
  return list;
}

int ValueDepth(const Value& value) {
  int below = 0;
  if (value.has_list_value()) {
    for (const Value& item : value.list_value().values()) below = std::max(below, ValueDepth(item));
  } else if (value.has_struct_value()) {
    for (const auto& [key, item] : value.struct_value().fields()) {
      below = std::max(below, ValueDepth(item));
    }
  } else {
    return 0;
  }
  return below + 1;
}

std::string ValueToGoJson(const Value& value) {
  std::string text;
  AppendGo(value, &text);
  return text;
}

std::string ValueText(const Value& value) {
  switch (value.kind_case()) {
    case Value::KIND_NOT_SET:
    case Value::kNullValue:
      return "";
    case Value::kBoolValue:
      return value.bool_value() ? "true" : "false";
    case Value::kNumberValue:
      return NumberText(value.number_value());
    case Value::kStringValue:
      return value.string_value();
    case Value::kListValue:
    case Value::kStructValue:
      break;
  }
  return ValueToGoJson(value);
}

}  // namespace caudal::wire
