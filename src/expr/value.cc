#include "expr/internal/value.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "expr/internal/budget.h"

namespace caudal::expr {
namespace {

constexpr double kTwoTo63 = 9223372036854775808.0;
constexpr double kTwoTo64 = 18446744073709551616.0;

class OwnList : public List {
 public:
  explicit OwnList(std::vector<Value> elements) : elements_(std::move(elements)) {}
  size_t size() const override { return elements_.size(); }
  Value At(size_t index) const override { return elements_[index]; }

 private:
  std::vector<Value> elements_;
};

/// Whole numbers of all types are one key: negative ones in `below`, others in `number`.
struct Key {
  int rank = 0;  // 0 bool, 1 negative number, 2 other number, 3 string
  int64_t below = 0;
  uint64_t number = 0;
  std::string text;

  auto operator<=>(const Key&) const = default;
};

Key KeyOfInt(int64_t number) {
  if (number < 0) return {.rank = 1, .below = number, .text = {}};
  return {.rank = 2, .number = static_cast<uint64_t>(number), .text = {}};
}

/// What to look for; nothing when no map can hold it.
std::optional<Key> KeyOf(const Value& value) {
  switch (value.kind()) {
    case Kind::kBool:
      return Key{.rank = 0, .number = value.boolean(), .text = {}};
    case Kind::kInt:
      return KeyOfInt(value.integer());
    case Kind::kUint:
      return Key{.rank = 2, .number = value.unsigned_integer(), .text = {}};
    case Kind::kDouble: {
      const double number = value.real();
      if (!(number >= -kTwoTo63 && number < kTwoTo64) || number != std::trunc(number)) return {};
      if (number < 0) return KeyOfInt(static_cast<int64_t>(number));
      return Key{.rank = 2, .number = static_cast<uint64_t>(number), .text = {}};
    }
    case Kind::kString:
      return Key{.rank = 3, .text = value.text()};
    default:
      return {};
  }
}

class OwnMap : public Map {
 public:
  using Entries = std::map<Key, std::pair<Value, Value>>;
  explicit OwnMap(Entries entries) : entries_(std::move(entries)) {}
  size_t size() const override { return entries_.size(); }
  std::optional<Value> Find(const Value& key) const override {
    const auto wanted = KeyOf(key);
    if (!wanted) return {};
    const auto found = entries_.find(*wanted);
    if (found == entries_.end()) return {};
    return found->second.second;
  }
  std::vector<Value> Keys() const override {
    std::vector<Value> keys;
    keys.reserve(entries_.size());
    for (const auto& [key, entry] : entries_) keys.push_back(entry.first);
    return keys;
  }

