#pragma once

/// JSON values as YAML that any reader takes back as the same values.

#include <boost/json/value.hpp>
#include <string>

namespace caudal::cli {

/// Block style, strings quoted where a plain word could be read as something else. Ends with a line
/// feed.
std::string YamlText(const boost::json::value& data);

}  // namespace caudal::cli
