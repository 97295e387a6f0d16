#include <google/protobuf/any.pb.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/dynamic_message.h>

#include <algorithm>
#include <cmath>

#include "wire/internal/text.h"
#include "wire/json.h"

namespace caudal::wire {
namespace {

namespace pb = google::protobuf;
using internal::AppendString;
using internal::HtmlEscapes;

class Writer {
 public:
  Writer(FieldNames names, std::string* out) : names_(names), out_(*out) {}

  void WriteMessage(const pb::Message& message) {
    if (WriteWellKnown(message)) return;
    out_ += '{';
    WriteFields(message, /*first=*/true);
    out_ += '}';
  }

 private:
  void WriteFields(const pb::Message& message, bool first) {
    const pb::Descriptor& type = *message.GetDescriptor();
    const pb::Reflection& reflection = *message.GetReflection();
    for (int i = 0; i < type.field_count(); ++i) {
      const pb::FieldDescriptor& field = *type.field(i);
      const bool is_set = field.is_repeated() ? reflection.FieldSize(message, &field) > 0
                                              : reflection.HasField(message, &field);
      if (!is_set) continue;
      if (!first) out_ += ',';
      first = false;
      AppendString(Name(field), HtmlEscapes::kNo, &out_);
      out_ += ':';
      WriteField(message, field);
    }
  }

  const std::string& Name(const pb::FieldDescriptor& field) const {
    return names_ == FieldNames::kCamelCase ? field.json_name() : field.name();
  }

  void WriteField(const pb::Message& message, const pb::FieldDescriptor& field) {
    if (field.is_map()) return WriteMap(message, field);
    if (!field.is_repeated()) return WriteSingle(message, field, -1);
    out_ += '[';
    const int size = message.GetReflection()->FieldSize(message, &field);
    for (int i = 0; i < size; ++i) {
      if (i > 0) out_ += ',';
      WriteSingle(message, field, i);
    }
    out_ += ']';
  }

  /// Entries in the order of their keys, so that equal maps give equal text.
  void WriteMap(const pb::Message& message, const pb::FieldDescriptor& field) {
    const pb::Reflection& reflection = *message.GetReflection();
    const pb::FieldDescriptor& key_field = *field.message_type()->map_key();
    std::vector<std::pair<std::string, const pb::Message*>> entries;
    for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
      const pb::Message& entry = reflection.GetRepeatedMessage(message, &field, i);
      entries.emplace_back(MapKey(entry, key_field), &entry);
    }
    std::sort(entries.begin(), entries.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    out_ += '{';
    for (const auto& [key, entry] : entries) {
      if (entry != entries.front().second) out_ += ',';
      AppendString(key, HtmlEscapes::kNo, &out_);
      out_ += ':';
      WriteSingle(*entry, *field.message_type()->map_value(), -1);
    }
    out_ += '}';
  }

  static std::string MapKey(const pb::Message& entry, const pb::FieldDescriptor& key) {
    const pb::Reflection& reflection = *entry.GetReflection();
    switch (key.cpp_type()) {
      case pb::FieldDescriptor::CPPTYPE_INT32:
        return std::to_string(reflection.GetInt32(entry, &key));
      case pb::FieldDescriptor::CPPTYPE_INT64:
        return std::to_string(reflection.GetInt64(entry, &key));
      case pb::FieldDescriptor::CPPTYPE_UINT32:
        return std::to_string(reflection.GetUInt32(entry, &key));
      case pb::FieldDescriptor::CPPTYPE_UINT64:
        return std::to_string(reflection.GetUInt64(entry, &key));
      case pb::FieldDescriptor::CPPTYPE_BOOL:
        return reflection.GetBool(entry, &key) ? "true" : "false";
      default:
        return reflection.GetString(entry, &key);
    }
  }

  /// One value: element `index` of a repeated field, or the field itself when `index` is -1.
  void WriteSingle(const pb::Message& message, const pb::FieldDescriptor& field, int index) {
    const pb::Reflection& r = *message.GetReflection();
    const bool one = index < 0;
    switch (field.cpp_type()) {
      case pb::FieldDescriptor::CPPTYPE_INT32:
        out_ += std::to_string(one ? r.GetInt32(message, &field)
                                   : r.GetRepeatedInt32(message, &field, index));
        return;
      case pb::FieldDescriptor::CPPTYPE_UINT32:
        out_ += std::to_string(one ? r.GetUInt32(message, &field)
                                   : r.GetRepeatedUInt32(message, &field, index));
        return;
      case pb::FieldDescriptor::CPPTYPE_INT64:
        WriteQuoted(std::to_string(one ? r.GetInt64(message, &field)
                                       : r.GetRepeatedInt64(message, &field, index)));
        return;
      case pb::FieldDescriptor::CPPTYPE_UINT64:
        WriteQuoted(std::to_string(one ? r.GetUInt64(message, &field)
                                       : r.GetRepeatedUInt64(message, &field, index)));
        return;
      case pb::FieldDescriptor::CPPTYPE_DOUBLE:
        WriteFloat(one ? r.GetDouble(message, &field)
                       : r.GetRepeatedDouble(message, &field, index));
        return;
      case pb::FieldDescriptor::CPPTYPE_FLOAT:
        WriteFloat(one ? r.GetFloat(message, &field) : r.GetRepeatedFloat(message, &field, index));
        return;
      case pb::FieldDescriptor::CPPTYPE_BOOL:
        out_ += (one ? r.GetBool(message, &field) : r.GetRepeatedBool(message, &field, index))
                    ? "true"
                    : "false";
        return;
      case pb::FieldDescriptor::CPPTYPE_ENUM:
        WriteEnum(*field.enum_type(), one ? r.GetEnumValue(message, &field)
                                          : r.GetRepeatedEnumValue(message, &field, index));
        return;
      case pb::FieldDescriptor::CPPTYPE_STRING:
        WriteText(field,
                  one ? r.GetString(message, &field) : r.GetRepeatedString(message, &field, index));
        return;
      case pb::FieldDescriptor::CPPTYPE_MESSAGE:
        WriteMessage(one ? r.GetMessage(message, &field)
                         : r.GetRepeatedMessage(message, &field, index));
        return;
    }
  }

