#include "expr/internal/json.h"

#include <openssl/evp.h>

#include <boost/json.hpp>
#include <cmath>
#include <map>

#include "expr/internal/times.h"
#include "wire/json.h"

namespace caudal::expr {
namespace {

namespace json = boost::json;
using Proto = google::protobuf::Value;

class ListView : public List {
 public:
  explicit ListView(const google::protobuf::ListValue& list) : list_(list) {}
  size_t size() const override { return static_cast<size_t>(list_.values_size()); }
  Value At(size_t index) const override { return Unwrapped(list_.values(static_cast<int>(index))); }

 private:
  const google::protobuf::ListValue& list_;
};

class ObjectView : public Map {
 public:
  explicit ObjectView(const google::protobuf::Struct& object) : object_(object) {}
  size_t size() const override { return object_.fields().size(); }
  std::optional<Value> Find(const Value& key) const override {
    if (!key.Is(Kind::kString)) return {};
    const auto found = object_.fields().find(key.text());
    if (found == object_.fields().end()) return {};
    return Unwrapped(found->second);
  }
  std::vector<Value> Keys() const override {
    std::map<std::string_view, const std::string*> sorted;
    for (const auto& field : object_.fields()) sorted.emplace(field.first, &field.first);
    std::vector<Value> keys;
    for (const auto& [name, key] : sorted) keys.push_back(Value::Borrowed(*key));
    return keys;
  }

 private:
  const google::protobuf::Struct& object_;
};

Outcome FromJson(const json::value& value);

Outcome FromArray(const json::array& array) {
  std::vector<Value> elements;
  elements.reserve(array.size());
  for (const json::value& element : array) {
    CAUDAL_ASSIGN(Value made, FromJson(element));
    elements.push_back(std::move(made));
  }
  return Value::OfList(std::move(elements));
}

Outcome FromObject(const json::object& object) {
  std::vector<std::pair<Value, Value>> entries;
  entries.reserve(object.size());
  for (const auto& [name, field] : object) {
    CAUDAL_ASSIGN(Value made, FromJson(field));
    entries.emplace_back(Value::OfString(std::string(name)), std::move(made));
  }
  return MakeMap(std::move(entries));
}

/// Its depth is bounded by the limits it was parsed with.
Outcome FromJson(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return Value();
    case json::kind::bool_:
      return Value::OfBool(value.get_bool());
    case json::kind::int64:
      return Value::OfDouble(static_cast<double>(value.get_int64()));
    case json::kind::uint64:
      return Value::OfDouble(static_cast<double>(value.get_uint64()));
    case json::kind::double_:
      return Value::OfDouble(value.get_double());
    case json::kind::string:
      return Value::OfString(std::string(value.get_string()));
    case json::kind::array:
      return FromArray(value.get_array());
    case json::kind::object:
      return FromObject(value.get_object());
  }
  return Value();
}

std::string Base64(const std::string& bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                   reinterpret_cast<const unsigned char*>(bytes.data()),
                                   static_cast<int>(bytes.size()));
  text.resize(static_cast<size_t>(size));
  return text;
}

constexpr int64_t kExact = int64_t{1} << 53;

class Wrapper {
 public:
  explicit Wrapper(Budget& budget) : budget_(budget) {}

  base::Status Wrap(const Value& value, int depth, Proto* out) {
    if (!budget_.Produce(sizeof(Proto))) return budget_.Error();
    switch (value.kind()) {
      case Kind::kNull:
        out->set_null_value(google::protobuf::NULL_VALUE);
        return base::OkStatus();
      case Kind::kBool:
        out->set_bool_value(value.boolean());
        return base::OkStatus();
      case Kind::kDouble:
        if (!std::isfinite(value.real())) return NoJson("a number that is not finite");
        out->set_number_value(value.real());
        return base::OkStatus();
      case Kind::kInt:
        return WrapInt(value.integer(), out);
      case Kind::kUint:
        if (value.unsigned_integer() <= static_cast<uint64_t>(kExact)) {
          return WrapInt(static_cast<int64_t>(value.unsigned_integer()), out);
        }
        out->set_string_value(std::to_string(value.unsigned_integer()));
        return base::OkStatus();
      case Kind::kList:
        return WrapList(value.list(), depth + 1, out);
      case Kind::kMap:
        return WrapMap(value.map(), depth + 1, out);
      case Kind::kRecord:
      case Kind::kType:
        return NoJson("a " + std::string(TypeNameOf(value)));
      default:
        return WrapText(value, out);
    }
  }

