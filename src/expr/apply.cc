// Functions that compare, look up and measure; the others by topic in files of their own.

#include <cmath>

#include "base/utf8.h"
#include "expr/internal/evaluate.h"
#include "expr/internal/functions.h"

namespace caudal::expr {
namespace {

Value Ordered(Function function, Order order) {
  switch (function) {
    case Function::kLess:
      return Value::OfBool(order == Order::kLess);
    case Function::kLessEqual:
      return Value::OfBool(order == Order::kLess || order == Order::kEqual);
    case Function::kGreater:
      return Value::OfBool(order == Order::kGreater);
    default:
      return Value::OfBool(order == Order::kGreater || order == Order::kEqual);
  }
}

/// A list's index: any number that is whole.
std::optional<int64_t> IndexOf(const Value& key) {
  switch (key.kind()) {
    case Kind::kInt:
      return key.integer();
    case Kind::kUint:
      return key.unsigned_integer() > INT64_MAX ? INT64_MAX
                                                : static_cast<int64_t>(key.unsigned_integer());
    case Kind::kDouble:
      if (!(std::abs(key.real()) < 1e15) || key.real() != std::trunc(key.real())) return {};
      return static_cast<int64_t>(key.real());
    default:
      return {};
  }
}

/// How a key looks in a message.
std::string KeyText(const Value& key) {
  switch (key.kind()) {
    case Kind::kString:
      return base::Shortened(key.text(), 100);
    case Kind::kBool:
      return key.boolean() ? "true" : "false";
    case Kind::kInt:
      return std::to_string(key.integer());
    case Kind::kUint:
      return std::to_string(key.unsigned_integer()) + "u";
    case Kind::kDouble:
      return std::to_string(key.real());
    default:
      return "a " + std::string(TypeNameOf(key));
  }
}

Outcome Index(const Node& call, const std::vector<Value>& arguments) {
  const Value &object = arguments[0], &key = arguments[1];
  if (object.Is(Kind::kMap)) {
    auto value = object.map().Find(key);
    if (!value) return base::InvalidArgument("no such key: " + KeyText(key));
    return *std::move(value);
  }
  if (!object.Is(Kind::kList)) return NoOverload(call, arguments);
  const auto index = IndexOf(key);
  if (!index) {
    return base::InvalidArgument("a list's index is a whole number, not " + KeyText(key));
  }
  const size_t size = object.list().size();
  if (*index < 0 || static_cast<uint64_t>(*index) >= size) {
    return base::InvalidArgument("index out of bounds: " + std::to_string(*index) +
                                 " in a list of " + std::to_string(size));
  }
  return object.list().At(static_cast<size_t>(*index));
}

Outcome Contained(const Node& call, const std::vector<Value>& arguments, Budget& budget) {
  const Value& range = arguments[1];
  if (range.Is(Kind::kMap)) return Value::OfBool(range.map().Find(arguments[0]).has_value());
  if (!range.Is(Kind::kList)) return NoOverload(call, arguments);
  for (size_t i = 0; i < range.list().size() && !budget.spent(); ++i) {
    if (Equal(arguments[0], range.list().At(i), budget)) return Value::OfBool(true);
  }
  return Value::OfBool(false);
}

size_t Characters(const std::string& text) {
  size_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return count;
}

Outcome Size(const Node& call, const std::vector<Value>& arguments, Budget& budget) {
  const Value& value = arguments[0];
  size_t size = 0;
  switch (value.kind()) {
    case Kind::kString:
      budget.Scan(value.text().size());
      size = Characters(value.text());
      break;
    case Kind::kBytes:
      size = value.bytes().size();
      break;
    case Kind::kList:
      size = value.list().size();
      break;
    case Kind::kMap:
      size = value.map().size();
      break;
    default:
      return NoOverload(call, arguments);
  }
  return Value::OfInt(static_cast<int64_t>(size));
}

/// Number of arguments that a function takes at least and at most.
std::pair<size_t, size_t> Arity(Function function) {
  if (function >= Function::kGetDate) return {1, 2};
  switch (function) {
    case Function::kNegate:
    case Function::kNot:
    case Function::kSize:
      return {1, 1};
    default:
      break;
  }
  return function >= Function::kBool ? std::pair<size_t, size_t>{1, 1}
                                     : std::pair<size_t, size_t>{2, 2};
}

}  // namespace

base::Status NoOverload(const Node& call, const std::vector<Value>& arguments) {
  std::string text = "no such overload: ";
  const auto name = [&](size_t i) { return std::string(TypeNameOf(arguments[i])); };
  if (call.function == Function::kIndex) {
    text += name(0) + "[" + name(1) + "]";
  } else if (call.function >= Function::kAdd && call.function < Function::kIndex) {
    text += arguments.size() == 1 ? call.name + name(0) : name(0) + " " + call.name + " " + name(1);
  } else {
    size_t first = 0;
    if (call.method) text += name(first++) + ".";
    text += call.name + "(";
    for (size_t i = first; i < arguments.size(); ++i) text += (i > first ? ", " : "") + name(i);
    text += ")";
  }
  return base::InvalidArgument(std::move(text));
}

Outcome Apply(const Node& call, const std::vector<Value>& arguments, Budget& budget) {
  const Function function = call.function;
  if (function == Function::kUnknown) {
    return base::InvalidArgument("unknown function '" + call.name + "'");
  }
  const auto [least, most] = Arity(function);
  if (arguments.size() < least || arguments.size() > most) return NoOverload(call, arguments);
  if (function >= Function::kGetDate) return ApplyTime(call, arguments, budget);
  switch (function) {
    case Function::kEqual:
      return Value::OfBool(Equal(arguments[0], arguments[1], budget));
    case Function::kNotEqual:
      return Value::OfBool(!Equal(arguments[0], arguments[1], budget));
    case Function::kLess:
    case Function::kLessEqual:
    case Function::kGreater:
    case Function::kGreaterEqual: {
      const auto order = Compare(arguments[0], arguments[1], budget);
      if (!order) return NoOverload(call, arguments);
      return Ordered(function, *order);
    }
    case Function::kNot:
      if (!arguments[0].Is(Kind::kBool)) return NoOverload(call, arguments);
      return Value::OfBool(!arguments[0].boolean());
    case Function::kIn:
      return Contained(call, arguments, budget);
    case Function::kIndex:
      return Index(call, arguments);
    case Function::kSize:
      return Size(call, arguments, budget);
    case Function::kDyn:
      return arguments[0];
    case Function::kType:
      return Value::OfType(TypeNameOf(arguments[0]));
    case Function::kAdd:
    case Function::kSubtract:
    case Function::kMultiply:
    case Function::kDivide:
    case Function::kModulo:
    case Function::kNegate:
      return ApplyArithmetic(call, arguments, budget);
    case Function::kContains:
    case Function::kStartsWith:
    case Function::kEndsWith:
    case Function::kMatches:
      return ApplyText(call, arguments, budget);
    default:
      return ApplyConversion(call, arguments, budget);
  }
}

}  // namespace caudal::expr
