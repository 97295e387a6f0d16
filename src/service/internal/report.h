#pragma once

/// A run's rows to its report, for people and for `--json`.

#include <functional>
#include <string>
#include <vector>

#include "caudal/v1/engine.pb.h"
#include "caudal/v1/run_service.pb.h"
#include "spec/plan.h"
#include "store/rows.h"

namespace caudal::service {

/// Tasks of a run that a report or a record looks at.
inline constexpr int kMostReportTasks = 1'000'000;

/// "digits.py:42" where the user's file is known, "train(), line 12 of the component" where it is
/// not, nothing when no frame of the traceback is the component's.
std::string PlaceOf(const v1::Traceback& traceback, const v1::RunOrigin& origin);

/// "hit: outputs of run …", "miss: input 'x' is 2, was 1 in run …"; empty where nothing was looked
/// up.
std::string CacheText(const v1::CacheRecord& record);

/// Tasks are in reading order. `data_dir` makes local paths of artifacts and logs. `tasks` are all
/// of the run, or some with all that enclose them; those are listed that `is_wanted` does not deny.
v1::RunReport ToReport(const store::Run& row, const std::vector<v1::Task>& tasks,
                       const spec::Plan& plan, const store::Submission& submission,
                       const std::string& data_dir,
                       const std::function<bool(const v1::Task&)>& is_wanted = nullptr);

}  // namespace caudal::service
