#include <algorithm>
#include <set>

#include "store/run_log.h"

namespace caudal::store {

using base::Result;
using base::Status;

Result<std::vector<v1::Task>> AddEnclosingTasks(sql::Database& database, int64_t run_key,
                                                std::vector<v1::Task> tasks) {
  std::set<int> known;
  for (const v1::Task& task : tasks) known.insert(task.index());
  if (known.count(0) == 0) {
    CAUDAL_ASSIGN(std::vector<v1::Task> root, ListTasks(database, run_key, 1));
    for (v1::Task& task : root) tasks.push_back(std::move(task));
    known.insert(0);
  }
  // The list grows while it is read: what encloses a task may be enclosed itself.
  for (size_t i = 0; i < tasks.size(); ++i) {
    const int parent = tasks[i].parent();
    if (tasks[i].index() == 0 || !known.insert(parent).second) continue;
    v1::Task task;
    CAUDAL_TRY(database.Query("SELECT body FROM task WHERE run_key=$1 AND task_index=$2",
                              {run_key, int64_t{parent}},
                              [&](const sql::Row& row) { task.ParseFromString(row.Text(0)); }));
    if (task.index() != parent) {
      return Status(base::Code::kDataLoss,
                    "tasks of run " + std::to_string(run_key) + " cannot be read");
    }
    tasks.push_back(std::move(task));
  }
  std::sort(tasks.begin(), tasks.end(),
            [](const v1::Task& a, const v1::Task& b) { return a.index() < b.index(); });
  return tasks;
}

}  // namespace caudal::store
