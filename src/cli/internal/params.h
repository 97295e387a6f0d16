#pragma once

/// Run parameters from the command line: text to values of the declared types.

#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "spec/parameters.h"
#include "spec/plan.h"

namespace caudal::cli {

/// What was given: `-p` words, and the text of the `--params` file (empty: none).
struct GivenParams {
  std::vector<std::string> assignments;  ///< "name=value", "name=@file", "name=@@value"
  std::string file_name;
  std::string file_text;  ///< a JSON object
};

/// Converts by declared type: STRING as it stands; numbers, booleans, LIST and STRUCT as JSON. An
/// assignment wins over the file. Errors: kInvalidArgument with every fault (not "name=value",
/// unknown name, a value that does not fit, an unreadable file).
base::Result<spec::Values> ConvertParams(const spec::Plan& plan, const GivenParams& given);

}  // namespace caudal::cli
