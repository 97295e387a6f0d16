#pragma once

/// JSON values as text that any reader takes back as the same values.

#include <boost/json/value.hpp>
#include <string>

namespace caudal::cli {

/// JSON in one line, numbers as people write them: 0.1, where Boost.JSON writes 1E-1.
std::string CompactJson(const boost::json::value& data);

/// Block style, strings quoted where a plain word could be read as something else. Ends with a line
/// feed.
std::string YamlText(const boost::json::value& data);

}  // namespace caudal::cli
