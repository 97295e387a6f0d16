#pragma once

/// Macros in the text of run parameters , as upstream expands them.

#include <string>

#include "spec/parameters.h"

namespace caudal::spec::internal {

/// `text` with every macro replaced once, left to right; what is unknown or not available stays.
std::string ExpandMacros(const std::string& text, const MacroSource& source);

/// `time` in a layout written as Go's reference time, such as "2006-01-02 15:04:05".
std::string FormatGoLayout(base::Time time, std::string_view layout);

/// `time` in a strftime format. False when the format has an unknown letter.
bool FormatStrftime(base::Time time, std::string_view format, std::string* out);

}  // namespace caudal::spec::internal
