#pragma once

/// The one loop over libarchive.

#include <functional>
#include <string_view>

#include "archive/archive.h"

namespace caudal::archive::internal {

/// Calls `visit` for each regular file in order, with all limits kept; ends at its first error.
/// Errors: as archive::Read, and those of `visit`.
base::Status Walk(std::string_view content, const Limits& limits,
                  const std::function<base::Status(Entry)>& visit);

}  // namespace caudal::archive::internal
