#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <thread>

#include "base/log.h"
#include "process/process.h"
#include "pyenv/internal/build.h"
#include "pyenv/internal/files.h"
#include "pyenv/internal/installer.h"
#include "pyenv/internal/interpreter.h"
#include "pyenv/internal/records.h"
#include "pyenv/internal/settings.h"
#include "pyenv/pyenv.h"

namespace caudal::pyenv {
namespace {

using base::Result;
using base::Status;
using internal::Progress;

constexpr int64_t kTouchMicros = 3600LL * 1'000'000;
// How many other builds are looked at for files to share.
constexpr size_t kMaxOthers = 16;

const base::Clock& ClockOf(const Options& options) {
  static const base::SystemClock machine;
  return options.clock == nullptr ? machine : *options.clock;
}

/// Builds work elsewhere than where the server was started. As for pip, a path has a slash.
Options WithAbsolutePackage(Options options) {
  std::error_code error;
  if (options.kfp_package.find('/') != std::string::npos &&
      std::filesystem::exists(options.kfp_package, error)) {
    options.kfp_package =
        std::filesystem::absolute(options.kfp_package).lexically_normal().string();
  }
  return options;
}

}  // namespace

struct Environments::Impl {
  /// One build and those who wait for it, who share its end whatever it is.
  struct Flight {
    bool is_over = false;
    Result<Record> result;
  };

  /// A build that is known, on disk or not.
  struct Known {
    Record record;
    int uses = 0;
  };
  using Builds = std::map<int, Known>;  // by number

  /// What outlives this object: uses end whenever they end.
  struct Index {
    Index(internal::Disk where, const base::Clock& time) : disk(std::move(where)), clock(time) {}

    const internal::Disk disk;
    const base::Clock& clock;
    std::mutex mutex;
    std::map<std::string, Builds> by_key;
  };

  explicit Impl(Options given)
      : options(WithAbsolutePackage(std::move(given))),
        disk(options.envs_dir),
        clock(ClockOf(options)) {
    for (Record& record : disk.Read()) Add(std::move(record));
  }

  int64_t Now() const { return base::ToMicros(clock.Now()); }

  // --- Interpreters.

  Result<Interpreter> FindDefault() {
    std::string reasons;
    for (const std::string& program : internal::Candidates("python3")) {
      auto found = internal::Probe(program);
      if (found.ok()) return found;
      reasons += "\n" + found.status().message();
    }
    return base::FailedPrecondition(
        "this machine has no usable Python 3; install python3 and python3-venv" + reasons);
  }

  /// Probed once each: a Python costs some ten milliseconds to ask.
  Result<Interpreter> FindPython(const std::string& version) {
    const std::lock_guard<std::mutex> lock(interpreters_mutex);
    const auto [at, is_new] = interpreters.try_emplace(version);
    if (is_new) at->second = version.empty() ? FindDefault() : FindVersion(version);
    return at->second;
  }

  static Result<Interpreter> FindVersion(const std::string& version) {
    Status why = base::FailedPrecondition("this machine has no Python " + version);
    for (const std::string& program : internal::Candidates("python" + version)) {
      auto found = internal::Probe(program);
      if (found.ok() && found->version.starts_with(version + ".")) return found;
      if (!found.ok()) why = found.status();
    }
    return why;
  }

  // --- The index. Locked: index->mutex.

  void Add(Record record) {
    const std::lock_guard<std::mutex> lock(index->mutex);
    AddLocked(std::move(record));
  }

  void AddLocked(Record record) {
    Builds& builds = index->by_key[record.key];
    const int build = record.build;
    builds[build].record = std::move(record);
  }

  Known* FindLocked(const std::string& id) {
    const auto parsed = internal::ParseId(id);
    if (!parsed) return nullptr;
    const auto builds = index->by_key.find(parsed->key);
    if (builds == index->by_key.end()) return nullptr;
    const auto at = builds->second.find(parsed->build);
    return at == builds->second.end() ? nullptr : &at->second;
  }

