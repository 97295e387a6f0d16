#include <google/protobuf/any.pb.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/timestamp.pb.h>

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "wire/internal/text.h"
#include "wire/json.h"
#include "wire/names.h"

namespace caudal::wire {
namespace {

namespace json = boost::json;
namespace pb = google::protobuf;
using base::Fault;

constexpr size_t kMaxFaults = 100;    // more help nobody
constexpr size_t kQuotedLength = 60;  // of a wrong string in a message

/// Where the reader stands: a list on the stack, made text only when there is a fault to report.
struct Place {
  const Place* up;
  std::string_view name;
  int index = -1;

  std::string Text() const {
    std::string text = up == nullptr ? "" : up->Text();
    if (index >= 0) return text + "[" + std::to_string(index) + "]";
    if (!text.empty() && !name.empty()) text += '.';
    return text.append(name);
  }
};

std::string Described(const json::value& value) {
  switch (value.kind()) {
    case json::kind::array:
      return "a list";
    case json::kind::object:
      return "an object";
    case json::kind::string: {
      std::string text;
      const std::string_view whole = value.get_string();
      internal::AppendString(whole.substr(0, kQuotedLength), internal::HtmlEscapes::kNo, &text);
      return whole.size() > kQuotedLength ? text + "…" : text;
    }
    case json::kind::double_: {
      std::string text;
      internal::AppendNumber(value.get_double(), &text);
      return text;
    }
    default:
      return json::serialize(value);
  }
}

/// A number, or a string that holds one.
std::optional<double> ToDouble(const json::value& value) {
  if (value.is_number()) return value.to_number<double>();
  if (!value.is_string()) return std::nullopt;
  const std::string_view text = value.get_string();
  if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (text == "Infinity") return std::numeric_limits<double>::infinity();
  if (text == "-Infinity") return -std::numeric_limits<double>::infinity();
  double number = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return std::nullopt;
  if (!std::isfinite(number)) return std::nullopt;
  return number;
}

/// An integral number in range, or a string that holds one.
template <typename Int>
std::optional<Int> ToInt(const json::value& value) {
  if (value.is_int64() && std::in_range<Int>(value.get_int64())) {
    return static_cast<Int>(value.get_int64());
  }
  if (value.is_uint64() && std::in_range<Int>(value.get_uint64())) {
    return static_cast<Int>(value.get_uint64());
  }
  if (value.is_string()) {
    const std::string_view text = value.get_string();
    Int number = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
    if (read.ec == std::errc() && read.ptr == text.data() + text.size()) return number;
  }
  if (value.is_int64() || value.is_uint64()) return std::nullopt;
  const std::optional<double> number = ToDouble(value);
  constexpr double kExact = 9007199254740992.0;
  if (!number || *number != std::trunc(*number) || std::abs(*number) > kExact) return std::nullopt;
  if (!std::in_range<Int>(static_cast<int64_t>(*number))) return std::nullopt;
  return static_cast<Int>(*number);
}

class Reader {
 public:
  Reader(UnknownFields unknown, std::vector<Fault>* faults) : unknown_(unknown), faults_(*faults) {}

  void ReadMessage(const json::value& from, pb::Message* to, const Place& place) {
    if (ReadWellKnown(from, to, place)) return;
    if (!from.is_object()) return Wrong(place, "an object", from);
    std::vector<bool> seen(static_cast<size_t>(to->GetDescriptor()->field_count()));
    for (const auto& [key, value] : from.get_object()) {
      const Place here{&place, key};
      const pb::FieldDescriptor* field = FindField(*to->GetDescriptor(), key);
      if (field == nullptr) {
        if (unknown_ == UnknownFields::kReject) Unknown(here, *to->GetDescriptor());
        continue;
      }
      if (seen[static_cast<size_t>(field->index())]) {
        Report(here, "given twice, as '" + field->json_name() + "' and as '" + field->name() + "'");
      }
      seen[static_cast<size_t>(field->index())] = true;
      ReadField(value, to, *field, here);
    }
  }

 private:
  static const pb::FieldDescriptor* FindField(const pb::Descriptor& type, std::string_view name) {
    for (int i = 0; i < type.field_count(); ++i) {
      if (type.field(i)->json_name() == name || type.field(i)->name() == name) return type.field(i);
    }
    return nullptr;
  }

  static bool IsValue(const pb::FieldDescriptor& field) {
    return field.message_type() != nullptr &&
           field.message_type()->full_name() == "google.protobuf.Value";
  }

  void ReadField(const json::value& from, pb::Message* to, const pb::FieldDescriptor& field,
                 const Place& place) {
    if (from.is_null() && (field.is_repeated() || !IsValue(field))) return;
    if (field.is_map()) return ReadMap(from, to, field, place);
    if (field.is_repeated()) return ReadList(from, to, field, place);
    const pb::OneofDescriptor* choice = field.real_containing_oneof();
    if (choice != nullptr && to->GetReflection()->HasOneof(*to, choice)) {
      const auto* other = to->GetReflection()->GetOneofFieldDescriptor(*to, choice);
      return Report(place, "excludes '" + other->json_name() + "', give only one of them");
    }
    ReadSingle(from, to, field, place);
  }

