#include "api/internal/bind.h"

#include <boost/json.hpp>
#include <charconv>
#include <memory>
#include <optional>

#include "base/utf8.h"
#include "http/server.h"
#include "wire/json.h"

namespace caudal::api::internal {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// Splits "a.b.c" into "a" and "b.c".
std::pair<std::string, std::string> SplitDot(const std::string& path) {
  const size_t dot = path.find('.');
  if (dot == std::string::npos) return {path, ""};
  return {path.substr(0, dot), path.substr(dot + 1)};
}

const FieldDescriptor* FindField(const Descriptor& message, const std::string& name) {
  if (const FieldDescriptor* field = message.FindFieldByName(name)) return field;
  for (int i = 0; i < message.field_count(); ++i) {
    if (message.field(i)->json_name() == name) return message.field(i);
  }
  return nullptr;
}

// A message that the query addresses as one value, because its JSON is a string or a number.
bool HasScalarJson(const Descriptor& message) {
  switch (message.well_known_type()) {
    case Descriptor::WELLKNOWNTYPE_UNSPECIFIED:
    case Descriptor::WELLKNOWNTYPE_ANY:
    case Descriptor::WELLKNOWNTYPE_VALUE:
    case Descriptor::WELLKNOWNTYPE_LISTVALUE:
    case Descriptor::WELLKNOWNTYPE_STRUCT:
      return false;
    default:
      return true;
  }
}

// The field a query key addresses, and the proto names on the way to it.
struct Target {
  const FieldDescriptor* field = nullptr;
  std::vector<std::string> names;

  std::string Path() const {
    std::string path;
    for (const std::string& name : names) path += (path.empty() ? "" : ".") + name;
    return path;
  }
};

std::optional<Target> FindTarget(const Descriptor& message, const std::string& key) {
  Target target;
  const Descriptor* current = &message;
  std::string rest = key;
  while (!rest.empty()) {
    if (current == nullptr) return std::nullopt;
    auto [name, tail] = SplitDot(rest);
    target.field = FindField(*current, name);
    if (target.field == nullptr || target.field->is_map()) return std::nullopt;
    target.names.emplace_back(target.field->name());
    const bool may_descend = !target.field->is_repeated();
    current = may_descend ? target.field->message_type() : nullptr;
    rest = std::move(tail);
  }
  if (target.field == nullptr) return std::nullopt;
  const Descriptor* type = target.field->message_type();
  if (type != nullptr && !HasScalarJson(*type)) return std::nullopt;
  return target;
}

bool IsReserved(const std::string& path, const std::vector<std::string>& reserved) {
  for (const std::string& name : reserved) {
    if (path == name || path.starts_with(name + ".")) return true;
  }
  return false;
}

// The JSON that the strict reader takes for a value spelled as in a query. What it cannot be is
// left as text, for the reader to refuse with the field's name.
boost::json::value ToJsonValue(const FieldDescriptor& field, const std::string& text) {
  bool flag = false;
  if (field.type() == FieldDescriptor::TYPE_BOOL && ParseBool(text, &flag)) return flag;
  const bool is_number = !text.empty() &&
                         text.find_first_not_of("0123456789") == std::string::npos &&
                         text.size() < 10;
  if (field.type() == FieldDescriptor::TYPE_ENUM && is_number) return std::stoi(text);
  return boost::json::string(text);
}

base::Status Insert(const Target& target, const std::string& key, const std::string& text,
                    boost::json::object* root) {
  boost::json::object* parent = root;
  for (size_t i = 0; i + 1 < target.names.size(); ++i) {
    boost::json::value& child = (*parent)[target.names[i]];
    if (!child.is_object()) child.emplace_object();
    parent = &child.as_object();
  }
  boost::json::value& slot = (*parent)[target.names.back()];
  boost::json::value value = ToJsonValue(*target.field, text);
  if (target.field->is_repeated()) {
    if (!slot.is_array()) slot.emplace_array();
    slot.as_array().push_back(std::move(value));
  } else if (!slot.is_null()) {
    return base::InvalidArgument("query parameter '" + key + "' is given twice; give it once");
  } else {
    slot = std::move(value);
  }
  return {};
}

}  // namespace

bool ParseBool(std::string_view text, bool* value) {
  for (const std::string_view yes : {"1", "t", "T", "true", "TRUE", "True"}) {
    if (text == yes) return *value = true;
  }
  for (const std::string_view no : {"0", "f", "F", "false", "FALSE", "False"}) {
    if (text != no) continue;
    *value = false;
    return true;
  }
  return false;
}

base::Status CheckPathField(const Descriptor& message, const std::string& path) {
  const std::optional<Target> target = FindTarget(message, path);
  const bool is_plain = target && !target->field->is_repeated() &&
                        (target->field->type() == FieldDescriptor::TYPE_STRING ||
                         target->field->type() == FieldDescriptor::TYPE_INT64);
  if (is_plain) return {};
  return base::Internal("path field '" + path + "' is no string or int64 field of " +
                        message.full_name());
}

base::Status CheckBodyField(const Descriptor& message, const std::string& name) {
  const FieldDescriptor* field = message.FindFieldByName(name);
  if (field != nullptr && field->message_type() != nullptr && !field->is_repeated()) return {};
  return base::Internal("body field '" + name + "' is no message field of " + message.full_name());
}

base::Status SetPathField(Message* message, const std::string& path, const std::string& value) {
  auto [name, rest] = SplitDot(path);
  const FieldDescriptor* field = message->GetDescriptor()->FindFieldByName(name);
  const google::protobuf::Reflection* reflection = message->GetReflection();
  if (!rest.empty()) return SetPathField(reflection->MutableMessage(message, field), rest, value);
  if (field->type() == FieldDescriptor::TYPE_STRING) {
    reflection->SetString(message, field, value);
    return {};
  }
  int64_t number = 0;
  const char* end = value.data() + value.size();
  const auto parsed = std::from_chars(value.data(), end, number);
  if (parsed.ec != std::errc() || parsed.ptr != end) {
    return base::InvalidArgument("'" + value.substr(0, 80) + "' is no " + name +
                                 ": write a whole number");
  }
  reflection->SetInt64(message, field, number);
  return {};
}

base::Status BindBody(const std::string& field, std::string_view json, Message* message) {
  if (json.find_first_not_of(" \t\r\n") == std::string_view::npos) return {};
  if (field == "*") return wire::FromJsonText(json, message);
  const FieldDescriptor* target = message->GetDescriptor()->FindFieldByName(field);
  return wire::FromJsonText(json, message->GetReflection()->MutableMessage(message, target));
}

base::Status BindQuery(std::string_view query, const std::vector<std::string>& reserved,
                       Message* message) {
  if (query.empty()) return {};
  const auto pairs = http::ParseQuery(query);
  if (!pairs) return base::InvalidArgument("the query string has a broken % escape");
  boost::json::object fields;
  for (const auto& [key, text] : *pairs) {
    const std::optional<Target> target = FindTarget(*message->GetDescriptor(), key);
    if (!target || IsReserved(target->Path(), reserved)) continue;
    if (!base::IsUtf8(text)) {
      return base::InvalidArgument("query parameter '" + key + "' is not valid UTF-8");
    }
    CAUDAL_TRY(Insert(*target, key, text, &fields));
  }
  if (fields.empty()) return {};
  const std::unique_ptr<Message> given(message->New());
  CAUDAL_TRY(base::FaultsToStatus(wire::FromJson(std::move(fields), given.get())));
  message->MergeFrom(*given);
  return {};
}

}  // namespace caudal::api::internal
