#include <cmath>
#include <limits>

#include "expr/internal/evaluate.h"
#include "expr/internal/times.h"

namespace caudal::expr {
namespace {

template <typename T>
Outcome Whole(T number) {
  if constexpr (std::is_signed_v<T>) {
    return Value::OfInt(number);
  } else {
    return Value::OfUint(number);
  }
}

/// int and uint alike: what does not fit into 64 bits is an error.
template <typename T>
Outcome Integers(Function function, T left, T right) {
  const auto kind = std::is_signed_v<T> ? "integer overflow" : "unsigned integer overflow";
  T result{};
  bool overflow = false;
  switch (function) {
    case Function::kAdd:
      overflow = __builtin_add_overflow(left, right, &result);
      break;
    case Function::kSubtract:
      overflow = __builtin_sub_overflow(left, right, &result);
      break;
    case Function::kMultiply:
      overflow = __builtin_mul_overflow(left, right, &result);
      break;
    default: {
      const bool divide = function == Function::kDivide;
      if (right == 0) return base::InvalidArgument(divide ? "division by zero" : "modulus by zero");
      if constexpr (std::is_signed_v<T>) {
        overflow = left == std::numeric_limits<T>::min() && right == -1;
      }
      if (!overflow) result = static_cast<T>(divide ? left / right : left % right);
    }
  }
  if (overflow) return base::InvalidArgument(kind);
  return Whole(result);
}

Outcome Doubles(const Node& call, const std::vector<Value>& arguments) {
  const double left = arguments[0].real(), right = arguments[1].real();
  switch (call.function) {
    case Function::kAdd:
      return Value::OfDouble(left + right);
    case Function::kSubtract:
      return Value::OfDouble(left - right);
    case Function::kMultiply:
      return Value::OfDouble(left * right);
    case Function::kDivide:
      if (right == 0) {  // what IEEE 754 says, which C++ leaves open
        if (left == 0 || std::isnan(left)) return Value::OfDouble(std::nan(""));
        const bool negative = std::signbit(left) != std::signbit(right);
        return Value::OfDouble(negative ? -std::numeric_limits<double>::infinity()
                                        : std::numeric_limits<double>::infinity());
      }
      return Value::OfDouble(left / right);
    default:
      return NoOverload(call, arguments);
  }
}

Outcome Concatenate(const Value& left, const Value& right, Budget& budget) {
  if (left.Is(Kind::kString)) {
    if (!budget.Produce(left.text().size() + right.text().size())) return budget.Error();
    return Value::OfString(left.text() + right.text());
  }
  if (left.Is(Kind::kBytes)) {
    if (!budget.Produce(left.bytes().size() + right.bytes().size())) return budget.Error();
    return Value::OfBytes(left.bytes() + right.bytes());
  }
  const List &first = left.list(), &second = right.list();
  if (!budget.Produce((first.size() + second.size()) * sizeof(Value))) return budget.Error();
  std::vector<Value> elements;
  elements.reserve(first.size() + second.size());
  for (size_t i = 0; i < first.size(); ++i) elements.push_back(first.At(i));
  for (size_t i = 0; i < second.size(); ++i) elements.push_back(second.At(i));
  return Value::OfList(std::move(elements));
}

Outcome DurationOf(__int128 nanos) {
  if (nanos > std::numeric_limits<int64_t>::max() || nanos < std::numeric_limits<int64_t>::min()) {
    return base::InvalidArgument("duration out of range");
  }
  return Value(Value::Data(Duration{static_cast<int64_t>(nanos)}));
}

Outcome Moved(const Timestamp& time, const Duration& duration, int sign) {
  constexpr int64_t kSecond = 1'000'000'000;
  const int64_t seconds = duration.nanos / kSecond, nanos = duration.nanos % kSecond;
  CAUDAL_ASSIGN(const Timestamp moved,
                MakeTimestamp(time.seconds + sign * seconds, time.nanos + sign * nanos));
  return Value(Value::Data(moved));
}

/// Addition and subtraction with a timestamp or a duration on each side.
Outcome Times(const Node& call, const std::vector<Value>& arguments) {
  const Value &left = arguments[0], &right = arguments[1];
  const bool add = call.function == Function::kAdd;
  if (!add && call.function != Function::kSubtract) return NoOverload(call, arguments);
  const int sign = add ? 1 : -1;
  if (left.Is(Kind::kDuration) && right.Is(Kind::kDuration)) {
    return DurationOf(static_cast<__int128>(left.duration().nanos) +
                      sign * static_cast<__int128>(right.duration().nanos));
  }
  if (left.Is(Kind::kTimestamp) && right.Is(Kind::kDuration)) {
    return Moved(left.timestamp(), right.duration(), sign);
  }
  if (add && left.Is(Kind::kDuration) && right.Is(Kind::kTimestamp)) {
    return Moved(right.timestamp(), left.duration(), 1);
  }
  if (!add && left.Is(Kind::kTimestamp) && right.Is(Kind::kTimestamp)) {
    const Timestamp &a = left.timestamp(), &b = right.timestamp();
    return DurationOf(static_cast<__int128>(a.seconds - b.seconds) * 1'000'000'000 + a.nanos -
                      b.nanos);
  }
  return NoOverload(call, arguments);
}

Outcome Negate(const Node& call, const std::vector<Value>& arguments) {
  if (arguments[0].Is(Kind::kDouble)) return Value::OfDouble(-arguments[0].real());
  if (!arguments[0].Is(Kind::kInt)) return NoOverload(call, arguments);
  return Integers<int64_t>(Function::kSubtract, 0, arguments[0].integer());
}

bool IsTime(const Value& value) { return value.Is(Kind::kTimestamp) || value.Is(Kind::kDuration); }

}  // namespace

Outcome ApplyArithmetic(const Node& call, const std::vector<Value>& arguments, Budget& budget) {
  if (call.function == Function::kNegate) return Negate(call, arguments);
  const Value &left = arguments[0], &right = arguments[1];
  if (IsTime(left) && IsTime(right)) return Times(call, arguments);
  if (left.kind() != right.kind()) return NoOverload(call, arguments);
  switch (left.kind()) {
    case Kind::kInt:
      return Integers(call.function, left.integer(), right.integer());
    case Kind::kUint:
      return Integers(call.function, left.unsigned_integer(), right.unsigned_integer());
    case Kind::kDouble:
      return Doubles(call, arguments);
    case Kind::kString:
    case Kind::kBytes:
    case Kind::kList:
      if (call.function != Function::kAdd) return NoOverload(call, arguments);
      return Concatenate(left, right, budget);
    default:
      return NoOverload(call, arguments);
  }
}

}  // namespace caudal::expr
