#include <charconv>
#include <cmath>

#include "base/utf8.h"
#include "expr/internal/evaluate.h"
#include "expr/internal/json.h"
#include "expr/internal/numbers.h"
#include "expr/internal/times.h"

namespace caudal::expr {
namespace {

base::Status NoNumber(const std::string& text, std::string_view type) {
  return base::InvalidArgument("type conversion error: '" + base::Shortened(text, 100) +
                               "' is no " + std::string(type));
}

base::Status OutOfRange(std::string_view type) {
  return base::InvalidArgument("range error: the number does not fit into " + std::string(type));
}

Outcome ToBool(const Node& call, const std::vector<Value>& arguments) {
  const Value& value = arguments[0];
  if (value.Is(Kind::kBool)) return value;
  if (!value.Is(Kind::kString)) return NoOverload(call, arguments);
  for (const std::string_view yes : {"1", "t", "T", "true", "TRUE", "True"}) {
    if (value.text() == yes) return Value::OfBool(true);
  }
  for (const std::string_view no : {"0", "f", "F", "false", "FALSE", "False"}) {
    if (value.text() == no) return Value::OfBool(false);
  }
  return NoNumber(value.text(), "bool");
}

Outcome IntOfText(const std::string& text) {
  const char *begin = text.data(), *end = begin + text.size();
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') ++begin;
  int64_t number = 0;
  const auto read = std::from_chars(begin, end, number);
  if (read.ptr != end || read.ec == std::errc::invalid_argument) return NoNumber(text, "int");
  if (read.ec != std::errc()) return OutOfRange("an int");
  return Value::OfInt(number);
}

Outcome ToInt(const Node& call, const std::vector<Value>& arguments) {
  const Value& value = arguments[0];
  switch (value.kind()) {
    case Kind::kInt:
      return value;
    case Kind::kUint:
      if (value.unsigned_integer() > INT64_MAX) return OutOfRange("an int");
      return Value::OfInt(static_cast<int64_t>(value.unsigned_integer()));
    case Kind::kDouble:
      // both limits are outside: the nearest int to the upper one is not an int any more
      if (!(value.real() > -9223372036854775808.0 && value.real() < 9223372036854775808.0)) {
        return OutOfRange("an int");
      }
      return Value::OfInt(static_cast<int64_t>(value.real()));
    case Kind::kString:
      return IntOfText(value.text());
    case Kind::kTimestamp:
      return Value::OfInt(value.timestamp().seconds);
    default:
      return NoOverload(call, arguments);
  }
}

Outcome UintOfText(const std::string& text) {
  const char* end = text.data() + text.size();
  uint64_t number = 0;
  const auto read = std::from_chars(text.data(), end, number);
  if (read.ptr != end || read.ec == std::errc::invalid_argument) return NoNumber(text, "uint");
  if (read.ec != std::errc()) return OutOfRange("a uint");
  return Value::OfUint(number);
}

Outcome ToUint(const Node& call, const std::vector<Value>& arguments) {
  const Value& value = arguments[0];
  switch (value.kind()) {
    case Kind::kUint:
      return value;
    case Kind::kInt:
      if (value.integer() < 0) return OutOfRange("a uint");
      return Value::OfUint(static_cast<uint64_t>(value.integer()));
    case Kind::kDouble:
      if (!(value.real() >= 0 && value.real() < 18446744073709551616.0)) {
        return OutOfRange("a uint");
      }
      return Value::OfUint(static_cast<uint64_t>(value.real()));
    case Kind::kString:
      return UintOfText(value.text());
    default:
      return NoOverload(call, arguments);
  }
}

Outcome ToDouble(const Node& call, const std::vector<Value>& arguments) {
  const Value& value = arguments[0];
  switch (value.kind()) {
    case Kind::kDouble:
      return value;
    case Kind::kInt:
      return Value::OfDouble(static_cast<double>(value.integer()));
    case Kind::kUint:
      return Value::OfDouble(static_cast<double>(value.unsigned_integer()));
    case Kind::kString: {
      const auto number = ParseDouble(value.text());
      if (!number) return NoNumber(value.text(), "double");
      return Value::OfDouble(*number);
    }
    default:
      return NoOverload(call, arguments);
  }
}

Outcome ToText(const Node& call, const std::vector<Value>& arguments, Budget& budget) {
  const Value& value = arguments[0];
  if (!budget.Produce(32)) return budget.Error();
  switch (value.kind()) {
    case Kind::kString:
      return value;
    case Kind::kBool:
      return Value::OfString(value.boolean() ? "true" : "false");
    case Kind::kInt:
      return Value::OfString(std::to_string(value.integer()));
    case Kind::kUint:
      return Value::OfString(std::to_string(value.unsigned_integer()));
    case Kind::kDouble:
      return Value::OfString(DoubleText(value.real()));
    case Kind::kBytes:
      if (!budget.Produce(value.bytes().size())) return budget.Error();
      if (!base::IsUtf8(value.bytes())) {
        return base::InvalidArgument("type conversion error: these bytes are not UTF-8");
      }
      return Value::OfString(value.bytes());
    case Kind::kTimestamp:
      return Value::OfString(TimestampText(value.timestamp()));
    case Kind::kDuration:
      return Value::OfString(DurationText(value.duration()));
    default:
      return NoOverload(call, arguments);
  }
}

Outcome ToBytes(const Node& call, const std::vector<Value>& arguments, Budget& budget) {
  const Value& value = arguments[0];
  if (value.Is(Kind::kBytes)) return value;
  if (!value.Is(Kind::kString)) return NoOverload(call, arguments);
  if (!budget.Produce(value.text().size())) return budget.Error();
  return Value::OfBytes(value.text());
}

Outcome ToTimestamp(const Node& call, const std::vector<Value>& arguments) {
  const Value& value = arguments[0];
  if (value.Is(Kind::kTimestamp)) return value;
  base::Result<Timestamp> made = NoOverload(call, arguments);
  if (value.Is(Kind::kString)) made = ParseTimestamp(value.text());
  if (value.Is(Kind::kInt)) made = MakeTimestamp(value.integer(), 0);
  if (!made.ok()) return made.status();
  return Value(Value::Data(*made));
}

Outcome ToDuration(const Node& call, const std::vector<Value>& arguments) {
  const Value& value = arguments[0];
  if (value.Is(Kind::kDuration)) return value;
  if (!value.Is(Kind::kString)) return NoOverload(call, arguments);
  CAUDAL_ASSIGN(const Duration made, ParseDuration(value.text()));
  return Value(Value::Data(made));
}

}  // namespace

Outcome ApplyConversion(const Node& call, const std::vector<Value>& arguments, Budget& budget) {
  switch (call.function) {
    case Function::kBool:
      return ToBool(call, arguments);
    case Function::kInt:
      return ToInt(call, arguments);
    case Function::kUint:
      return ToUint(call, arguments);
    case Function::kDouble:
      return ToDouble(call, arguments);
    case Function::kString:
      return ToText(call, arguments, budget);
    case Function::kBytes:
      return ToBytes(call, arguments, budget);
    case Function::kTimestamp:
      return ToTimestamp(call, arguments);
    case Function::kDuration:
      return ToDuration(call, arguments);
    case Function::kParseJson:
      if (!arguments[0].Is(Kind::kString)) return NoOverload(call, arguments);
      return ParseJsonText(arguments[0].text(), budget);
    default:
      return NoOverload(call, arguments);
  }
}

}  // namespace caudal::expr
