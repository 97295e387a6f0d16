#pragma once

/// What is wrong with the text of an expression, and where.

#include <cstddef>
#include <string>
#include <string_view>

#include "base/status.h"

namespace caudal::expr {

struct SourceFault {
  size_t offset = 0;  ///< in bytes
  std::string message;
};

/// "line 1, column 5: message", the line of the expression and a caret under the place. Columns
/// count characters; of a long line only the part around the place is shown.
base::Status ToStatus(const SourceFault& fault, std::string_view text);

}  // namespace caudal::expr
