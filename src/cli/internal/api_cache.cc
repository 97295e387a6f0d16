#include <algorithm>

#include "cli/internal/api.h"
#include "wire/json.h"

namespace caudal::cli {
namespace {

constexpr char kCache[] = "/apis/caudal/v1/cache";
constexpr size_t kPage = 1000;

std::string EntryPath(int64_t id) { return std::string(kCache) + "/" + std::to_string(id); }

}  // namespace

base::Result<std::vector<v1::CacheEntry>> Api::ListCacheEntries(v1::ListCacheEntriesRequest request,
                                                                size_t limit) {
  std::vector<v1::CacheEntry> entries;
  while (true) {
    const size_t wanted = limit == 0 ? kPage : std::min(kPage, limit - entries.size());
    v1::CacheEntries page;
    CAUDAL_TRY(Call("GET",
                    std::string(kCache) + "?page_size=" + std::to_string(wanted) +
                        "&before_id=" + std::to_string(request.before_id()) +
                        "&pipeline_name=" + UrlEncode(request.pipeline_name()) +
                        "&task_path=" + UrlEncode(request.task_path()),
                    "", &page));
    for (v1::CacheEntry& entry : *page.mutable_entries()) {
      request.set_before_id(entry.id());
      entries.push_back(std::move(entry));
    }
    const bool is_last = static_cast<size_t>(page.entries_size()) < wanted;
    if (is_last || (limit > 0 && entries.size() >= limit)) return entries;
  }
}

base::Result<v1::CacheEntry> Api::GetCacheEntry(int64_t id) {
  v1::CacheEntry entry;
  CAUDAL_TRY(Call("GET", EntryPath(id), "", &entry));
  return entry;
}

base::Result<v1::CacheEntry> Api::PinCacheEntry(int64_t id, bool unpin) {
  v1::CacheEntry entry;
  CAUDAL_TRY(Call("POST", EntryPath(id) + ":pin" + (unpin ? "?unpin=true" : ""), "", &entry));
  return entry;
}

base::Result<v1::EvictedCacheEntries> Api::EvictCacheEntries(
    const v1::EvictCacheEntriesRequest& request) {
  v1::EvictedCacheEntries evicted;
  CAUDAL_TRY(Call("POST", std::string(kCache) + ":evict",
                  wire::ToJson(request, wire::FieldNames::kSnakeCase), &evicted));
  return evicted;
}

}  // namespace caudal::cli
