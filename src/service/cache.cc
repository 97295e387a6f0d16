#include "store/cache.h"

#include "service/service.h"

namespace caudal::service {
namespace {

using auth::Resource;
using auth::Verb;
using base::InvalidArgument;
using base::Result;
using base::Status;

constexpr int kUsualPage = 100;
constexpr int kLargestPage = 1000;
constexpr int kMostIds = 1000;
constexpr char kNamespace[] = "";  // single-user mode has one

// An entry belongs to the namespace whose runs may use it.
Status Allow(const Caller& caller, Verb verb, const std::string& name_space) {
  return auth::Authorize(caller.principal, {verb, Resource::kCacheEntry}, name_space,
                         caller.principal.name);
}

// That there is anything to go by, the store sees to.
Status CheckEviction(const v1::EvictCacheEntriesRequest& request) {
  const bool has_filter = !request.pipeline_name().empty() || !request.task_path().empty() ||
                          request.unused_since() != 0 || request.everything();
  if (!request.ids().empty() && has_filter) {
    return InvalidArgument("ids and a filter do not go together; give one of them");
  }
  if (request.ids_size() > kMostIds) {
    return InvalidArgument(std::to_string(request.ids_size()) +
                           " ids are given, at most 1000 are taken at once");
  }
  if (request.unused_since() < 0) {
    return InvalidArgument("unused_since " + std::to_string(request.unused_since()) +
                           " is negative; it is a time in microseconds since 1970");
  }
  return {};
}

}  // namespace

Result<v1::CacheEntries> Service::ListCacheEntries(const Caller& caller,
                                                   const v1::ListCacheEntriesRequest& request) {
  CAUDAL_TRY(Allow(caller, Verb::kList, kNamespace));
  v1::ListCacheEntriesRequest ask = request;
  if (ask.page_size() == 0) ask.set_page_size(kUsualPage);
  if (ask.page_size() < 0 || ask.page_size() > kLargestPage) {
    return InvalidArgument("page_size " + std::to_string(request.page_size()) +
                           " is out of range; use 1 to 1000");
  }
  v1::CacheEntries listed;
  CAUDAL_TRY(store_.Read([&](sql::Database& database) -> Status {
    CAUDAL_ASSIGN(auto entries, store::ListCacheEntries(database, kNamespace, ask));
    for (v1::CacheEntry& entry : entries) {
      entry.clear_parts();
      *listed.add_entries() = std::move(entry);
    }
    return {};
  }));
  return listed;
}

Result<v1::CacheEntry> Service::LoadCacheEntry(const Caller& caller, int64_t id, Verb verb) {
  v1::CacheEntry entry;
  CAUDAL_TRY(store_.Read([&](sql::Database& database) -> Status {
    CAUDAL_ASSIGN(entry, store::GetCacheEntry(database, id));
    return {};
  }));
  CAUDAL_TRY(Allow(caller, verb, entry.namespace_()));
  return entry;
}

Result<v1::CacheEntry> Service::GetCacheEntry(const Caller& caller,
                                              const v1::GetCacheEntryRequest& request) {
  return LoadCacheEntry(caller, request.id(), Verb::kGet);
}

Result<v1::CacheEntry> Service::PinCacheEntry(const Caller& caller,
                                              const v1::PinCacheEntryRequest& request) {
  CAUDAL_ASSIGN(v1::CacheEntry entry, LoadCacheEntry(caller, request.id(), Verb::kUpdate));
  CAUDAL_TRY(store_.Write([&](sql::Database& database) {
    return store::PinCacheEntry(database, request.id(), !request.unpin());
  }));
  entry.set_pinned(!request.unpin());
  return entry;
}

Result<v1::EvictedCacheEntries> Service::EvictCacheEntries(
    const Caller& caller, const v1::EvictCacheEntriesRequest& request) {
  CAUDAL_TRY(Allow(caller, Verb::kDelete, kNamespace));
  CAUDAL_TRY(CheckEviction(request));
  v1::EvictedCacheEntries evicted;
  CAUDAL_TRY(store_.Write([&](sql::Database& database) -> Status {
    CAUDAL_ASSIGN(const int64_t count, store::EvictCacheEntries(database, kNamespace, request));
    evicted.set_count(count);
    return {};
  }));
  return evicted;
}

}  // namespace caudal::service