  /// The build of the highest number: a later one that was pruned does not bring an older one back.
  Known* NewestLocked(const std::string& key) {
    const auto builds = index->by_key.find(key);
    if (builds == index->by_key.end() || builds->second.empty()) return nullptr;
    Known& newest = builds->second.rbegin()->second;
    return newest.record.is_removed ? nullptr : &newest;
  }

  static void TouchLocked(const Index& index, Known* known) {
    const int64_t now = base::ToMicros(index.clock.Now());
    if (now - known->record.last_used_at < kTouchMicros) return;
    known->record.last_used_at = now;
    index.disk.Touch(known->record.id(), now);
  }

  Environment UseLocked(Known* known) {
    TouchLocked(*index, known);
    ++known->uses;
    const Record& record = known->record;
    Environment environment{record.id(), record.path,
                            internal::SitePackages(record.path, record.interpreter),
                            record.interpreter};
    environment.use = std::shared_ptr<const void>(
        known, [index = index, id = record.id()](const void*) { EndUse(*index, id); });
    return environment;
  }

  static void EndUse(Index& index, const std::string& id) {
    const auto parsed = internal::ParseId(id);
    const std::lock_guard<std::mutex> lock(index.mutex);
    Known& known = index.by_key[parsed->key][parsed->build];
    --known.uses;
    TouchLocked(index, &known);
  }

  /// "<start of a key>.<build>", as lists show it, names that build.
  static bool IsNamed(const Record& record, const std::string& text) {
    const size_t dot = text.find('.');
    if (text.empty() || !record.key.starts_with(text.substr(0, dot))) return false;
    return dot == std::string::npos || text.substr(dot + 1) == std::to_string(record.build);
  }

  /// The newest of the builds that `text` names.
  Result<Record> Inspect(const std::string& text) {
    const std::lock_guard<std::mutex> lock(index->mutex);
    const Record* found = nullptr;
    for (const auto& [key, builds] : index->by_key) {
      for (const auto& [number, known] : builds) {
        if (!IsNamed(known.record, text)) continue;
        if (found != nullptr && found->key != key) {
          return base::InvalidArgument("several environments begin with '" + text +
                                       "'; give more characters of the id");
        }
        found = &known.record;
      }
    }
    if (found != nullptr) return *found;
    return base::NotFound("no environment has the id '" + text +
                          "'; caudal venv list shows those there are");
  }

  // --- Building.

  const std::string& PackageOf(const Request& request) const {
    return request.kfp_package.empty() ? options.kfp_package : request.kfp_package;
  }

  std::string KeyOf(const Request& request, std::vector<PipCall>* calls) const {
    *calls = internal::WithKfpPackage(request.calls, PackageOf(request));
    return EnvironmentKey(request.interpreter, *calls, request.use_venv, settings);
  }

  /// One build of `record.key` at a time; `is_refresh` builds although there is one.
  Result<Record> BuildOnce(Record record, bool is_refresh, const Progress& progress) {
    std::unique_lock<std::mutex> lock(mutex);
    if (is_stopped) return base::Unavailable("the server is stopping");
    const auto [at, is_first] = flights.try_emplace(record.key);
    if (!is_first) {
      const std::shared_ptr<Flight> flight = at->second;
      ended.wait(lock, [&] { return flight->is_over; });
      return flight->result;
    }
    const auto flight = at->second = std::make_shared<Flight>();
    lock.unlock();
    const std::string key = record.key;
    Result<Record> built = BuildNext(std::move(record), is_refresh, progress);
    lock.lock();
    if (!built.ok() && is_stopped) built = base::Unavailable("the server is stopping");
    flight->result = built;
    flight->is_over = true;
    flights.erase(key);
    ended.notify_all();
    return built;
  }

  bool IsStopped() {
    const std::lock_guard<std::mutex> lock(mutex);
    return is_stopped;
  }

