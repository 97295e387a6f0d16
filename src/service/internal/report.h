#pragma once

/// A run's rows to its report, for people and for `--json`.

#include <string>
#include <vector>

#include "caudal/v1/engine.pb.h"
#include "caudal/v1/run_service.pb.h"
#include "spec/plan.h"
#include "store/rows.h"

namespace caudal::service {

/// Tasks of a run that a report or a record looks at.
inline constexpr int kMostReportTasks = 100'000;

/// "digits.py:42" where the user's file is known, "train(), line 12 of the component" where it is
/// not, nothing when no frame of the traceback is the component's.
std::string PlaceOf(const v1::Traceback& traceback, const v1::RunOrigin& origin);

/// Indexes of all tasks in the order in which people read them: a task after what it depends on,
/// the tasks of a group right after the group.
std::vector<size_t> ReadingOrder(const std::vector<v1::Task>& tasks, const spec::Plan& plan);

/// Tasks are in reading order. `data_dir` makes local paths of artifacts and logs.
v1::RunReport ToReport(const store::Run& row, const std::vector<v1::Task>& tasks,
                       const spec::Plan& plan, const store::Submission& submission,
                       const std::string& data_dir);

}  // namespace caudal::service
