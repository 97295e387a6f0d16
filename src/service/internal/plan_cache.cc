#include "service/internal/plan_cache.h"

#include "base/sha256.h"

namespace caudal::service {
namespace {
constexpr size_t kPlans = 64;
}  // namespace

base::Result<std::shared_ptr<const spec::Plan>> PlanCache::Get(const std::string& spec) {
  const std::string digest = base::Sha256Hex(spec);
  {
    const std::lock_guard lock(mutex_);
    const auto found = plans_.find(digest);
    if (found != plans_.end()) return found->second;
  }
  CAUDAL_ASSIGN(spec::Package package, spec::LoadPackage(spec));
  CAUDAL_ASSIGN(auto plan, spec::MakePlan(std::move(package)));
  const std::lock_guard lock(mutex_);
  if (plans_.emplace(digest, plan).second) order_.push_back(digest);
  if (order_.size() > kPlans) {
    plans_.erase(order_.front());
    order_.pop_front();
  }
  return plan;
}

}  // namespace caudal::service