  Result<Record> BuildNext(Record record, bool is_refresh, const Progress& progress) {
    CAUDAL_ASSIGN(const base::UniqueFd key_lock,
                  disk.Lock(record.key, [this] { return IsStopped(); }));
    // Another process may have built it, or begun and died.
    for (Record& known : disk.Read(record.key)) {
      const std::lock_guard<std::mutex> lock(index->mutex);
      if (FindLocked(known.id()) == nullptr) AddLocked(std::move(known));
    }
    {
      const std::lock_guard<std::mutex> lock(index->mutex);
      const Known* newest = NewestLocked(record.key);
      if (newest != nullptr && !is_refresh) return newest->record;
    }
    record.build = disk.LastNumber(record.key) + 1;
    record.created_at = record.last_used_at = Now();
    DeleteRubbish();
    CAUDAL_ASSIGN(Record built, internal::Build({options, disk, InstallerOnce(), std::move(record),
                                                 Others(), progress}));
    Add(built);
    return built;
  }

  void DeleteRubbish() {
    const std::lock_guard<std::mutex> lock(prune_mutex);
    disk.DeleteRubbish();
  }

  /// Asked for its version once, when the first build comes.
  const internal::Installer& InstallerOnce() {
    std::call_once(installer_chosen, [this] { installer = internal::ChooseInstaller(settings); });
    return installer;
  }

  /// Where files to share may lie: builds on disk, newest first.
  std::vector<std::string> Others() const {
    std::vector<std::string> others;
    for (const Record& record : List()) {
      if (others.size() < kMaxOthers) others.push_back(record.path);
    }
    return others;
  }

  std::vector<Record> List() const {
    std::vector<Record> records;
    const std::lock_guard<std::mutex> lock(index->mutex);
    for (const auto& [key, builds] : index->by_key) {
      for (const auto& [number, known] : builds) {
        if (!known.record.is_removed) records.push_back(known.record);
      }
    }
    std::sort(records.begin(), records.end(), [](const Record& one, const Record& other) {
      return std::pair(other.created_at, one.id()) < std::pair(one.created_at, other.id());
    });
    return records;
  }

  const Options options;
  const Settings settings = internal::SettingsFromEnvironment();
  const internal::Disk disk;
  const base::Clock& clock;

  std::mutex interpreters_mutex;
  std::map<std::string, Result<Interpreter>> interpreters;  // by "3.9"; "" is the default

  const std::shared_ptr<Index> index = std::make_shared<Index>(disk, clock);

  std::mutex prune_mutex;  // taken before the index's: one deletes at a time
  std::once_flag installer_chosen;
  internal::Installer installer;

