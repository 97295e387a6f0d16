#pragma once

/// From text to tree; names are not looked at.

#include <optional>
#include <string_view>

#include "expr/internal/fault.h"
#include "expr/internal/node.h"

namespace caudal::expr {

inline constexpr size_t kMaxText = 64 << 10;
inline constexpr int kMaxNesting = 250;

struct Parsed {
  NodePtr root;  ///< null: see `fault`
  SourceFault fault;
};

/// The parser bounds the height of the tree by kMaxNesting, so walking it needs little stack.
Parsed Parse(std::string_view text);

}  // namespace caudal::expr
