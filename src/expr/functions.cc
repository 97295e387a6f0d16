#include "expr/internal/functions.h"

#include <array>

namespace caudal::expr {
namespace {

enum class Style { kOperator, kGlobal, kMethod, kBoth };

struct Name {
  std::string_view name;
  Function function;
  Style style;
};

constexpr Name kNames[] = {
    {"size", Function::kSize, Style::kBoth},
    {"contains", Function::kContains, Style::kMethod},
    {"startsWith", Function::kStartsWith, Style::kMethod},
    {"endsWith", Function::kEndsWith, Style::kMethod},
    {"matches", Function::kMatches, Style::kBoth},
    {"bool", Function::kBool, Style::kGlobal},
    {"int", Function::kInt, Style::kGlobal},
    {"uint", Function::kUint, Style::kGlobal},
    {"double", Function::kDouble, Style::kGlobal},
    {"string", Function::kString, Style::kGlobal},
    {"bytes", Function::kBytes, Style::kGlobal},
    {"dyn", Function::kDyn, Style::kGlobal},
    {"type", Function::kType, Style::kGlobal},
    {"timestamp", Function::kTimestamp, Style::kGlobal},
    {"duration", Function::kDuration, Style::kGlobal},
    {"parseJson", Function::kParseJson, Style::kGlobal},
    {"getDate", Function::kGetDate, Style::kMethod},
    {"getDayOfMonth", Function::kGetDayOfMonth, Style::kMethod},
    {"getDayOfWeek", Function::kGetDayOfWeek, Style::kMethod},
    {"getDayOfYear", Function::kGetDayOfYear, Style::kMethod},
    {"getFullYear", Function::kGetFullYear, Style::kMethod},
    {"getHours", Function::kGetHours, Style::kMethod},
    {"getMilliseconds", Function::kGetMilliseconds, Style::kMethod},
    {"getMinutes", Function::kGetMinutes, Style::kMethod},
    {"getMonth", Function::kGetMonth, Style::kMethod},
    {"getSeconds", Function::kGetSeconds, Style::kMethod},
};

using T = TypeKind;

/// Arguments of plain types; lists, maps and type parameters are treated in ResultOf.
struct Overload {
  Function function;
  T result;
  std::array<T, 2> arguments;
  int count;
};

constexpr Overload Of(Function function, T result, T argument) {
  return {function, result, {argument, T::kDyn}, 1};
}
constexpr Overload Of(Function function, T result, T left, T right) {
  return {function, result, {left, right}, 2};
}

constexpr Overload kOverloads[] = {
    Of(Function::kAdd, T::kInt, T::kInt, T::kInt),
    Of(Function::kAdd, T::kUint, T::kUint, T::kUint),
    Of(Function::kAdd, T::kDouble, T::kDouble, T::kDouble),
    Of(Function::kAdd, T::kString, T::kString, T::kString),
    Of(Function::kAdd, T::kBytes, T::kBytes, T::kBytes),
    Of(Function::kAdd, T::kTimestamp, T::kTimestamp, T::kDuration),
    Of(Function::kAdd, T::kTimestamp, T::kDuration, T::kTimestamp),
    Of(Function::kAdd, T::kDuration, T::kDuration, T::kDuration),
    Of(Function::kSubtract, T::kInt, T::kInt, T::kInt),
    Of(Function::kSubtract, T::kUint, T::kUint, T::kUint),
    Of(Function::kSubtract, T::kDouble, T::kDouble, T::kDouble),
    Of(Function::kSubtract, T::kDuration, T::kTimestamp, T::kTimestamp),
    Of(Function::kSubtract, T::kTimestamp, T::kTimestamp, T::kDuration),
    Of(Function::kSubtract, T::kDuration, T::kDuration, T::kDuration),
    Of(Function::kMultiply, T::kInt, T::kInt, T::kInt),
    Of(Function::kMultiply, T::kUint, T::kUint, T::kUint),
    Of(Function::kMultiply, T::kDouble, T::kDouble, T::kDouble),
    Of(Function::kDivide, T::kInt, T::kInt, T::kInt),
    Of(Function::kDivide, T::kUint, T::kUint, T::kUint),
    Of(Function::kDivide, T::kDouble, T::kDouble, T::kDouble),
    Of(Function::kModulo, T::kInt, T::kInt, T::kInt),
    Of(Function::kModulo, T::kUint, T::kUint, T::kUint),
    Of(Function::kNegate, T::kInt, T::kInt),
    Of(Function::kNegate, T::kDouble, T::kDouble),
    Of(Function::kNot, T::kBool, T::kBool),
    Of(Function::kSize, T::kInt, T::kString),
    Of(Function::kSize, T::kInt, T::kBytes),
    Of(Function::kSize, T::kInt, T::kList),
    Of(Function::kSize, T::kInt, T::kMap),
    Of(Function::kContains, T::kBool, T::kString, T::kString),
    Of(Function::kStartsWith, T::kBool, T::kString, T::kString),
    Of(Function::kEndsWith, T::kBool, T::kString, T::kString),
    Of(Function::kMatches, T::kBool, T::kString, T::kString),
    Of(Function::kBool, T::kBool, T::kBool),
    Of(Function::kBool, T::kBool, T::kString),
    Of(Function::kInt, T::kInt, T::kInt),
    Of(Function::kInt, T::kInt, T::kUint),
    Of(Function::kInt, T::kInt, T::kDouble),
    Of(Function::kInt, T::kInt, T::kString),
    Of(Function::kInt, T::kInt, T::kTimestamp),
    Of(Function::kUint, T::kUint, T::kInt),
    Of(Function::kUint, T::kUint, T::kUint),
    Of(Function::kUint, T::kUint, T::kDouble),
    Of(Function::kUint, T::kUint, T::kString),
    Of(Function::kDouble, T::kDouble, T::kInt),
    Of(Function::kDouble, T::kDouble, T::kUint),
    Of(Function::kDouble, T::kDouble, T::kDouble),
    Of(Function::kDouble, T::kDouble, T::kString),
    Of(Function::kString, T::kString, T::kBool),
    Of(Function::kString, T::kString, T::kInt),
    Of(Function::kString, T::kString, T::kUint),
    Of(Function::kString, T::kString, T::kDouble),
    Of(Function::kString, T::kString, T::kString),
    Of(Function::kString, T::kString, T::kBytes),
    Of(Function::kString, T::kString, T::kTimestamp),
    Of(Function::kString, T::kString, T::kDuration),
    Of(Function::kBytes, T::kBytes, T::kBytes),
    Of(Function::kBytes, T::kBytes, T::kString),
    Of(Function::kTimestamp, T::kTimestamp, T::kString),
    Of(Function::kTimestamp, T::kTimestamp, T::kInt),
    Of(Function::kTimestamp, T::kTimestamp, T::kTimestamp),
    Of(Function::kDuration, T::kDuration, T::kString),
    Of(Function::kDuration, T::kDuration, T::kDuration),
    Of(Function::kParseJson, T::kDyn, T::kString),
};

/// Whether the second argument, a time zone, fits as well.
bool IsTimeField(Function function) { return function >= Function::kGetDate; }

bool HasDurationForm(Function function) {
  return function == Function::kGetHours || function == Function::kGetMinutes ||
         function == Function::kGetSeconds || function == Function::kGetMilliseconds;
}

bool IsOrder(Function function) {
  return function >= Function::kLess && function <= Function::kGreaterEqual;
}

bool Fits(T wanted, const Type& given) { return given.kind == T::kDyn || given.kind == wanted; }

std::optional<Type> FromTable(Function function, const std::vector<Type>& arguments) {
  std::optional<Type> result;
  for (const Overload& overload : kOverloads) {
    if (overload.function != function || overload.count != static_cast<int>(arguments.size())) {
      continue;
    }
    bool fits = true;
    for (size_t i = 0; i < arguments.size(); ++i) {
      fits = fits && Fits(overload.arguments[i], arguments[i]);
    }
    if (!fits) continue;
    const Type type{overload.result, {}, {}};
    result = !result || *result == type ? type : Type{};
  }
  return result;
}

std::optional<Type> TimeField(Function function, const std::vector<Type>& arguments) {
  const Type result{T::kInt, {}, {}};
  if (arguments.empty() || arguments.size() > 2) return {};
  if (arguments.size() == 2 && !Fits(T::kString, arguments[1])) return {};
  if (Fits(T::kTimestamp, arguments[0])) return result;
  const bool duration = arguments[0].kind == T::kDuration && arguments.size() == 1;
  if (duration && HasDurationForm(function)) return result;
  return {};
}

std::optional<Type> Ordered(const Type& left, const Type& right) {
  for (const T kind : {T::kBool, T::kInt, T::kUint, T::kDouble, T::kString, T::kBytes,
                       T::kTimestamp, T::kDuration}) {
    if (Fits(kind, left) && Fits(kind, right)) return Type{T::kBool, {}, {}};
  }
  return {};
}

std::optional<Type> Indexed(const Type& object, const Type& key) {
  switch (object.kind) {
    case T::kDyn:
      return Type{};
    case T::kList:
      if (!Fits(T::kInt, key)) return {};
      return object.of[0];
    case T::kMap:
      if (!Compatible(object.of[0], key)) return {};
      return object.of[1];
    default:
      return {};
  }
}

std::optional<Type> Contained(const Type& element, const Type& range) {
  const bool searchable =
      range.kind == T::kDyn ||
      ((range.kind == T::kList || range.kind == T::kMap) && Compatible(element, range.of[0]));
  if (!searchable) return {};
  return Type{T::kBool, {}, {}};
}

/// Two lists, or a list and what may be one.
std::optional<Type> Concatenated(const Type& left, const Type& right) {
  if (left.kind == T::kList && right.kind == T::kList) {
    if (!Compatible(left, right)) return {};
    return Join(left, right);
  }
  if (left.kind == T::kList && right.kind == T::kDyn) return left;
  if (right.kind == T::kList && left.kind == T::kDyn) return right;
  return {};
}

}  // namespace

std::optional<Function> FindFunction(std::string_view name, bool method) {
  for (const Name& known : kNames) {
    const bool fits =
        known.style == Style::kBoth || known.style == (method ? Style::kMethod : Style::kGlobal);
    if (known.name == name && fits) return known.function;
  }
  return {};
}

std::vector<std::string> FunctionNames() {
  std::vector<std::string> names;
  for (const Name& known : kNames) names.emplace_back(known.name);
  return names;
}

std::optional<Type> ResultOf(Function function, const std::vector<Type>& arguments) {
  if (IsTimeField(function)) return TimeField(function, arguments);
  if (IsOrder(function)) return Ordered(arguments[0], arguments[1]);
  switch (function) {
    case Function::kEqual:
    case Function::kNotEqual:
      if (!Compatible(arguments[0], arguments[1])) return {};
      return Type{T::kBool, {}, {}};
    case Function::kIn:
      return Contained(arguments[0], arguments[1]);
    case Function::kIndex:
      return Indexed(arguments[0], arguments[1]);
    case Function::kDyn:
      if (arguments.size() != 1) return {};
      return Type{};
    case Function::kType:
      if (arguments.size() != 1) return {};
      return Type{T::kType, {}, {}};
    case Function::kAdd:
      if (const auto list = Concatenated(arguments[0], arguments[1])) return list;
      break;
    default:
      break;
  }
  auto result = FromTable(function, arguments);
  const bool dyn =
      arguments.size() == 2 && arguments[0].kind == T::kDyn && arguments[1].kind == T::kDyn;
  if (dyn && function == Function::kAdd) return Type{};
  return result;
}

}  // namespace caudal::expr
