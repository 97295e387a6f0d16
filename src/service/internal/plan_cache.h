#pragma once

/// Plans of specs seen lately, so that a pipeline run many times is parsed once.

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/status.h"
#include "spec/plan.h"

namespace caudal::service {

/// Thread-safe. Holds the last few plans by their text.
class PlanCache {
 public:
  /// The plan of a stored spec. Errors: of LoadPackage and MakePlan.
  base::Result<std::shared_ptr<const spec::Plan>> Get(const std::string& spec);

 private:
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const spec::Plan>> plans_;
  std::deque<std::string> order_;  // oldest first
};

}  // namespace caudal::service
