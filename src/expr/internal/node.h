#pragma once

/// The tree of an expression.

#include <re2/re2.h>

#include <memory>
#include <string>
#include <vector>

#include "expr/internal/value.h"

namespace caudal::expr {

enum class Operation {
  kConstant,
  kVariable,     ///< `name`
  kLocal,        ///< variable of a macro: `slot` counts from the outermost
  kSelect,       ///< child . name
  kHas,          ///< has(child . name)
  kList,         ///< children
  kMap,          ///< key, value, key, value, …
  kAnd,          ///< two or more children
  kOr,           ///< two or more children
  kConditional,  ///< condition, then, else
  kCall,         ///< `function` on children; of a method the first is its object
  kAll,          ///< macros: range, predicate
  kExists,
  kExistsOne,
  kFilter,
  kTransform,  ///< map(): range, result, or range, predicate, result
};

enum class Function {
  kUnknown,
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kModulo,
  kNegate,
  kNot,
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kIn,
  kIndex,
  kSize,
  kContains,
  kStartsWith,
  kEndsWith,
  kMatches,
  kBool,
  kInt,
  kUint,
  kDouble,
  kString,
  kBytes,
  kDyn,
  kType,
  kTimestamp,
  kDuration,
  kParseJson,
  kGetDate,
  kGetDayOfMonth,
  kGetDayOfWeek,
  kGetDayOfYear,
  kGetFullYear,
  kGetHours,
  kGetMilliseconds,
  kGetMinutes,
  kGetMonth,
  kGetSeconds,
};

struct Node;
using NodePtr = std::unique_ptr<Node>;

struct Node {
  Operation operation = Operation::kConstant;
  size_t offset = 0;      ///< place in the text, for faults
  int height = 1;         ///< levels of the tree below and with it
  std::string name;       ///< of a variable, field, function, or the variable of a macro
  bool absolute = false;  ///< a variable written with a dot before it
  bool method = false;
  bool grouped = false;  ///< stands in parentheses
  int slot = 0;
  Function function = Function::kUnknown;
  Value constant;
  std::vector<NodePtr> children;
  std::shared_ptr<const re2::RE2> pattern;  ///< of matches() with a constant one
};

}  // namespace caudal::expr
