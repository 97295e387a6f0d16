#include "store/internal/task_rows.h"

#include <algorithm>
#include <string>
#include <vector>

#include "model/task.h"

namespace caudal::store {
namespace {

using base::Result;
using base::Status;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using std::string_view;

constexpr char kSelectTask[] =
    "SELECT t.task_index, t.body, d.body FROM task t"
    " LEFT JOIN task_data d ON d.run_key=t.run_key AND d.task_index=t.task_index"
    " WHERE t.run_key=$1";

bool IsData(int field_number) {
  switch (field_number) {
    case v1::Task::kParametersFieldNumber:
    case v1::Task::kArtifactsFieldNumber:
    case v1::Task::kOutputParametersFieldNumber:
    case v1::Task::kOutputArtifactsFieldNumber:
    case v1::Task::kItemsFieldNumber:
    case v1::Task::kSurroundingsFieldNumber:
    case v1::Task::kCacheFieldNumber:
      return true;
    default:
      return false;
  }
}

bool HasData(const v1::Task& task) {
  return !task.parameters().empty() || !task.artifacts().empty() ||
         !task.output_parameters().empty() || !task.output_artifacts().empty() ||
         task.has_items() || task.has_surroundings() || task.has_cache();
}

void CopyField(const Message& from, const FieldDescriptor* field, Message* to) {
  CAUDAL_CHECK(!field->is_repeated(), "a repeated field belongs into a task's data");
  const Reflection* reflection = from.GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection->SetInt32(to, field, reflection->GetInt32(from, field));
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection->SetInt64(to, field, reflection->GetInt64(from, field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection->SetBool(to, field, reflection->GetBool(from, field));
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection->SetEnumValue(to, field, reflection->GetEnumValue(from, field));
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection->SetString(to, field, reflection->GetString(from, field));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return reflection->MutableMessage(to, field)->CopyFrom(reflection->GetMessage(from, field));
    default:
      CAUDAL_CHECK(false, "a task has a field of a type that nothing copies");
  }
}

/// What a turn did to one task.
struct Touched {
  int index = 0;
  int64_t seq = 0;  // of the last change
  bool is_new = false;
  bool has_data = false;  // of its data something changed
};

// One per task, by index.
std::vector<Touched> Gather(std::span<const RunChange* const> changes) {
  std::vector<Touched> all;
  for (const RunChange* change : changes) {
    for (const v1::Task& task : change->delta.tasks()) {
      all.push_back(
          {task.index(), change->seq, task.has_created_at(), task.fresh() || HasData(task)});
    }
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const Touched& a, const Touched& b) { return a.index < b.index; });
  std::vector<Touched> merged;
  for (const Touched& one : all) {
    if (merged.empty() || merged.back().index != one.index) {
      merged.push_back(one);
      continue;
    }
    Touched& task = merged.back();
    task.seq = one.seq;
    task.is_new = task.is_new || one.is_new;
    task.has_data = task.has_data || one.has_data;
  }
  return merged;
}

Status SaveBody(sql::Database& database, int64_t run_key, const engine::State& state,
                const Touched& touched) {
  const v1::Task& task = state.task(touched.index);
  const std::string body = BodyOf(task).SerializeAsString();
  const int64_t index = touched.index;
  // The id is a digest of the path: not made again for a row that has it.
  if (!touched.is_new) {
    CAUDAL_TRY(database.Execute(
        "UPDATE task SET seq=$1, state=$2, body=$3 WHERE run_key=$4 AND task_index=$5",
        {touched.seq, int64_t{task.state()}, sql::Blob{body}, run_key, index}));
    if (database.Changes() > 0) return {};
  }
  const std::string id = model::TaskId(state.info().run_id(), engine::PathOf(state, touched.index));
  return database.Execute(
      "INSERT INTO task(run_key, task_index, task_id, seq, state, body) VALUES($1,$2,$3,$4,$5,$6)"
      " ON CONFLICT(run_key, task_index) DO UPDATE SET seq=excluded.seq, state=excluded.state,"
      " body=excluded.body",
      {run_key, index, string_view(id), touched.seq, int64_t{task.state()}, sql::Blob{body}});
}

Status SaveData(sql::Database& database, int64_t run_key, const v1::Task& task) {
  const int64_t index = task.index();
  const std::string data = DataOf(task).SerializeAsString();
  if (data.empty()) {
    return database.Execute("DELETE FROM task_data WHERE run_key=$1 AND task_index=$2",
                            {run_key, index});
  }
  return database.Execute(
      "INSERT INTO task_data(run_key, task_index, body) VALUES($1,$2,$3)"
      " ON CONFLICT(run_key, task_index) DO UPDATE SET body=excluded.body",
      {run_key, index, sql::Blob{data}});
}

bool ReadTask(const sql::Row& row, v1::Task* task) {
  return task->ParseFromString(row.Text(1)) && task->MergeFromString(row.Text(2)) &&
         task->index() == row.Int(0);
}

Status Damaged(int64_t run_key) {
  return Status(base::Code::kDataLoss,
                "tasks of run " + std::to_string(run_key) + " cannot be read");
}

Result<std::vector<v1::Task>> ReadTasks(sql::Database& database, const std::string& condition,
                                        const sql::Params& params, int64_t run_key) {
  std::vector<v1::Task> tasks;
  bool is_sound = true;
  CAUDAL_TRY(database.Query(kSelectTask + condition, params, [&](const sql::Row& row) {
    is_sound = ReadTask(row, &tasks.emplace_back()) && is_sound;
  }));
  if (!is_sound) return Damaged(run_key);
  return tasks;
}

}  // namespace

v1::Task BodyOf(const v1::Task& task) {
  v1::Task body;
  std::vector<const FieldDescriptor*> fields;
  v1::Task::GetReflection()->ListFields(task, &fields);
  for (const FieldDescriptor* field : fields) {
    if (!IsData(field->number())) CopyField(task, field, &body);
  }
  return body;
}

v1::Task DataOf(const v1::Task& task) {
  v1::Task data;
  *data.mutable_parameters() = task.parameters();
  *data.mutable_artifacts() = task.artifacts();
  *data.mutable_output_parameters() = task.output_parameters();
  *data.mutable_output_artifacts() = task.output_artifacts();
  if (task.has_items()) *data.mutable_items() = task.items();
  if (task.has_surroundings()) *data.mutable_surroundings() = task.surroundings();
  if (task.has_cache()) *data.mutable_cache() = task.cache();
  return data;
}

Status SaveTasks(sql::Database& database, std::span<const RunChange* const> changes) {
  const int64_t run_key = changes.back()->run_key;
  const engine::State& state = *changes.back()->after;
  for (const Touched& touched : Gather(changes)) {
    CAUDAL_TRY(SaveBody(database, run_key, state, touched));
    if (touched.has_data) CAUDAL_TRY(SaveData(database, run_key, state.task(touched.index)));
  }
  return {};
}

Result<LoadedRun> LoadRun(sql::Database& database, int64_t run_key,
                          std::shared_ptr<const spec::Plan> plan) {
  int64_t seq = 0;
  v1::Snapshot snapshot;
  bool is_sound = true;
  CAUDAL_TRY(database.Query(
      "SELECT r.seq, s.info, s.body FROM run r JOIN run_state s ON s.run_key=r.key WHERE r.key=$1",
      {run_key}, [&](const sql::Row& row) {
        seq = row.Int(0);
        is_sound = snapshot.mutable_info()->ParseFromString(row.Text(1)) &&
                   snapshot.mutable_run()->ParseFromString(row.Text(2));
      }));
  if (seq == 0) return base::NotFound("run with key " + std::to_string(run_key) + " not found");
  CAUDAL_TRY(database.Query(
      kSelectTask + std::string(" ORDER BY t.task_index"), {run_key}, [&](const sql::Row& row) {
        v1::Task* task = snapshot.add_tasks();
        is_sound = ReadTask(row, task) && is_sound && task->index() == snapshot.tasks_size() - 1;
      }));
  if (!is_sound) return Damaged(run_key);
  return LoadedRun{engine::FromSnapshot(std::move(plan), std::move(snapshot)), seq};
}

Result<std::vector<v1::Task>> ListTasks(sql::Database& database, int64_t run_key, int limit) {
  return ReadTasks(database, " ORDER BY t.task_index LIMIT $2", {run_key, int64_t{limit}}, run_key);
}

Result<std::vector<v1::Task>> ListTasksFrom(sql::Database& database, int64_t run_key, int first,
                                            int limit) {
  return ReadTasks(database, " AND t.task_index>=$2 ORDER BY t.task_index LIMIT $3",
                   {run_key, int64_t{first}, int64_t{limit}}, run_key);
}

Result<std::vector<v1::Task>> ListTasksSince(sql::Database& database, int64_t run_key,
                                             int64_t after_seq, int limit) {
  CAUDAL_ASSIGN(std::vector<v1::Task> tasks,
                ReadTasks(database, " AND t.seq>$2 ORDER BY t.seq LIMIT $3",
                          {run_key, after_seq, int64_t{limit}}, run_key));
  std::sort(tasks.begin(), tasks.end(),
            [](const v1::Task& a, const v1::Task& b) { return a.index() < b.index(); });
  return tasks;
}

Result<std::map<v1::TaskState, int64_t>> CountTasks(sql::Database& database, int64_t run_key) {
  std::map<v1::TaskState, int64_t> counts;
  CAUDAL_TRY(database.Query(
      "SELECT state, count(*) FROM task WHERE run_key=$1 GROUP BY state", {run_key},
      [&](const sql::Row& row) { counts[static_cast<v1::TaskState>(row.Int(0))] = row.Int(1); }));
  return counts;
}

Result<TaskLog> FindTaskLog(sql::Database& database, int64_t run_key, const std::string& task_id,
                            int64_t attempt) {
  TaskLog log;
  CAUDAL_TRY(
      database.Query("SELECT a.key, a.ended_at FROM task t JOIN attempt a ON a.run_key=t.run_key"
                     " AND a.task_index=t.task_index WHERE t.task_id=$1 AND t.run_key=$2"
                     " AND ($3=0 OR a.number=$3-1) ORDER BY a.number DESC LIMIT 1",
                     {string_view(task_id), run_key, attempt}, [&](const sql::Row& row) {
                       log.attempt_key = row.Int(0);
                       log.is_final = row.Int(1) != 0;
                     }));
  if (log.attempt_key == 0) {
    return base::NotFound(
        "log of task " + task_id + " not found: " +
        (attempt == 0 ? "no step of it has run" : "it had no attempt " + std::to_string(attempt)));
  }
  return log;
}

}  // namespace caudal::store
