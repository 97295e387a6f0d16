#include <array>
#include <boost/json.hpp>
#include <cstdio>

#include "cli/internal/common_flags.h"
#include "cli/internal/confirm.h"
#include "cli/internal/report.h"
#include "cli/internal/session.h"
#include "cli/internal/verbs.h"
#include "cli/internal/wording.h"

namespace caudal::cli {
namespace {

constexpr Flag kPipelineFlag = {"--pipeline", "", "NAME", "only those of this pipeline"};
constexpr Flag kTaskFlag = {"--task", "", "PATH", "only those of this task, as in group/train"};
constexpr std::array kListFlags = {
    kPipelineFlag, kTaskFlag,    kLimitFlag,  Flag{"--all", "", "", "all of them"},
    kServerFlag,   kDataDirFlag, kOutputFlag, kJsonFlag};
constexpr std::array kReadFlags = {kServerFlag, kDataDirFlag, kOutputFlag, kJsonFlag};
constexpr std::array kEvictFlags = {
    kPipelineFlag,
    kTaskFlag,
    Flag{"--unused-for", "", "TIME", "only those that nothing has used for so long, as in 30d"},
    Flag{"--all", "", "", "everything that is not pinned"},
    kYesFlag,
    kServerFlag,
    kDataDirFlag,
    kOutputFlag,
    kJsonFlag,
};
constexpr std::array kPinFlags = {Flag{"--unpin", "", "", "takes the pin away again"}, kServerFlag,
                                  kDataDirFlag, kOutputFlag, kJsonFlag};

base::Result<std::vector<int64_t>> ReadIds(const std::vector<std::string>& words) {
  std::vector<int64_t> ids;
  for (const std::string& word : words) {
    const auto id = ParseInteger(word, 1, INT64_MAX);
    if (!id.ok()) {
      return base::InvalidArgument("'" + word +
                                   "' is no id of a cache entry: see 'caudal cache list'");
    }
    ids.push_back(*id);
  }
  return ids;
}

std::string UseText(const v1::CacheEntry& entry) {
  if (entry.hits() == 0) return "never";
  return CountText(entry.hits(), "time") + ", " + AgeText(entry.last_hit_at(), NowMicros());
}

int CacheListVerb(const Arguments& arguments) {
  const auto limit = ReadLimit(arguments);
  if (!limit.ok()) return FailWith(limit.status());
  auto session = OpenSession(arguments);
  if (!session.ok()) return FailWith(session.status());
  v1::ListCacheEntriesRequest request;
  request.set_pipeline_name(arguments.Get("--pipeline"));
  request.set_task_path(arguments.Get("--task"));
  const auto entries = session->api->ListCacheEntries(request, *limit);
  if (!entries.ok()) return FailWith(entries.status());
  if (entries->empty() && session->form == OutputForm::kTable) {
    std::fprintf(stderr, "no entries; each step that succeeds makes one\n");
    return kExitOk;
  }
  Table table({{"id", true},
               {"pipeline", false, 12},
               {"task", false, 12},
               {"run", false, 0, true},
               {"used"},
               {"created", false, 0, true},
               {"pinned", false, 0, true}});
  boost::json::array data;
  for (const v1::CacheEntry& entry : *entries) {
    table.Add({std::to_string(entry.id()), entry.pipeline_name(), entry.task_path(),
               ShortId(entry.run_id()), UseText(entry), AgeText(entry.created_at(), NowMicros()),
               std::string(entry.pinned() ? "pinned" : "")});
    data.push_back(ToJsonValue(entry));
  }
  PrintOutput(session->form, table, data);
  return kExitOk;
}

void PrintEntry(const v1::CacheEntry& entry) {
  const auto line = [](const std::string& name, const std::string& text) {
    std::printf("  %-11s %s\n", name.c_str(), Printable(text).c_str());
  };
  std::printf("entry %lld%s\n", static_cast<long long>(entry.id()),
              entry.pinned() ? ", pinned" : "");
  line("pipeline", entry.pipeline_name());
  line("task", entry.task_path());
  line("outputs of", "run " + entry.run_id() + ", task " + entry.task_id());
  line("created", AgeText(entry.created_at(), NowMicros()));
  line("used", UseText(entry));
  line("fingerprint", entry.fingerprint());
  line("realm", entry.realm());
  if (!entry.parts().empty()) std::printf("\nkey\n");
  for (const auto& part : entry.parts()) {
    std::printf("  %s  %s\n", Printable(part.name()).c_str(), Printable(part.shown()).c_str());
  }
}

int CacheShowVerb(const Arguments& arguments) {
  const auto ids = ReadIds(arguments.positionals());
  if (!ids.ok()) return FailWith(ids.status());
  auto session = OpenSession(arguments);
  if (!session.ok()) return FailWith(session.status());
  const auto entry = session->api->GetCacheEntry(ids->front());
  if (!entry.ok()) return FailWith(entry.status());
  if (session->form == OutputForm::kTable) {
    PrintEntry(*entry);
  } else {
    PrintData(session->form, ToJsonValue(*entry));
  }
  return kExitOk;
}

base::Result<v1::EvictCacheEntriesRequest> ReadEviction(const Arguments& arguments) {
  v1::EvictCacheEntriesRequest request;
  CAUDAL_ASSIGN(const std::vector<int64_t> ids, ReadIds(arguments.positionals()));
  request.mutable_ids()->Add(ids.begin(), ids.end());
  request.set_pipeline_name(arguments.Get("--pipeline"));
  request.set_task_path(arguments.Get("--task"));
  request.set_everything(arguments.Has("--all"));
  if (arguments.Has("--unused-for")) {
    const auto millis = ParseDurationMillis(arguments.Get("--unused-for"));
    if (!millis.ok()) return base::InvalidArgument("--unused-for " + millis.status().message());
    request.set_unused_since(std::max<int64_t>(1, NowMicros() - *millis * 1000));
  }
  const bool has_filter = request.everything() || request.unused_since() > 0 ||
                          !request.pipeline_name().empty() || !request.task_path().empty();
  if (ids.empty() && !has_filter) {
    return base::InvalidArgument(
        "nothing says which entries shall go: give their ids, --pipeline, --task, --unused-for, or "
        "--all; see 'caudal cache list'");
  }
  if (!ids.empty() && has_filter) {
    return base::InvalidArgument(
        "ids do not go together with --pipeline, --task, --unused-for and "
        "--all");
  }
  return request;
}

std::string EvictionText(const v1::EvictCacheEntriesRequest& request) {
  if (request.ids_size() == 1) return "entry " + std::to_string(request.ids(0));
  if (!request.ids().empty()) return CountText(request.ids_size(), "entry of the cache");
  const bool is_narrow = !request.pipeline_name().empty() || !request.task_path().empty() ||
                         request.unused_since() > 0;
  return is_narrow ? "the entries that fit" : "all entries that are not pinned";
}

int CacheEvictVerb(const Arguments& arguments) {
  const auto request = ReadEviction(arguments);
  if (!request.ok()) return FailWith(request.status());
  auto session = OpenSession(arguments);
  if (!session.ok()) return FailWith(session.status());
  const base::Status sure = Confirm(
      arguments, "Evict " + EvictionText(*request) + "? Steps that could use them run again.");
  if (!sure.ok()) return FailWith(sure);
  const auto evicted = session->api->EvictCacheEntries(*request);
  if (!evicted.ok()) return FailWith(evicted.status());
  const bool is_one = evicted->count() == 1;
  PrintDone(session->form,
            "evicted " + std::to_string(evicted->count()) + (is_one ? " entry\n" : " entries\n"),
            {{"evicted", evicted->count()}});
  return kExitOk;
}

int CachePinVerb(const Arguments& arguments) {
  const auto ids = ReadIds(arguments.positionals());
  if (!ids.ok()) return FailWith(ids.status());
  auto session = OpenSession(arguments);
  if (!session.ok()) return FailWith(session.status());
  const bool unpins = arguments.Has("--unpin");
  std::string lines;
  boost::json::array data;
  base::Status status;
  for (const int64_t id : *ids) {
    const auto entry = session->api->PinCacheEntry(id, unpins);
    status = entry.status();
    if (!status.ok()) break;
    lines += (unpins ? "unpinned entry " : "pinned entry ") + std::to_string(id) + " (" +
             Printable(entry->task_path()) + ")\n";
    data.push_back(ToJsonValue(*entry));
  }
  PrintDone(session->form, lines, data);
  return status.ok() ? kExitOk : FailWith(status);
}

constexpr std::array kEntries = {
    Entry{{"cache list", "", "Lists outputs that may be used again, the newest first.", kListFlags,
           "caudal cache list\n"
           "caudal cache list --pipeline digits --task train\n"
           "caudal cache list --all -o jsonl"},
          CacheListVerb},
    Entry{{"cache show", "ID", "Shows an entry, with its key part by part.", kReadFlags,
           "caudal cache show 42\n"
           "caudal cache show 42 -o json"},
          CacheShowVerb},
    Entry{{"cache evict", "[ID…]", "Removes entries, so that steps run again.", kEvictFlags,
           "caudal cache evict 42\n"
           "caudal cache evict --pipeline digits --task train\n"
           "caudal cache evict --unused-for 30d --yes"},
          CacheEvictVerb},
    Entry{{"cache pin", "ID…", "Keeps entries from being evicted by a filter or by age.", kPinFlags,
           "caudal cache pin 42\n"
           "caudal cache pin 42 --unpin"},
          CachePinVerb},
};

}  // namespace

std::span<const Entry> CacheEntries() { return kEntries; }

}  // namespace caudal::cli
