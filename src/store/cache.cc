#include "store/cache.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "engine/fingerprint.h"
#include "store/internal/cache_entries.h"

namespace caudal::store {
namespace {

using base::Result;
using base::Status;
using std::string_view;

// Of one key: what a hit needs is one, a second stands by if its artifacts are gone.
constexpr int64_t kMostAlike = 3;
// How many earlier entries of a task are compared to say why nothing fits.
constexpr int64_t kMostCompared = 20;
constexpr int kDefaultPage = 100;
constexpr int kLargestPage = 1000;

constexpr char kSelectEntry[] =
    "SELECT c.key, c.namespace, c.pipeline, c.task_path, c.fingerprint, c.realm, r.id, t.task_id,"
    " c.created_at, c.last_hit_at, c.hits, c.pinned FROM cache_entry c"
    " JOIN run r ON r.key=c.run_key"
    " JOIN task t ON t.run_key=c.run_key AND t.task_index=c.task_index";

v1::CacheEntry ReadEntry(const sql::Row& row) {
  v1::CacheEntry entry;
  entry.set_id(row.Int(0));
  entry.set_namespace_(row.Text(1));
  entry.set_pipeline_name(row.Text(2));
  entry.set_task_path(row.Text(3));
  entry.set_fingerprint(row.Text(4));
  entry.set_realm(row.Text(5));
  entry.set_run_id(row.Text(6));
  entry.set_task_id(row.Text(7));
  entry.set_created_at(row.Int(8));
  entry.set_last_hit_at(row.Int(9));
  entry.set_hits(row.Int(10));
  entry.set_pinned(row.Int(11) != 0);
  return entry;
}

Status MissingEntry(int64_t id) {
  return base::NotFound("cache entry " + std::to_string(id) +
                        " not found; caudal cache list shows what there is");
}

Status InsertEntry(sql::Database& database, const RunChange& change, const v1::Task& task) {
  const v1::RunInfo& info = change.after->info();
  const v1::CacheRecord& record = task.cache();
  const std::string path = WithoutIterations(engine::PathOf(*change.after, task.index()));
  CAUDAL_TRY(database.Execute(
      "INSERT INTO cache_entry(namespace, pipeline, fingerprint, realm, task_path, run_key,"
      " task_index, created_at, last_hit_at, hits, pinned) VALUES($1,$2,$3,$4,$5,$6,$7,$8,0,0,0)",
      {string_view(info.namespace_()), string_view(info.pipeline_name()),
       string_view(record.fingerprint()), string_view(record.realm()), string_view(path),
       change.run_key, int64_t{task.index()}, change.event.at()}));
  // Older ones of the same key are of no more use. With less than that many, this compares to NULL.
  return database.Execute(
      "DELETE FROM cache_entry WHERE namespace=$1 AND pipeline=$2 AND fingerprint=$3 AND realm=$4"
      " AND pinned=0 AND key<=(SELECT key FROM cache_entry WHERE namespace=$1 AND pipeline=$2"
      " AND fingerprint=$3 AND realm=$4 ORDER BY key DESC LIMIT 1 OFFSET $5)",
      {string_view(info.namespace_()), string_view(info.pipeline_name()),
       string_view(record.fingerprint()), string_view(record.realm()), kMostAlike});
}

bool HasSucceeded(const RunChange& change, int index) {
  return std::any_of(
      change.delta.tasks().begin(), change.delta.tasks().end(), [&](const v1::Task& task) {
        return task.index() == index && task.has_state() && task.state() == v1::SUCCEEDED;
      });
}

using Parts = std::set<std::pair<std::string, std::string>>;  // name and digest

Parts PartsOf(const v1::CacheRecord& record) {
  Parts parts{{"realm", record.realm()}};
  for (const auto& part : record.parts()) parts.emplace(part.name(), part.digest());
  return parts;
}

// How many parts only one of the two has.
size_t Distance(const Parts& a, const Parts& b) {
  const auto in_b = [&](const auto& part) { return b.count(part) > 0; };
  const auto common = static_cast<size_t>(std::count_if(a.begin(), a.end(), in_b));
  return a.size() + b.size() - 2 * common;
}

/// An earlier success of a task.
struct Earlier {
  v1::CacheRecord record;
  std::string run_id;
};

// The newest of those with the fewest differences.
Result<std::optional<Earlier>> FindNearest(sql::Database& database, const CacheQuestion& question) {
  const Parts asked = PartsOf(question.record);
  std::optional<Earlier> nearest;
  size_t least = 0;
  CAUDAL_TRY(database.Query(
      "SELECT d.body, r.id FROM cache_entry c JOIN run r ON r.key=c.run_key"
      " JOIN task_data d ON d.run_key=c.run_key AND d.task_index=c.task_index"
      " WHERE c.namespace=$1 AND c.pipeline=$2 AND c.task_path=$3 ORDER BY c.key DESC LIMIT $4",
      {string_view(question.name_space), string_view(question.pipeline_name),
       string_view(question.task_path), kMostCompared},
      [&](const sql::Row& row) {
        v1::Task data;
        if (!data.ParseFromString(row.Text(0))) return;
        const size_t distance = Distance(asked, PartsOf(data.cache()));
        if (nearest && distance >= least) return;
        least = distance;
        nearest = Earlier{std::move(*data.mutable_cache()), row.Text(1)};
      }));
  return nearest;
}

}  // namespace

std::string WithoutIterations(const std::string& task_path) {
  std::string path;
  size_t begin = 0;
  while (begin <= task_path.size()) {
    const size_t end = std::min(task_path.find('/', begin), task_path.size());
    std::string part = task_path.substr(begin, end - begin);
    const size_t bracket = part.rfind('[');
    const bool is_iteration = bracket != std::string::npos && part.ends_with(']') &&
                              bracket + 2 < part.size() &&
                              part.find_first_not_of("0123456789", bracket + 1) == part.size() - 1;
    if (is_iteration) part.resize(bracket);
    if (begin > 0) path += '/';
    path += part;
    begin = end + 1;
  }
  return path;
}

Status SaveCacheEntries(sql::Database& database, const RunChange& change) {
  for (const v1::Task& task : change.delta.tasks()) {
    if (!task.fresh()) continue;
    CAUDAL_TRY(database.Execute("DELETE FROM cache_entry WHERE run_key=$1 AND task_index=$2",
                                {change.run_key, int64_t{task.index()}}));
  }
  if (!change.event.has_attempt_finished()) return {};
  const v1::Event::AttemptFinished& finished = change.event.attempt_finished();
  if (finished.outcome().result() != v1::AttemptOutcome::SUCCEEDED) return {};
  if (!HasSucceeded(change, finished.task())) return {};
  const v1::Task& task = change.after->task(finished.task());
  const bool has_key = !task.cache().fingerprint().empty() && !task.cache().realm().empty();
  return has_key ? InsertEntry(database, change, task) : Status();
}

Result<std::vector<CachedTask>> FindCached(sql::Database& database, const CacheQuestion& question,
                                           int limit) {
  std::vector<CachedTask> found;
  CAUDAL_TRY(database.Query(
      "SELECT c.key, r.id, t.task_id, d.body FROM cache_entry c JOIN run r ON r.key=c.run_key"
      " JOIN task t ON t.run_key=c.run_key AND t.task_index=c.task_index AND t.state=$1"
      " JOIN task_data d ON d.run_key=c.run_key AND d.task_index=c.task_index"
      " WHERE c.namespace=$2 AND c.pipeline=$3 AND c.fingerprint=$4 AND c.realm=$5"
      " ORDER BY c.key DESC LIMIT $6",
      {int64_t{v1::SUCCEEDED}, string_view(question.name_space),
       string_view(question.pipeline_name), string_view(question.record.fingerprint()),
       string_view(question.record.realm()), int64_t{limit}},
      [&](const sql::Row& row) {
        v1::Task data;
        if (!data.ParseFromString(row.Text(3))) return;  // damaged: as good as none
        CachedTask task;
        task.entry = row.Int(0);
        task.hit.set_run_id(row.Text(1));
        task.hit.set_task_id(row.Text(2));
        task.hit.mutable_parameters()->swap(*data.mutable_output_parameters());
        task.hit.mutable_artifacts()->swap(*data.mutable_output_artifacts());
        found.push_back(std::move(task));
      }));
  return found;
}

Status TouchCacheEntry(sql::Database& database, int64_t entry, int64_t at) {
  return database.Execute("UPDATE cache_entry SET hits=hits+1, last_hit_at=$1 WHERE key=$2",
                          {at, entry});
}

Result<std::string> ExplainMiss(sql::Database& database, const CacheQuestion& question) {
  CAUDAL_ASSIGN(const auto nearest, FindNearest(database, question));
  if (!nearest) return std::string("no earlier success of this task");
  const std::string difference = engine::DescribeDifference(question.record, nearest->record);
  if (difference.empty()) return "the outputs of run " + nearest->run_id + " are gone";
  return difference + " (in run " + nearest->run_id + ")";
}

Result<std::vector<v1::CacheEntry>> ListCacheEntries(sql::Database& database,
                                                     const std::string& name_space,
                                                     const v1::ListCacheEntriesRequest& ask) {
  if (ask.page_size() < 0) {
    return base::InvalidArgument("page_size is " + std::to_string(ask.page_size()) +
                                 ", wants 0 or more");
  }
  const int limit = ask.page_size() == 0 ? kDefaultPage : std::min(ask.page_size(), kLargestPage);
  std::vector<v1::CacheEntry> entries;
  CAUDAL_TRY(database.Query(
      std::string(kSelectEntry) +
          " WHERE c.namespace=$1 AND ($2='' OR c.pipeline=$2) AND ($3='' OR c.task_path=$3)"
          " AND ($4=0 OR c.key<$4) ORDER BY c.key DESC LIMIT $5",
      {string_view(name_space), string_view(ask.pipeline_name()), string_view(ask.task_path()),
       ask.before_id(), int64_t{limit}},
      [&](const sql::Row& row) { entries.push_back(ReadEntry(row)); }));
  return entries;
}

Result<v1::CacheEntry> GetCacheEntry(sql::Database& database, int64_t id) {
  v1::CacheEntry entry;
  CAUDAL_TRY(database.Query(std::string(kSelectEntry) + " WHERE c.key=$1", {id},
                            [&](const sql::Row& row) { entry = ReadEntry(row); }));
  if (entry.id() == 0) return MissingEntry(id);
  bool is_sound = true;
  CAUDAL_TRY(
      database.Query("SELECT d.body FROM cache_entry c JOIN task_data d ON d.run_key=c.run_key"
                     " AND d.task_index=c.task_index WHERE c.key=$1",
                     {id}, [&](const sql::Row& row) {
                       v1::Task data;
                       is_sound = data.ParseFromString(row.Text(0));
                       entry.mutable_parts()->Swap(data.mutable_cache()->mutable_parts());
                     }));
  if (!is_sound) {
    return Status(base::Code::kDataLoss,
                  "the outputs of cache entry " + std::to_string(id) + " cannot be read");
  }
  return entry;
}

Status PinCacheEntry(sql::Database& database, int64_t id, bool pinned) {
  CAUDAL_TRY(
      database.Execute("UPDATE cache_entry SET pinned=$1 WHERE key=$2", {int64_t{pinned}, id}));
  return database.Changes() > 0 ? Status() : MissingEntry(id);
}

Result<int64_t> EvictCacheEntries(sql::Database& database, const std::string& name_space,
                                  const v1::EvictCacheEntriesRequest& ask) {
  const bool has_filter = ask.everything() || !ask.pipeline_name().empty() ||
                          !ask.task_path().empty() || ask.unused_since() != 0;
  if (ask.ids().empty() && !has_filter) {
    return base::InvalidArgument(
        "nothing says which cache entries to evict: give ids, a pipeline, a task, an age, or"
        " everything");
  }
  int64_t count = 0;
  for (const int64_t id : ask.ids()) {
    CAUDAL_TRY(database.Execute("DELETE FROM cache_entry WHERE key=$1 AND namespace=$2",
                                {id, string_view(name_space)}));
    if (database.Changes() == 0) return MissingEntry(id);
    ++count;
  }
  if (!has_filter) return count;
  CAUDAL_TRY(database.Execute(
      "DELETE FROM cache_entry WHERE namespace=$1 AND pinned=0 AND ($2='' OR pipeline=$2)"
      " AND ($3='' OR task_path=$3) AND ($4=0 OR (created_at<$4 AND last_hit_at<$4))",
      {string_view(name_space), string_view(ask.pipeline_name()), string_view(ask.task_path()),
       ask.unused_since()}));
  return count + database.Changes();
}

}  // namespace caudal::store
