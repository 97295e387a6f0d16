#pragma once

/// Reads what a failed Python step raised from the end of its log.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "caudal/v1/attempt.pb.h"

namespace caudal::launcher::internal {

/// How much of a log's end is looked through.
inline constexpr int64_t kTracebackBytes = 64 << 10;

/// The last uncaught exception that the interpreter reported at the end of `log_end`: of chained
/// ones the last, of a message of several lines the first line. `words` is the step's command line,
/// which names the component's function. Nothing when the log does not end with a traceback. Pure;
/// any bytes will do.
std::optional<v1::Traceback> FindTraceback(std::string_view log_end,
                                           const std::vector<std::string>& words);

}  // namespace caudal::launcher::internal
