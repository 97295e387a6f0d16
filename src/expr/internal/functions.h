#pragma once

/// The functions and operators there are.

#include <initializer_list>
#include <optional>
#include <string_view>
#include <vector>

#include "expr/internal/node.h"
#include "expr/internal/types.h"

namespace caudal::expr {

/// The function of that name, called f(x) or, as a method, x.f(): nothing when there is none.
std::optional<Function> FindFunction(std::string_view name, bool method);

/// Names of all, for suggestions.
std::vector<std::string> FunctionNames();

/// The type of the result for arguments of these types; nothing when they do not fit.
std::optional<Type> ResultOf(Function function, const std::vector<Type>& arguments);

}  // namespace caudal::expr
