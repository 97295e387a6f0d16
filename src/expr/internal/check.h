#pragma once

/// Gives names their meaning and, when asked, checks types.

#include <optional>

#include "expr/internal/fault.h"
#include "expr/internal/node.h"
#include "expr/internal/types.h"

namespace caudal::expr {

enum class Checking { kOn, kOff };

/// Resolves variables (the longest dotted name that exists), type names, variables of macros and
/// functions in `root`, and compiles constant patterns. With checking off, what is unknown or does
/// not fit stays an error of its evaluation.
std::optional<SourceFault> Resolve(const Environment& environment, Checking checking,
                                   NodePtr* root);

/// A pattern within the bounds that hold for all; null and `*why` when it is none.
std::shared_ptr<const re2::RE2> CompilePattern(const std::string& pattern, std::string* why);

}  // namespace caudal::expr
