#pragma once

/// YAML text as JSON values, in the dialect of Go's yaml.v3, which upstream reads packages with.
///
/// Only plain scalars have a type; quoted and block scalars are strings. Plain scalars: `true`,
/// `True`, `TRUE` and the three of `false`; `null`, `Null`, `NULL`, `~` and nothing; integers in
/// decimal, 0x, 0o, 0b and old octal (010 is 8), with sign and underscores; floats. Everything else
/// is text: `yes`, `no`, `on`, `off`, `12:30:45`, versions such as 2.1.0, and dates, which stay as
/// written. `.nan` and
/// `.inf` are faults, since JSON lacks them. Merge keys (`<<`) work; explicit keys win. A key given
/// twice is a fault. Of tags, the standard ones for JSON's kinds are honoured.

#include <boost/json/value.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "spec/package.h"

namespace caudal::spec::internal {

/// One document of a stream and the line it starts on.
struct Document {
  boost::json::value value;
  size_t line = 1;
};

/// The documents of `text`; empty ones are null. Errors: kInvalidArgument, each line starting with
/// the place: syntax, duplicate keys, unknown anchors and tags, limits.
base::Result<std::vector<Document>> ReadYaml(std::string_view text, const PackageLimits& limits);

/// The value of a plain scalar. False when it is a number that JSON lacks.
bool ResolvePlain(const std::string& text, boost::json::value* value);

/// The value of a scalar with an explicit tag ("!!int" in its long form), whatever its quotes.
/// False when the tag is unknown or does not fit.
bool ResolveTagged(const std::string& tag, const std::string& text, boost::json::value* value);

}  // namespace caudal::spec::internal
