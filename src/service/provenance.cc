#include <set>

#include "pyenv/pyenv.h"
#include "service/service.h"
#include "store/run_log.h"

namespace caudal::service {

namespace {

constexpr int kPage = 5000;

// Values may be secret: they go to the steps and nowhere else.
void HideSecrets(v1::RunSettings* settings) {
  for (auto& [name, value] : *settings->mutable_env()) value.clear();
  settings->set_kfp_package(pyenv::MaskSecrets(settings->kfp_package()));
}

}  // namespace

using base::Result;
using base::Status;

Result<v1::RunProvenance> Service::GetRunProvenance(const Caller& caller,
                                                    const v1::GetRunProvenanceRequest& request) {
  CAUDAL_ASSIGN(const store::Run row, LoadRun(caller, request.run_id(), auth::Verb::kGet));
  v1::RunProvenance provenance;
  provenance.set_run_id(row.id);
  std::set<std::string> environments;
  CAUDAL_TRY(store_.Read([&](sql::Database& database) -> Status {
    return database.InReadTransaction([&]() -> Status {
      CAUDAL_ASSIGN(const store::Submission submission, store::GetSubmission(database, row.key));
      *provenance.mutable_origin() = submission.origin;
      *provenance.mutable_settings() = submission.settings;
      for (int first = 0; true; first += kPage) {
        CAUDAL_ASSIGN(const auto tasks, store::ListTasksFrom(database, row.key, first, kPage));
        for (const v1::Task& task : tasks) environments.insert(task.provenance().environment());
        if (tasks.size() < kPage) break;
      }
      environments.erase("");  // of tasks that ran in none
      return {};
    });
  }));
  HideSecrets(provenance.mutable_settings());
  for (v1::PythonEnvironment& environment : DescribeEnvironments(environments)) {
    *provenance.add_environments() = std::move(environment);
  }
  return provenance;
}

}  // namespace caudal::service