  void ReadList(const json::value& from, pb::Message* to, const pb::FieldDescriptor& field,
                const Place& place) {
    if (!from.is_array()) return Wrong(place, "a list", from);
    int index = 0;
    for (const auto& item : from.get_array()) {
      const Place here{&place, "", index++};
      if (item.is_null() && !IsValue(field)) {
        Wrong(here, "a value", item);
      } else {
        ReadSingle(item, to, field, here);
      }
    }
  }

  void ReadMap(const json::value& from, pb::Message* to, const pb::FieldDescriptor& field,
               const Place& place) {
    if (!from.is_object()) return Wrong(place, "an object", from);
    const pb::FieldDescriptor& value_field = *field.message_type()->map_value();
    for (const auto& [key, value] : from.get_object()) {
      const Place here{&place, key};
      if (value.is_null() && !IsValue(value_field)) {
        Wrong(here, "a value", value);
        continue;
      }
      pb::Message* entry = to->GetReflection()->AddMessage(to, &field);
      ReadMapKey(key, entry, *field.message_type()->map_key(), here);
      ReadSingle(value, entry, value_field, here);
    }
  }

  void ReadMapKey(std::string_view key, pb::Message* entry, const pb::FieldDescriptor& field,
                  const Place& place) {
    if (field.cpp_type() == pb::FieldDescriptor::CPPTYPE_BOOL) {
      if (key != "true" && key != "false") return Report(place, "a key here is true or false");
      entry->GetReflection()->SetBool(entry, &field, key == "true");
    } else {
      ReadSingle(json::value(json::string(key)), entry, field, place);
    }
  }

  /// Sets the field, or adds to it when it is repeated.
  void ReadSingle(const json::value& from, pb::Message* to, const pb::FieldDescriptor& field,
                  const Place& place) {
    using Field = pb::FieldDescriptor;
    using R = pb::Reflection;
    switch (field.cpp_type()) {
      case Field::CPPTYPE_INT32:
        return Put(ToInt<int32_t>(from), &R::SetInt32, &R::AddInt32, "a whole number (32 bits)",
                   from, to, field, place);
      case Field::CPPTYPE_INT64:
        return Put(ToInt<int64_t>(from), &R::SetInt64, &R::AddInt64, "a whole number (64 bits)",
                   from, to, field, place);
      case Field::CPPTYPE_UINT32:
        return Put(ToInt<uint32_t>(from), &R::SetUInt32, &R::AddUInt32,
                   "a whole number (32 bits, not negative)", from, to, field, place);
      case Field::CPPTYPE_UINT64:
        return Put(ToInt<uint64_t>(from), &R::SetUInt64, &R::AddUInt64,
                   "a whole number (64 bits, not negative)", from, to, field, place);
      case Field::CPPTYPE_DOUBLE:
        return Put(ToDouble(from), &R::SetDouble, &R::AddDouble, "a number", from, to, field,
                   place);
      case Field::CPPTYPE_FLOAT: {
        std::optional<float> number;
        if (const auto wide = ToDouble(from)) number = static_cast<float>(*wide);
        return Put(number, &R::SetFloat, &R::AddFloat, "a number", from, to, field, place);
      }
      case Field::CPPTYPE_BOOL: {
        std::optional<bool> flag;
        if (from.is_bool()) flag = from.get_bool();
        return Put(flag, &R::SetBool, &R::AddBool, "true or false", from, to, field, place);
      }
      case Field::CPPTYPE_ENUM:
        return ReadEnum(from, to, field, place);
      case Field::CPPTYPE_STRING:
        return ReadText(from, to, field, place);
      case Field::CPPTYPE_MESSAGE: {
        const R& reflection = *to->GetReflection();
        pb::Message* child = field.is_repeated() ? reflection.AddMessage(to, &field)
                                                 : reflection.MutableMessage(to, &field);
        return ReadMessage(from, child, place);
      }
    }
  }

  template <typename T>
  void Put(std::optional<T> value,
           void (pb::Reflection::*set)(pb::Message*, const pb::FieldDescriptor*, T) const,
           void (pb::Reflection::*add)(pb::Message*, const pb::FieldDescriptor*, T) const,
           std::string_view wanted, const json::value& from, pb::Message* to,
           const pb::FieldDescriptor& field, const Place& place) {
    if (!value) return Wrong(place, wanted, from);
    (to->GetReflection()->*(field.is_repeated() ? add : set))(to, &field, *value);
  }