 private:
  Entries entries_;
};

template <typename T>
Order OrderOf(const T& left, const T& right) {
  if (left < right) return Order::kLess;
  return right < left ? Order::kGreater : Order::kEqual;
}

Order Reverse(Order order) {
  if (order == Order::kLess) return Order::kGreater;
  return order == Order::kGreater ? Order::kLess : order;
}

double AsDouble(const Value& value) {
  if (value.Is(Kind::kInt)) return static_cast<double>(value.integer());
  if (value.Is(Kind::kUint)) return static_cast<double>(value.unsigned_integer());
  return value.real();
}

Order CompareNumbers(const Value& left, const Value& right) {
  if (left.Is(Kind::kDouble) || right.Is(Kind::kDouble)) {
    const double a = AsDouble(left), b = AsDouble(right);
    if (std::isnan(a) || std::isnan(b)) return Order::kUnordered;
    return OrderOf(a, b);
  }
  if (left.kind() == right.kind()) {
    return left.Is(Kind::kInt) ? OrderOf(left.integer(), right.integer())
                               : OrderOf(left.unsigned_integer(), right.unsigned_integer());
  }
  if (left.Is(Kind::kUint)) return Reverse(CompareNumbers(right, left));
  if (left.integer() < 0) return Order::kLess;
  return OrderOf(static_cast<uint64_t>(left.integer()), right.unsigned_integer());
}

Order CompareTexts(const std::string& left, const std::string& right, Budget& budget) {
  budget.Scan(std::min(left.size(), right.size()));
  return OrderOf(left, right);
}

bool EqualLists(const List& left, const List& right, Budget& budget) {
  if (left.size() != right.size()) return false;
  for (size_t i = 0; i < left.size(); ++i) {
    if (!Equal(left.At(i), right.At(i), budget)) return false;
  }
  return true;
}

bool EqualMaps(const Map& left, const Map& right, Budget& budget) {
  if (left.size() != right.size() || !budget.Produce(left.size() * sizeof(Value))) return false;
  for (const Value& key : left.Keys()) {
    const auto mine = left.Find(key), other = right.Find(key);
    if (!mine || !other || !Equal(*mine, *other, budget)) return false;
  }
  return true;
}

bool EqualRecords(const Record& left, const Record& right, Budget& budget) {
  if (left.type() != right.type()) return false;
  for (const auto& [name, value] : left.fields()) {
    const Value* other = right.Find(name);
    if (other == nullptr || !Equal(value, *other, budget)) return false;
  }
  return true;
}

}  // namespace

Value Value::OfString(std::string text) {
  return Value(Data(Text{std::make_shared<const std::string>(std::move(text))}));
}

Value Value::OfBytes(std::string bytes) {
  return Value(Data(Bytes{std::make_shared<const std::string>(std::move(bytes))}));
}

Value Value::OfList(std::vector<Value> elements) {
  return Value(Data(std::shared_ptr<const List>(std::make_shared<OwnList>(std::move(elements)))));
}

Value Value::Borrowed(const std::string& text) {
  return Value(Data(Text{std::shared_ptr<const std::string>(std::shared_ptr<void>(), &text)}));
}

std::string_view TypeNameOf(const Value& value) {
  switch (value.kind()) {
    case Kind::kNull:
      return "null_type";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
      return "int";
    case Kind::kUint:
      return "uint";
    case Kind::kDouble:
      return "double";
    case Kind::kString:
      return "string";
    case Kind::kBytes:
      return "bytes";
    case Kind::kList:
      return "list";
    case Kind::kMap:
      return "map";
    case Kind::kRecord:
      return value.record().type();
    case Kind::kType:
      return "type";
    case Kind::kTimestamp:
      return "google.protobuf.Timestamp";
    case Kind::kDuration:
      return "google.protobuf.Duration";
  }
  return "";
}

const Value* Record::Find(std::string_view name) const {
  for (const auto& field : fields_) {
    if (field.first == name) return &field.second;
  }
  return nullptr;
}

Outcome MakeMap(std::vector<std::pair<Value, Value>> entries) {
  OwnMap::Entries made;
  for (auto& entry : entries) {
    const auto key = KeyOf(entry.first);
    if (!key || entry.first.Is(Kind::kDouble)) {
      return base::InvalidArgument("unsupported key type: " + std::string(TypeNameOf(entry.first)));
    }
    if (!made.emplace(*key, std::move(entry)).second) {
      return base::InvalidArgument("a map has a key twice");
    }
  }
  return Value(Value::Data(std::shared_ptr<const Map>(std::make_shared<OwnMap>(std::move(made)))));
}

bool Equal(const Value& left, const Value& right, Budget& budget) {
  if (!budget.Step()) return false;
  if (left.IsNumber() && right.IsNumber()) return CompareNumbers(left, right) == Order::kEqual;
  if (left.kind() != right.kind()) return false;
  switch (left.kind()) {
    case Kind::kNull:
      return true;
    case Kind::kList:
      return EqualLists(left.list(), right.list(), budget);
    case Kind::kMap:
      return EqualMaps(left.map(), right.map(), budget);
    case Kind::kRecord:
      return EqualRecords(left.record(), right.record(), budget);
    case Kind::kType:
      return left.type_name() == right.type_name();
    default:
      return Compare(left, right, budget) == Order::kEqual;
  }
}

std::optional<Order> Compare(const Value& left, const Value& right, Budget& budget) {
  if (left.IsNumber() && right.IsNumber()) return CompareNumbers(left, right);
  if (left.kind() != right.kind()) return {};
  switch (left.kind()) {
    case Kind::kBool:
      return OrderOf(left.boolean(), right.boolean());
    case Kind::kString:
      return CompareTexts(left.text(), right.text(), budget);
    case Kind::kBytes:
      return CompareTexts(left.bytes(), right.bytes(), budget);
    case Kind::kTimestamp:
      return OrderOf(std::pair(left.timestamp().seconds, left.timestamp().nanos),
                     std::pair(right.timestamp().seconds, right.timestamp().nanos));
    case Kind::kDuration:
      return OrderOf(left.duration().nanos, right.duration().nanos);
    default:
      return {};
  }
}

bool IsSet(const Value& value) {
  switch (value.kind()) {
    case Kind::kNull:
      return false;
    case Kind::kString:
      return !value.text().empty();
    case Kind::kList:
      return value.list().size() > 0;
    case Kind::kMap:
      return value.map().size() > 0;
    default:
      return true;
  }
}

}  // namespace caudal::expr
