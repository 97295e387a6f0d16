#pragma once

/// Steps of a run by what users type.

#include <string>
#include <vector>

#include "base/status.h"
#include "cli/internal/report.h"

namespace caudal::cli {

/// The steps, i.e. the tasks that run user code, in the report's order.
std::vector<const ReportTask*> StepsOf(const v1::RunReport& report);

/// The step with this path, else the one whose path ends with "/given" or starts with `given`.
/// Errors: kNotFound naming the nearest, kInvalidArgument naming those that fit.
base::Result<const ReportTask*> FindStep(const v1::RunReport& report, const std::string& given);

/// The step whose log is wanted first: the first that failed, else the first that runs, else the
/// last that ran. Errors: kNotFound when the run has no step that started.
base::Result<const ReportTask*> StepToRead(const v1::RunReport& report);

/// "succeeded", "not run", … as people read a task's state.
std::string StateWord(const std::string& state);

}  // namespace caudal::cli
