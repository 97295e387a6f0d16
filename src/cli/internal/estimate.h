#pragma once

/// How long a run still takes, judged by an earlier run of the same pipeline.

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "caudal/v1/run_service.pb.h"

namespace caudal::cli {

/// When the steps of a run began and ended, in microseconds after its first step began.
struct Timeline {
  struct Span {
    int64_t begin = 0;
    int64_t end = 0;
  };
  std::map<std::string, Span> spans;  ///< by task path
};

/// Of a run that succeeded.
Timeline TimelineOf(const v1::RunReport& report);

/// Until the last step of `report` ends if the steps take as long as they did then and wait as long
/// for each other. Nothing when it has a step that the timeline does not know, when none has begun
/// or all have ended, and when less than a second is left.
std::optional<int64_t> LeftMicros(const v1::RunReport& report, const Timeline& before,
                                  int64_t now_micros);

}  // namespace caudal::cli