 private:
  static base::Status NoJson(const std::string& what) {
    return base::InvalidArgument("the result cannot be a parameter: it is or holds " + what);
  }

  base::Status WrapInt(int64_t number, Proto* out) {
    if (number > -kExact && number < kExact) {
      out->set_number_value(static_cast<double>(number));
    } else {
      out->set_string_value(std::to_string(number));
    }
    return base::OkStatus();
  }

  base::Status WrapText(const Value& value, Proto* out) {
    std::string text;
    if (value.Is(Kind::kString)) text = value.text();
    if (value.Is(Kind::kBytes)) text = Base64(value.bytes());
    if (value.Is(Kind::kTimestamp)) text = TimestampText(value.timestamp());
    if (value.Is(Kind::kDuration)) text = DurationText(value.duration());
    if (!budget_.Produce(text.size())) return budget_.Error();
    out->set_string_value(std::move(text));
    return base::OkStatus();
  }

  base::Status CheckDepth(int depth) {
    if (depth <= wire::kMaxValueDepth) return base::OkStatus();
    return base::InvalidArgument("the result is nested deeper than " +
                                 std::to_string(wire::kMaxValueDepth));
  }

  base::Status WrapList(const List& list, int depth, Proto* out) {
    CAUDAL_TRY(CheckDepth(depth));
    auto* values = out->mutable_list_value();
    for (size_t i = 0; i < list.size(); ++i) {
      CAUDAL_TRY(Wrap(list.At(i), depth, values->add_values()));
    }
    return base::OkStatus();
  }

  base::Status WrapMap(const Map& map, int depth, Proto* out) {
    CAUDAL_TRY(CheckDepth(depth));
    if (!budget_.Produce(map.size() * sizeof(Value))) return budget_.Error();
    auto& fields = *out->mutable_struct_value()->mutable_fields();
    for (const Value& key : map.Keys()) {
      CAUDAL_TRY(Wrap(*map.Find(key), depth, &fields[KeyName(key)]));
    }
    return base::OkStatus();
  }

  static std::string KeyName(const Value& key) {
    if (key.Is(Kind::kString)) return key.text();
    if (key.Is(Kind::kBool)) return key.boolean() ? "true" : "false";
    if (key.Is(Kind::kInt)) return std::to_string(key.integer());
    return std::to_string(key.unsigned_integer());
  }

  Budget& budget_;
};

}  // namespace

Value Unwrapped(const Proto& value) {
  switch (value.kind_case()) {
    case Proto::kBoolValue:
      return Value::OfBool(value.bool_value());
    case Proto::kNumberValue:
      return Value::OfDouble(value.number_value());
    case Proto::kStringValue:
      return Value::Borrowed(value.string_value());
    case Proto::kListValue:
      return Value(
          Value::Data(std::shared_ptr<const List>(std::make_shared<ListView>(value.list_value()))));
    case Proto::kStructValue:
      return Unwrapped(value.struct_value());
    case Proto::kNullValue:
    case Proto::KIND_NOT_SET:
      return Value();
  }
  return Value();
}

Value Unwrapped(const google::protobuf::Struct& object) {
  return Value(Value::Data(std::shared_ptr<const Map>(std::make_shared<ObjectView>(object))));
}

Outcome ParseJsonText(const std::string& text, Budget& budget) {
  // each element of the text becomes a value, many times as large as the letters it is written in
  constexpr size_t kMaxNodes = 1'000'000;
  if (!budget.Produce(text.size() * 4)) return budget.Error();
  auto parsed = wire::ParseJson(
      text, {.depth = static_cast<size_t>(wire::kMaxValueDepth), .nodes = kMaxNodes});
  if (!parsed.ok()) {
    return base::InvalidArgument("failed to unmarshal JSON: " + parsed.status().message());
  }
  return FromJson(*parsed);
}

base::Result<Proto> Wrapped(const Value& value, Budget& budget) {
  Proto wrapped;
  CAUDAL_TRY(Wrapper(budget).Wrap(value, 0, &wrapped));
  return wrapped;
}

}  // namespace caudal::expr
