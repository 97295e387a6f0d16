#pragma once

/// Which names of entries are good, and their one spelling.

#include <string>
#include <string_view>

#include "archive/archive.h"
#include "base/status.h"

namespace caudal::archive::internal {

/// `name` for messages: quoted, shortened, without control characters.
std::string Quoted(std::string_view name);

/// "./a//b" as "a/b"; empty for the root itself. Errors: kInvalidArgument for a name that is
/// absolute, has "..", is not UTF-8, has control characters, or is deeper or longer than allowed.
base::Result<std::string> CleanPath(std::string_view name, const Limits& limits);

}  // namespace caudal::archive::internal