  void ReadText(const json::value& from, pb::Message* to, const pb::FieldDescriptor& field,
                const Place& place) {
    if (!from.is_string()) return Wrong(place, "a string", from);
    std::string text(from.get_string());
    if (field.type() == pb::FieldDescriptor::TYPE_BYTES) {
      std::string bytes;
      if (!internal::ParseBase64(text, &bytes)) return Wrong(place, "base64", from);
      text = std::move(bytes);
    }
    if (field.is_repeated()) {
      to->GetReflection()->AddString(to, &field, std::move(text));
    } else {
      to->GetReflection()->SetString(to, &field, std::move(text));
    }
  }

  void ReadEnum(const json::value& from, pb::Message* to, const pb::FieldDescriptor& field,
                const Place& place) {
    const pb::EnumDescriptor& type = *field.enum_type();
    std::optional<int> number;
    if (from.is_string()) {
      const auto* value = type.FindValueByName(std::string(from.get_string()));
      if (value != nullptr) number = value->number();
    } else {
      number = ToInt<int32_t>(from);
    }
    if (!number) {
      std::string names;
      for (int i = 0; i < type.value_count(); ++i) {
        names += (i == 0 ? "" : ", ") + type.value(i)->name();
      }
      return Wrong(place, "one of " + names, from);
    }
    if (field.is_repeated()) {
      to->GetReflection()->AddEnumValue(to, &field, *number);
    } else {
      to->GetReflection()->SetEnumValue(to, &field, *number);
    }
  }

  bool ReadWellKnown(const json::value& from, pb::Message* to, const Place& place) {
    const pb::Descriptor& type = *to->GetDescriptor();
    if (type.file()->package() != "google.protobuf") return false;
    if (auto* value = pb::DynamicCastToGenerated<pb::Value>(to)) {
      *value = ToValue(from);
    } else if (auto* object = pb::DynamicCastToGenerated<pb::Struct>(to)) {
      if (!from.is_object()) return Wrong(place, "an object", from), true;
      object->Swap(ToValue(from).mutable_struct_value());
    } else if (auto* list = pb::DynamicCastToGenerated<pb::ListValue>(to)) {
      if (!from.is_array()) return Wrong(place, "a list", from), true;
      list->Swap(ToValue(from).mutable_list_value());
    } else if (auto* time = pb::DynamicCastToGenerated<pb::Timestamp>(to)) {
      const bool good = from.is_string() && internal::ParseTimestamp(from.get_string(), time);
      if (!good) Wrong(place, "a time such as \"2026-01-31T12:00:00Z\"", from);
    } else if (auto* duration = pb::DynamicCastToGenerated<pb::Duration>(to)) {
      const bool good = from.is_string() && internal::ParseDuration(from.get_string(), duration);
      if (!good) Wrong(place, "seconds such as \"90s\"", from);
    } else if (pb::DynamicCastToGenerated<pb::Any>(to) != nullptr) {
      Report(place, "a message of any type cannot be given here, leave it out");
    } else if (type.field_count() == 1 && type.name().ends_with("Value")) {
      ReadSingle(from, to, *type.field(0), place);  // wrappers: StringValue, Int32Value, …
    } else {
      return false;
    }
    return true;
  }

  void Unknown(const Place& place, const pb::Descriptor& type) {
    std::vector<std::string> names;
    const bool is_snake = place.name.find('_') != std::string_view::npos;
    for (int i = 0; i < type.field_count(); ++i) {
      names.push_back(type.field(i)->json_name());
      if (is_snake) names.push_back(type.field(i)->name());
    }
    const std::string meant = DidYouMean(place.name, names);
    if (!meant.empty()) return Report(place, "unknown field" + meant);
    std::string known;
    for (int i = 0; i < type.field_count(); ++i) {
      known += (i == 0 ? "" : ", ") + type.field(i)->json_name();
    }
    Report(place, known.empty() ? "unknown field, nothing can be given here"
                                : "unknown field, known here are " + known);
  }

  void Wrong(const Place& place, std::string_view wanted, const json::value& got) {
    Report(place, std::string("wants ").append(wanted) + ", got " + Described(got));
  }

  void Report(const Place& place, std::string message) {
    if (faults_.size() < kMaxFaults) faults_.push_back({place.Text(), std::move(message)});
  }

  const UnknownFields unknown_;
  std::vector<Fault>& faults_;
};

}  // namespace

std::vector<Fault> FromJson(const json::value& json, pb::Message* message, UnknownFields unknown,
                            const std::string& path) {
  std::vector<Fault> faults;
  message->Clear();
  Reader(unknown, &faults).ReadMessage(json, message, Place{nullptr, path});
  return faults;
}

base::Status FromJsonText(std::string_view text, pb::Message* message, UnknownFields unknown) {
  CAUDAL_ASSIGN(const json::value value, ParseJson(text));
  return base::FaultsToStatus(FromJson(value, message, unknown));
}

}  // namespace caudal::wire
