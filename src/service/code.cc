#include "service/internal/code_store.h"
#include "service/internal/submission_check.h"
#include "service/service.h"

namespace caudal::service {

using auth::Resource;
using auth::Verb;
using base::Status;

Status Service::HasCode(const Caller& caller, const std::string& sha256) {
  CAUDAL_TRY(
      auth::Authorize(caller.principal, {Verb::kGet, Resource::kCode}, "", caller.principal.name));
  if (code_->Has(sha256)) return {};
  return base::NotFound("code " + sha256.substr(0, 80) + " not found");
}

Status Service::AddCode(const Caller& caller, const std::string& sha256,
                        const std::string& content) {
  CAUDAL_TRY(auth::Authorize(caller.principal, {Verb::kCreate, Resource::kCode}, "",
                             caller.principal.name));
  return code_->Add(sha256, content);
}

void Service::SweepCode(const std::atomic<bool>& is_stopping) {
  code_->Sweep(is_stopping, [this](const std::string& sha256) -> base::Result<bool> {
    bool used = true;
    CAUDAL_TRY(store_.Read([&](sql::Database& database) -> Status {
      CAUDAL_ASSIGN(used, store::IsCodeUsed(database, sha256));
      return {};
    }));
    return used;
  });
}

}  // namespace caudal::service