  std::mutex mutex;  // guards what follows; never held together with the index's
  bool is_stopped = false;
  std::condition_variable ended;
  std::map<std::string, std::shared_ptr<Flight>> flights;  // shared by builder and waiters
};

Environments::Environments(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Environments::~Environments() = default;

Result<Interpreter> Environments::ForImage(const std::string& image, std::string* note) {
  note->clear();
  const std::string version = internal::PythonVersionOf(image);
  Status why = base::FailedPrecondition("images are only used by container isolation");
  if (!version.empty()) {
    auto exact = impl_->FindPython(version);
    if (exact.ok()) return exact;
    why = exact.status();
  }
  auto found = impl_->FindPython("");
  if (found.ok() && !image.empty()) {
    *note = "image '" + image + "' stood in for by " + found->path + " (Python " + found->version +
            "): " + why.message();
  }
  return found;
}

bool Environments::IsKnown(const std::string& image) const {
  const std::unique_lock<std::mutex> lock(impl_->interpreters_mutex, std::try_to_lock);
  if (!lock.owns_lock()) return false;
  const auto at = impl_->interpreters.find(internal::PythonVersionOf(image));
  if (at == impl_->interpreters.end()) return false;
  return at->second.ok() || impl_->interpreters.count("") > 0;
}

std::string Environments::KeyOf(const Request& request) const {
  std::vector<PipCall> calls;
  return impl_->KeyOf(request, &calls);
}

std::optional<Environment> Environments::Find(const Request& request) {
  std::vector<PipCall> calls;
  const std::string key = impl_->KeyOf(request, &calls);
  const std::lock_guard<std::mutex> lock(impl_->index->mutex);
  Impl::Known* newest = impl_->NewestLocked(key);
  if (newest == nullptr) return std::nullopt;
  return impl_->UseLocked(newest);
}

Result<Environment> Environments::Get(const Request& request, const Progress& progress) {
  CAUDAL_TRY(internal::CheckKfpPackage(request.kfp_package));
  while (true) {
    if (auto found = Find(request)) return *std::move(found);
    Record record;
    record.key = impl_->KeyOf(request, &record.calls);
    record.interpreter = request.interpreter;
    record.use_venv = request.use_venv;
    record.kfp_package = impl_->PackageOf(request);
    CAUDAL_TRY(impl_->BuildOnce(std::move(record), false, progress).status());
    // Found now, unless somebody prunes just behind us.
  }
}

Result<Environment> Environments::Hold(const std::string& id) {
  const std::lock_guard<std::mutex> lock(impl_->index->mutex);
  Impl::Known* known = impl_->FindLocked(id);
  if (known == nullptr || known->record.is_removed) {
    return base::NotFound("environment " + id + " is not there");
  }
  return impl_->UseLocked(known);
}

std::vector<Record> Environments::List() const { return impl_->List(); }

Result<Record> Environments::Inspect(const std::string& id) const { return impl_->Inspect(id); }

Result<Environments::Pruned> Environments::Prune(base::Duration unused_for, bool dry_run) {
  const std::lock_guard<std::mutex> prune_lock(impl_->prune_mutex);
  Pruned pruned;
  std::vector<std::string> roots;
  const int64_t limit = impl_->Now() - unused_for.count();
  Status failed;
  {
    const std::lock_guard<std::mutex> lock(impl_->index->mutex);
    for (auto& [key, builds] : impl_->index->by_key) {
      for (auto& [number, known] : builds) {
        Record& record = known.record;
        if (record.is_removed || known.uses > 0 || record.last_used_at > limit) continue;
        if (!dry_run) {
          const Status removed = impl_->disk.Remove(record.id());
          if (!removed.ok()) {
            failed = removed;
            continue;
          }
          record.is_removed = true;
          record.path.clear();
        }
        pruned.removed.push_back(record);
        roots.push_back(dry_run ? impl_->disk.Root(record.id()) : impl_->disk.Removed(record.id()));
      }
    }
  }
  pruned.freed_bytes = internal::FreedBytes(roots);
  if (!dry_run) impl_->disk.DeleteRubbish();
  if (!failed.ok()) return failed;
  return pruned;
}

Result<Record> Environments::Refresh(const std::string& id, const Progress& progress) {
  CAUDAL_ASSIGN(Record record, impl_->Inspect(id));
  const Interpreter& interpreter = record.interpreter;
  const std::string key =
      EnvironmentKey(interpreter, record.calls, record.use_venv, impl_->settings);
  if (key != record.key) {
    return base::FailedPrecondition(
        "environment " + record.id() +
        " was built with other settings of pip or uv, or from files that have changed: this server "
        "would build another one, which the next step that needs it does");
  }
  const auto now = internal::Probe(interpreter.path);
  if (!now.ok() || now->version != interpreter.version) {
    return base::FailedPrecondition("environment " + record.id() + " is of " + interpreter.path +
                                    " (Python " + interpreter.version +
                                    "), which is not there any more");
  }
  Record next;
  next.key = record.key;
  next.interpreter = interpreter;
  next.calls = record.calls;
  next.use_venv = record.use_venv;
  next.kfp_package = record.kfp_package;
  return impl_->BuildOnce(std::move(next), true, progress);
}

void Environments::Stop() {
  std::unique_lock<std::mutex> lock(impl_->mutex);
  impl_->is_stopped = true;
  constexpr std::chrono::milliseconds kPause(20);
  while (!impl_->ended.wait_for(lock, kPause, [&] { return impl_->flights.empty(); })) {
    lock.unlock();
    process::KillDescendants(getpid(), {});
    lock.lock();
  }
}

bool Environments::IsStopped() const { return impl_->IsStopped(); }

std::vector<std::string> Requirements(const Record& record) {
  std::vector<std::string> words;
  for (const PipCall& call : record.calls) {
    for (const std::vector<std::string>& list : {call.options, call.packages}) {
      for (const std::string& word : list) words.push_back(MaskSecrets(word));
    }
  }
  return words;
}

}  // namespace caudal::pyenv
