#include "base/uuid.h"
#include "service/internal/code_store.h"
#include "service/internal/convert.h"
#include "service/internal/plan_cache.h"
#include "service/service.h"
#include "store/list.h"

namespace caudal::service {

using auth::Resource;
using auth::Verb;
using base::Result;
using base::Status;

namespace {
constexpr size_t kLongestName = 128;
constexpr char kDefaultExperiment[] = "Default";
}  // namespace

Service::Service(store::Store& store, orchestrator::Orchestrator& orchestrator,
                 const base::Clock& clock, Options options)
    : store_(store),
      orchestrator_(orchestrator),
      clock_(clock),
      options_(std::move(options)),
      plans_(std::make_unique<PlanCache>()),
      code_(std::make_unique<CodeStore>(options_.data_dir + "/code")) {}

Service::~Service() = default;

Status Service::Prepare() {
  return store_.Write([&](sql::Database& database) -> Status {
    CAUDAL_ASSIGN(default_experiment_id_, store::Store::GetMeta(database, "default_experiment"));
    if (!default_experiment_id_.empty()) return {};
    store::Experiment row;
    row.id = base::NewUuid4();
    row.name = kDefaultExperiment;
    row.description = "All runs created without specifying an experiment will be grouped here.";
    row.created_at = base::ToMicros(clock_.Now());
    row.created_by = auth::LocalUser().name;
    CAUDAL_TRY(store::InsertExperiment(database, &row));
    default_experiment_id_ = row.id;
    return store::Store::SetMeta(database, "default_experiment", row.id);
  });
}

Result<store::Experiment> Service::LoadExperiment(const Caller& caller, const std::string& id,
                                                  Verb verb) {
  store::Experiment row;
  CAUDAL_TRY(store_.Read([&](sql::Database& database) -> Status {
    CAUDAL_ASSIGN(row, store::GetExperiment(database, id));
    return {};
  }));
  CAUDAL_TRY(auth::Authorize(caller.principal, {verb, Resource::kExperiment}, row.name_space,
                             row.created_by));
  return row;
}

Result<v2beta1::Experiment> Service::CreateExperiment(
    const Caller& caller, const v2beta1::CreateExperimentRequest& request) {
  CAUDAL_TRY(auth::Authorize(caller.principal, {Verb::kCreate, Resource::kExperiment}, "",
                             caller.principal.name));
  const v2beta1::Experiment& asked = request.experiment();
  // Upstream answers these two with its internal error, and clients know it so.
  if (asked.display_name().empty())
    return base::Internal("experiment has no display_name; give it one");
  if (asked.display_name().size() > kLongestName) {
    return base::Internal("display_name of the experiment is longer than 128 bytes");
  }
  store::Experiment row;
  row.id = base::NewUuid4();
  row.name = asked.display_name();
  row.description = asked.description();
  row.created_at = base::ToMicros(clock_.Now());
  row.created_by = caller.principal.name;
  CAUDAL_TRY(store_.Write(
      [&](sql::Database& database) { return store::InsertExperiment(database, &row); }));
  return ToProto(row);
}

Result<v2beta1::Experiment> Service::GetExperiment(const Caller& caller,
                                                   const v2beta1::GetExperimentRequest& request) {
  CAUDAL_ASSIGN(const store::Experiment row,
                LoadExperiment(caller, request.experiment_id(), Verb::kGet));
  return ToProto(row);
}

Result<v2beta1::ListExperimentsResponse> Service::ListExperiments(
    const Caller& caller, const v2beta1::ListExperimentsRequest& request) {
  CAUDAL_TRY(auth::Authorize(caller.principal, {Verb::kList, Resource::kExperiment}, "", ""));
  v2beta1::ListExperimentsResponse response;
  CAUDAL_TRY(store_.Read([&](sql::Database& database) -> Status {
    const store::ListRequest list{
        request.page_token(), request.page_size(), request.sort_by(), request.filter(), "", "", 0};
    CAUDAL_ASSIGN(const auto page, store::ListExperiments(database, list, store_.secret()));
    for (const store::Experiment& row : page.rows) *response.add_experiments() = ToProto(row);
    response.set_next_page_token(page.next_page_token);
    response.set_total_size(page.total_size);
    return {};
  }));
  return response;
}

Status Service::ArchiveExperiment(const Caller& caller,
                                  const v2beta1::ArchiveExperimentRequest& request) {
  CAUDAL_TRY(LoadExperiment(caller, request.experiment_id(), Verb::kArchive).status());
  return store_.Write([&](sql::Database& database) {
    return store::SetExperimentStorageState(database, request.experiment_id(), store::kArchived);
  });
}

Status Service::UnarchiveExperiment(const Caller& caller,
                                    const v2beta1::UnarchiveExperimentRequest& request) {
  CAUDAL_TRY(LoadExperiment(caller, request.experiment_id(), Verb::kArchive).status());
  return store_.Write([&](sql::Database& database) {
    return store::SetExperimentStorageState(database, request.experiment_id(), store::kAvailable);
  });
}

Status Service::DeleteExperiment(const Caller& caller,
                                 const v2beta1::DeleteExperimentRequest& request) {
  CAUDAL_TRY(LoadExperiment(caller, request.experiment_id(), Verb::kDelete).status());
  if (request.experiment_id() == default_experiment_id_) {
    return base::Aborted("the default experiment cannot be deleted");
  }
  return store_.Write([&](sql::Database& database) {
    return store::DeleteExperiment(database, request.experiment_id());
  });
}

}  // namespace caudal::service
