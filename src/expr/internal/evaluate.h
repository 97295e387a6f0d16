#pragma once

/// Programs, and their evaluation over values of any type. The public functions and the tests of
/// the language stand on this.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "expr/expr.h"
#include "expr/internal/budget.h"
#include "expr/internal/check.h"
#include "expr/internal/node.h"
#include "expr/internal/types.h"
#include "expr/internal/value.h"

namespace caudal::expr {

class Program {
 public:
  std::string text;
  NodePtr root;
};

base::Result<ProgramPtr> CompileIn(std::string_view text, const Environment& environment,
                                   Checking checking);

/// The value of a variable, nothing when it has none.
using Lookup = std::function<std::optional<Value>(std::string_view)>;

Outcome Evaluate(const Node& root, const Lookup& lookup, Budget& budget);

/// Errors of functions; `no such overload: int + string`.
base::Status NoOverload(const Node& call, const std::vector<Value>& arguments);

/// One call with its arguments known.
Outcome Apply(const Node& call, const std::vector<Value>& arguments, Budget& budget);

/// The parts of Apply, by topic.
Outcome ApplyArithmetic(const Node& call, const std::vector<Value>& arguments, Budget& budget);
Outcome ApplyText(const Node& call, const std::vector<Value>& arguments, Budget& budget);
Outcome ApplyConversion(const Node& call, const std::vector<Value>& arguments, Budget& budget);
Outcome ApplyTime(const Node& call, const std::vector<Value>& arguments, Budget& budget);

}  // namespace caudal::expr
