#pragma once

/// multipart/form-data bodies (RFC 7578), as uploads send them.

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace caudal::http {

struct FormPart {
  std::string name;
  std::string filename;  ///< empty for a plain field
  std::string content;
};

/// Splits a body by the boundary in `content_type`. Errors: kInvalidArgument saying what is missing
/// (boundary, final delimiter, name).
base::Result<std::vector<FormPart>> ParseMultipart(std::string_view content_type,
                                                   std::string_view body);

}  // namespace caudal::http
