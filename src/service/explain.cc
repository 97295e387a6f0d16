#include "model/task.h"
#include "service/internal/plan_cache.h"
#include "service/internal/report.h"
#include "service/internal/task_tree.h"
#include "service/service.h"
#include "store/run_log.h"

// Why the tasks of a run are as they are.

namespace caudal::service {

using base::Result;
using base::Status;

namespace {

constexpr int kMostExplained = 5000;
constexpr int kPage = 5000;

// What came of the lookup; without one, who switched it off.
std::string CacheWords(const v1::Task& task, const spec::TaskPlan& planned,
                       const v1::RunSettings& settings) {
  const std::string text = CacheText(task.cache());
  if (!text.empty() || !model::IsFinal(task.state())) return text;
  if (task.state() == v1::SKIPPED || task.state() == v1::OMITTED) return "";
  if (!planned.spec->caching_options().enable_cache()) {
    return "off: the pipeline has caching disabled for this task";
  }
  if (settings.no_cache()) return "off: the run was started with --no-cache";
  return task.cache().fingerprint().empty() ? "" : "off: the server runs with --no-cache";
}

// "train" is the task of that path, else every task of that name.
bool IsAskedFor(const std::string& asked, const std::string& path) {
  return asked.empty() || path == asked || path.ends_with("/" + asked);
}

void Explain(const v1::Task& task, v1::RunExplanation::TaskExplanation* shown) {
  shown->set_state(std::string(model::StateName(task.state())));
  shown->set_reason(task.reason().empty() ? task.error() : task.reason());
  const v1::CacheRecord& cache = task.cache();
  shown->set_fingerprint(cache.fingerprint());
  shown->set_realm(cache.realm());
  for (const v1::CacheRecord::Part& part : cache.parts()) {
    v1::RunExplanation::KeyPart* shown_part = shown->add_parts();
    shown_part->set_name(part.name());
    shown_part->set_digest(part.digest());
    shown_part->set_shown(part.shown());
  }
  shown->set_cached_from_run_id(cache.hit_run_id());
  shown->set_cached_from_task_id(cache.hit_task_id());
}

// Those from index `first` on that are asked for; the others only enclose them.
void ExplainPage(const std::vector<v1::Task>& tasks, int first, const spec::Plan& plan,
                 const std::string& asked, const v1::RunSettings& settings,
                 v1::RunExplanation* explanation) {
  const TaskTree tree(tasks, plan);
  for (const size_t at : tree.ReadingOrder()) {
    if (at == 0 || tasks[at].index() < first || !IsAskedFor(asked, tree.path(at))) continue;
    if (explanation->tasks_size() == kMostExplained) return;
    auto* shown = explanation->add_tasks();
    shown->set_path(tree.path(at));
    shown->set_task_id(model::TaskId(explanation->run_id(), tree.path(at)));
    Explain(tasks[at], shown);
    const bool runs_code = tree.component(at).kind == spec::ComponentKind::kContainer;
    if (runs_code) shown->set_cache(CacheWords(tasks[at], *tree.planned(at), settings));
  }
}

}  // namespace

Result<v1::RunExplanation> Service::ExplainRun(const Caller& caller,
                                               const v1::ExplainRunRequest& request) {
  CAUDAL_ASSIGN(const store::Run row, LoadRun(caller, request.run_id(), auth::Verb::kGet));
  CAUDAL_ASSIGN(const auto plan, plans_->Get(row.spec));
  v1::RunExplanation explanation;
  explanation.set_run_id(row.id);
  // Page by page: a run may have more tasks than fit into memory at once.
  CAUDAL_TRY(store_.Read([&](sql::Database& database) -> Status {
    return database.InReadTransaction([&]() -> Status {
      CAUDAL_ASSIGN(const store::Submission submission, store::GetSubmission(database, row.key));
      for (int first = 0; explanation.tasks_size() < kMostExplained; first += kPage) {
        CAUDAL_ASSIGN(auto tasks, store::ListTasksFrom(database, row.key, first, kPage));
        const bool is_last = tasks.size() < kPage;
        CAUDAL_ASSIGN(tasks, store::AddEnclosingTasks(database, row.key, std::move(tasks)));
        ExplainPage(tasks, first, *plan, request.task(), submission.settings, &explanation);
        if (is_last) break;
      }
      return {};
    });
  }));
  if (explanation.tasks().empty() && !request.task().empty()) {
    return base::NotFound("run " + row.id + " has no task '" + request.task().substr(0, 200) +
                          "'; GET /apis/caudal/v1/runs/" + row.id + " lists them");
  }
  return explanation;
}

}  // namespace caudal::service
