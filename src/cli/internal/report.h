#pragma once

/// What a run's report says, before it is laid out for people, and as JSON.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "caudal/v1/run_service.pb.h"

namespace caudal::cli {

using ReportTask = v1::RunReport::ReportTask;
using ReportArtifacts = google::protobuf::Map<std::string, v1::RunReport::ReportArtifacts>;

/// The object of `--json`, one line without line feed.
std::string ReportToJson(const v1::RunReport& report);

/// How a state looks: a glyph, and a dress of text.h.
struct Look {
  std::string_view glyph;
  std::string_view dress;
};
Look LookOf(std::string_view state);

/// Whether a task's state never changes again.
bool IsFinal(std::string_view state);
/// Whether the task holds other tasks.
bool IsGroup(const ReportTask& task);
/// Whether `path` lies below `parent`.
bool IsUnder(std::string_view path, std::string_view parent);

/// Path of the task that a task belongs to: "a/loop[3]" of "a/loop[3]/b", "a/loop" of "a/loop[3]";
/// empty at the top.
std::string ParentPath(const std::string& path);

/// Tasks that failed themselves: leaves, not the groups around them.
std::vector<const ReportTask*> FailedLeaves(const v1::RunReport& report);

/// From the first start of a task to the last end; 0 when nothing has started.
int64_t RunMicros(const v1::RunReport& report);

/// The run's name without the time that `caudal run` adds to the file's.
std::string ShortName(const v1::RunReport& report);
/// An id as people type it: the first 8 characters of a UUID; any other id as it is.
std::string ShortId(const std::string& run_id);

/// "exit 1, attempt 2 of 2": why a task failed, in one line, without what its traceback tells
/// anyway.
std::string FailureReason(const ReportTask& task);

/// A value in one line of at most `columns`.
std::string ValueLine(const google::protobuf::Value& value, size_t columns);

}  // namespace caudal::cli
