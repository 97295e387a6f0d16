#pragma once

/// Values as expressions see them: typed, immutable, shared. Strings, lists and maps may refer to
/// the messages they come from; such a value lives no longer than its evaluation.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/status.h"

namespace caudal::expr {

class Budget;
class List;
class Map;
class Record;

struct Null {};
struct Text {
  std::shared_ptr<const std::string> text;
};
struct Bytes {
  std::shared_ptr<const std::string> bytes;
};
struct TypeName {
  std::string_view name;  ///< a literal
};
struct Timestamp {
  int64_t seconds = 0;  ///< since 1970, years 1 to 9999
  int32_t nanos = 0;    ///< 0 to 999,999,999
};
struct Duration {
  int64_t nanos = 0;
};

/// In the order of Value's alternatives.
enum class Kind {
  kNull,
  kBool,
  kInt,
  kUint,
  kDouble,
  kString,
  kBytes,
  kList,
  kMap,
  kRecord,
  kType,
  kTimestamp,
  kDuration,
};

class Value {
 public:
  using Data = std::variant<Null, bool, int64_t, uint64_t, double, Text, Bytes,
                            std::shared_ptr<const List>, std::shared_ptr<const Map>,
                            std::shared_ptr<const Record>, TypeName, Timestamp, Duration>;

  Value() = default;
  explicit Value(Data data) : data_(std::move(data)) {}
  static Value OfBool(bool flag) { return Value(Data(flag)); }
  static Value OfInt(int64_t number) { return Value(Data(number)); }
  static Value OfUint(uint64_t number) { return Value(Data(number)); }
  static Value OfDouble(double number) { return Value(Data(number)); }
  static Value OfString(std::string text);
  static Value OfBytes(std::string bytes);
  static Value OfList(std::vector<Value> elements);
  static Value OfType(std::string_view literal) { return Value(Data(TypeName{literal})); }
  /// Refers to `text`, which must outlive it.
  static Value Borrowed(const std::string& text);

  Kind kind() const { return static_cast<Kind>(data_.index()); }
  bool Is(Kind kind) const { return this->kind() == kind; }
  bool IsNumber() const { return kind() >= Kind::kInt && kind() <= Kind::kDouble; }

  // Each only for a value of that kind.
  bool boolean() const { return std::get<bool>(data_); }
  int64_t integer() const { return std::get<int64_t>(data_); }
  uint64_t unsigned_integer() const { return std::get<uint64_t>(data_); }
  double real() const { return std::get<double>(data_); }
  const std::string& text() const { return *std::get<Text>(data_).text; }
  const std::string& bytes() const { return *std::get<Bytes>(data_).bytes; }
  const List& list() const { return *std::get<std::shared_ptr<const List>>(data_); }
  const Map& map() const { return *std::get<std::shared_ptr<const Map>>(data_); }
  const Record& record() const { return *std::get<std::shared_ptr<const Record>>(data_); }
  std::string_view type_name() const { return std::get<TypeName>(data_).name; }
  const Timestamp& timestamp() const { return std::get<Timestamp>(data_); }
  const Duration& duration() const { return std::get<Duration>(data_); }

 private:
  Data data_;
};

using Outcome = base::Result<Value>;

/// The name of its type, as `type(x)` gives it: "int", "google.protobuf.Timestamp".
std::string_view TypeNameOf(const Value& value);

class List {
 public:
  virtual ~List() = default;
  virtual size_t size() const = 0;
  virtual Value At(size_t index) const = 0;  ///< index < size
};

class Map {
 public:
  virtual ~Map() = default;
  virtual size_t size() const = 0;
  virtual std::optional<Value> Find(const Value& key) const = 0;
  virtual std::vector<Value> Keys() const = 0;  ///< in a fixed order
};

/// A message with named fields.
class Record {
 public:
  using Fields = std::vector<std::pair<std::string_view, Value>>;  // names are literals
  Record(std::string_view type, Fields fields) : type_(type), fields_(std::move(fields)) {}

  std::string_view type() const { return type_; }
  const Fields& fields() const { return fields_; }
  const Value* Find(std::string_view name) const;

 private:
  std::string_view type_;
  Fields fields_;
};

/// A map that owns what it holds. Errors: a key that is none or is there twice.
Outcome MakeMap(std::vector<std::pair<Value, Value>> entries);

/// Whether they are equal; numbers of all types compare by their value, other types never.
bool Equal(const Value& left, const Value& right, Budget& budget);

enum class Order { kLess, kEqual, kGreater, kUnordered };

/// Order of two values; nothing when they have none. Unordered: one is NaN.
std::optional<Order> Compare(const Value& left, const Value& right, Budget& budget);

/// Whether a message's field counts as set: what is neither empty nor zero.
bool IsSet(const Value& value);

}  // namespace caudal::expr
