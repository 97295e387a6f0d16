#pragma once

/// The task cache: which outputs may be used again. Functions run within a unit or a reader of
/// `Store`.

#include <google/protobuf/struct.pb.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "caudal/v1/cache_service.pb.h"
#include "caudal/v1/engine.pb.h"
#include "sql/database.h"

namespace caudal::store {

/// Who asks: a task with its key. Entries of other namespaces, pipelines and realms never fit.
struct CacheQuestion {
  std::string name_space;
  std::string pipeline_name;
  std::string
      task_path;  ///< without iteration indexes: where "the nearest earlier entry" is sought
  v1::CacheRecord record;  ///< with its realm
};

/// An earlier task whose outputs fit.
struct CachedTask {
  int64_t entry = 0;
  v1::Event::CacheAnswered::Hit hit;
};

/// The newest entries that fit, newest first, at most `limit`; the caller takes the first whose
/// artifacts still exist.
base::Result<std::vector<CachedTask>> FindCached(sql::Database& database,
                                                 const CacheQuestion& question, int limit);
/// Notes that an entry was used at `at` (microseconds since 1970).
base::Status TouchCacheEntry(sql::Database& database, int64_t entry, int64_t at);

/// Why nothing fits: how the key differs from the nearest earlier entry of the same task, or that
/// there is none.
base::Result<std::string> ExplainMiss(sql::Database& database, const CacheQuestion& question);

// The rest is for its users. Errors: kNotFound naming the id.
base::Result<std::vector<v1::CacheEntry>> ListCacheEntries(sql::Database& database,
                                                           const std::string& name_space,
                                                           const v1::ListCacheEntriesRequest& ask);
base::Result<v1::CacheEntry> GetCacheEntry(sql::Database& database, int64_t id);
base::Status PinCacheEntry(sql::Database& database, int64_t id, bool pinned);
/// How many went.
base::Result<int64_t> EvictCacheEntries(sql::Database& database, const std::string& name_space,
                                        const v1::EvictCacheEntriesRequest& ask);

/// "loop[3]/inner[0]/train" to "loop/inner/train".
std::string WithoutIterations(const std::string& task_path);

}  // namespace caudal::store
