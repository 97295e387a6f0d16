#pragma once

/// A run's report that is kept up to date by what changed.

#include <string>
#include <unordered_map>
#include <utility>

#include "caudal/v1/run_service.pb.h"
#include "cli/internal/report.h"

namespace caudal::cli {

/// Not thread-safe.
class LiveReport {
 public:
  /// Lays a report with all tasks, or only with those that changed, over what is known. Taking the
  /// same again changes nothing. Cost: of what changed; of the whole where tasks are new.
  void Take(v1::RunReport changes);

  const v1::RunReport& report() const& { return report_; }
  v1::RunReport report() && { return std::move(report_); }
  /// Null for a path that is not known.
  const ReportTask* Find(const std::string& path) const;

 private:
  void InsertNew(google::protobuf::RepeatedPtrField<ReportTask>* tasks);
  void DropClosed();
  int EndOf(int group) const;
  void NotePlaces(int from);

  v1::RunReport report_;
  std::unordered_map<std::string, int> places_;  // path → place in report_
};

}  // namespace caudal::cli