  void WriteQuoted(std::string_view text) { AppendString(text, HtmlEscapes::kNo, &out_); }

  template <typename Float>
  void WriteFloat(Float number) {
    if (std::isnan(number)) return WriteQuoted("NaN");
    if (std::isinf(number)) return WriteQuoted(number < 0 ? "-Infinity" : "Infinity");
    internal::AppendNumber(number, &out_);
  }

  void WriteEnum(const pb::EnumDescriptor& type, int number) {
    const pb::EnumValueDescriptor* value = type.FindValueByNumber(number);
    if (value == nullptr) {
      out_ += std::to_string(number);
    } else {
      WriteQuoted(value->name());
    }
  }

  void WriteText(const pb::FieldDescriptor& field, const std::string& text) {
    const bool is_bytes = field.type() == pb::FieldDescriptor::TYPE_BYTES;
    WriteQuoted(is_bytes ? internal::Base64(text) : text);
  }

  bool WriteWellKnown(const pb::Message& message) {
    const pb::Descriptor* type = message.GetDescriptor();
    if (type->file()->package() != "google.protobuf") return false;
    if (auto* value = pb::DynamicCastToGenerated<pb::Value>(&message)) {
      WriteValue(*value);
    } else if (auto* object = pb::DynamicCastToGenerated<pb::Struct>(&message)) {
      WriteStruct(*object);
    } else if (auto* list = pb::DynamicCastToGenerated<pb::ListValue>(&message)) {
      WriteList(*list);
    } else if (auto* time = pb::DynamicCastToGenerated<pb::Timestamp>(&message)) {
      WriteQuoted(internal::TimestampText(*time));
    } else if (auto* duration = pb::DynamicCastToGenerated<pb::Duration>(&message)) {
      WriteQuoted(internal::DurationText(*duration));
    } else if (auto* any = pb::DynamicCastToGenerated<pb::Any>(&message)) {
      WriteAny(*any);
    } else if (type->field_count() == 1 && type->name().ends_with("Value")) {
      WriteSingle(message, *type->field(0), -1);  // wrappers: StringValue, Int32Value, …
    } else {
      return false;
    }
    return true;
  }

  void WriteAny(const pb::Any& any) {
    out_ += "{\"@type\":";
    WriteQuoted(any.type_url());
    const std::string name = any.type_url().substr(any.type_url().rfind('/') + 1);
    const auto* type = pb::DescriptorPool::generated_pool()->FindMessageTypeByName(name);
    if (type != nullptr) {
      const std::unique_ptr<pb::Message> content(
          pb::MessageFactory::generated_factory()->GetPrototype(type)->New());
      if (content->ParseFromString(any.value())) WriteFields(*content, /*first=*/false);
    }
    out_ += '}';
  }

  void WriteList(const pb::ListValue& list) {
    out_ += '[';
    for (int i = 0; i < list.values_size(); ++i) {
      if (i > 0) out_ += ',';
      WriteValue(list.values(i));
    }
    out_ += ']';
  }

  void WriteStruct(const pb::Struct& object) {
    std::vector<std::pair<std::string_view, const pb::Value*>> entries;
    entries.reserve(object.fields().size());
    for (const auto& [key, value] : object.fields()) entries.emplace_back(key, &value);
    std::sort(entries.begin(), entries.end());
    out_ += '{';
    for (const auto& [key, value] : entries) {
      if (value != entries.front().second) out_ += ',';
      WriteQuoted(key);
      out_ += ':';
      WriteValue(*value);
    }
    out_ += '}';
  }

  void WriteValue(const pb::Value& value) {
    switch (value.kind_case()) {
      case pb::Value::KIND_NOT_SET:
      case pb::Value::kNullValue:
        out_ += "null";
        return;
      case pb::Value::kBoolValue:
        out_ += value.bool_value() ? "true" : "false";
        return;
      case pb::Value::kNumberValue:
        // JSON has no other numbers, and a list must not fail to print for one of them.
        if (!std::isfinite(value.number_value())) {
          out_ += "null";
        } else {
          internal::AppendNumber(value.number_value(), &out_);
        }
        return;
      case pb::Value::kStringValue:
        WriteQuoted(value.string_value());
        return;
      case pb::Value::kListValue:
        WriteList(value.list_value());
        return;
      case pb::Value::kStructValue:
        WriteStruct(value.struct_value());
        return;
    }
  }

  const FieldNames names_;
  std::string& out_;
};

}  // namespace

std::string ToJson(const pb::Message& message, FieldNames names) {
  std::string text;
  Writer(names, &text).WriteMessage(message);
  return text;
}

}  // namespace caudal::wire
