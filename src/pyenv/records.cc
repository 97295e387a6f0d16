#include "pyenv/internal/records.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <stdexcept>
#include <thread>

#include "base/clock.h"
#include "base/log.h"

namespace caudal::pyenv::internal {
namespace {

namespace json = boost::json;
using base::FromErrno;
using base::Result;
using base::Status;
using base::UniqueFd;

constexpr int kFormat = 1;
constexpr size_t kKeyLength = 64;
constexpr char kSuffix[] = ".json";

bool IsKey(std::string_view text) {
  return text.size() == kKeyLength &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

json::array ToJson(const std::vector<std::string>& words) {
  return json::array(words.begin(), words.end());
}

std::vector<std::string> Strings(const json::value& list) {
  std::vector<std::string> words;
  for (const json::value& word : list.as_array()) words.emplace_back(word.as_string());
  return words;
}

std::string ToText(const Record& record) {
  json::array calls;
  for (const PipCall& call : record.calls) {
    calls.push_back(
        json::object{{"options", ToJson(call.options)}, {"packages", ToJson(call.packages)}});
  }
  return json::serialize(json::object{{"format", kFormat},
                                      {"interpreter", record.interpreter.path},
                                      {"version", record.interpreter.version},
                                      {"prefix", record.interpreter.prefix},
                                      {"calls", std::move(calls)},
                                      {"use_venv", record.use_venv},
                                      {"kfp_package", record.kfp_package},
                                      {"installer", record.installer},
                                      {"lock", record.lock},
                                      {"created_at", record.created_at},
                                      {"size_bytes", record.size_bytes}});
}

Record FromText(const std::string& text) {
  const json::value read = json::parse(text);
  if (read.at("format").to_number<int>() != kFormat) throw std::runtime_error("unknown format");
  Record record;
  record.interpreter = {std::string(read.at("interpreter").as_string()),
                        std::string(read.at("version").as_string()),
                        std::string(read.at("prefix").as_string())};
  for (const json::value& call : read.at("calls").as_array()) {
    record.calls.push_back({Strings(call.at("options")), Strings(call.at("packages"))});
  }
  record.use_venv = read.at("use_venv").as_bool();
  record.kfp_package = std::string(read.at("kfp_package").as_string());
  record.installer = std::string(read.at("installer").as_string());
  record.lock = std::string(read.at("lock").as_string());
  record.created_at = read.at("created_at").to_number<int64_t>();
  record.size_bytes = read.at("size_bytes").to_number<int64_t>();
  return record;
}

}  // namespace

std::optional<Id> ParseId(const std::string& text) {
  if (text.size() <= kKeyLength + 1 || text[kKeyLength] != '.') return std::nullopt;
  Id id{text.substr(0, kKeyLength)};
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data() + kKeyLength + 1, end, id.build);
  if (!IsKey(id.key) || error != std::errc() || rest != end || id.build <= 0) return std::nullopt;
  return id;
}

std::vector<Record> Disk::Read(const std::string& key) const {
  std::vector<Record> records;
  const auto names = base::ListDir(dir_ + "/records");
  if (!names.ok()) return records;
  for (const std::string& name : *names) {
    if (!name.starts_with(key) || !name.ends_with(kSuffix)) continue;
    auto record = ReadOne(name.substr(0, name.size() - (sizeof kSuffix - 1)));
    if (record) records.push_back(*std::move(record));
  }
  return records;
}

int Disk::LastNumber(const std::string& key) const {
  int last = 0;
  const auto names = base::ListDir(dir_ + "/records");
  if (!names.ok()) return last;
  for (const std::string& name : *names) {
    if (!name.ends_with(kSuffix)) continue;
    const auto id = ParseId(name.substr(0, name.size() - (sizeof kSuffix - 1)));
    if (id && id->key == key) last = std::max(last, id->build);
  }
  return last;
}

std::optional<Record> Disk::ReadOne(const std::string& name) const {
  const auto id = ParseId(name);
  if (!id) return std::nullopt;
  const std::string path = dir_ + "/records/" + name + kSuffix;
  struct stat info {};
  const auto text = base::ReadFile(path);
  if (!text.ok() || stat(path.c_str(), &info) != 0) return std::nullopt;
  try {
    Record record = FromText(*text);
    record.key = id->key;
    record.build = id->build;
    record.last_used_at = info.st_mtim.tv_sec * 1'000'000 + info.st_mtim.tv_nsec / 1000;
    record.is_removed = !base::PathExists(Venv(name));
    if (!record.is_removed) record.path = Venv(name);
    return record;
  } catch (const std::exception& error) {
    base::LogWarning("environment " + name + " is not used: cannot read " + path + ": " +
                     error.what());
    return std::nullopt;
  }
}

Status Disk::Write(const Record& record) const {
  CAUDAL_TRY(base::MakeDirs(dir_ + "/records"));
  CAUDAL_TRY(
      base::WriteFileAtomic(dir_ + "/records/" + record.id() + kSuffix, ToText(record), 0600));
  Touch(record.id(), record.last_used_at);
  return {};
}

void Disk::Touch(const std::string& id, int64_t at_micros) const {
  const timespec at{at_micros / 1'000'000, at_micros % 1'000'000 * 1000};
  const timespec times[2] = {at, at};
  utimensat(AT_FDCWD, (dir_ + "/records/" + id + kSuffix).c_str(), times, 0);
}

Result<UniqueFd> Disk::OpenLock(const std::string& key) const {
  CAUDAL_TRY(base::MakeDirs(dir_, 0755));
  CAUDAL_TRY(base::MakeDirs(dir_ + "/locks"));
  const std::string path = dir_ + "/locks/" + key;
  UniqueFd lock(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock.valid()) return FromErrno(errno, "cannot open " + path);
  return lock;
}

Result<UniqueFd> Disk::Lock(const std::string& key, const std::function<bool()>& give_up) const {
  // Asked for again and again: nothing would wake a thread that waits for the lock itself.
  constexpr std::chrono::milliseconds kPause(50);
  CAUDAL_ASSIGN(UniqueFd lock, OpenLock(key));
  while (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EINTR && errno != EWOULDBLOCK) {
      return FromErrno(errno, "cannot lock the environment " + key);
    }
    if (give_up()) return base::Unavailable("another process builds the environment " + key);
    std::this_thread::sleep_for(kPause);
  }
  return lock;
}

Status Disk::Remove(const std::string& id) const {
  CAUDAL_TRY(base::MakeDirs(dir_ + "/removed"));
  CAUDAL_TRY(base::RemoveTree(Removed(id)));
  return base::RenameDurably(Root(id), Removed(id));
}

void Disk::DeleteRubbish() const {
  const auto remove = [](const std::string& path) {
    const Status removed = base::RemoveTree(path);
    if (!removed.ok()) base::LogWarning(removed.message());
  };
  const auto removed = base::ListDir(dir_ + "/removed");
  if (removed.ok()) {
    for (const std::string& name : *removed) remove(dir_ + "/removed/" + name);
  }
  const auto names = base::ListDir(dir_);
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    const std::string key = name.substr(0, kKeyLength);
    // Of a version before builds had numbers: "<key>" and "<key>.lock".
    const bool is_old = IsKey(key) && (name == key || name == key + ".lock");
    if (is_old) remove(Root(name));
    if (!ParseId(name) || base::PathExists(dir_ + "/records/" + name + kSuffix)) continue;
    const auto lock = OpenLock(key);
    if (!lock.ok() || flock(lock->get(), LOCK_EX | LOCK_NB) != 0) continue;
    // Finished, perhaps, since we looked.
    if (!base::PathExists(dir_ + "/records/" + name + kSuffix)) remove(Root(name));
  }
}

void Disk::NoteInstall(const std::string& id, const std::string& words) const {
  const std::string path = dir_ + "/installs.log";
  const UniqueFd file(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  const std::string line =
      base::FormatRfc3339(base::SystemClock().Now()) + " " + id.substr(0, 12) + " " + words + "\n";
  if (!file.valid() || write(file.get(), line.data(), line.size()) < 0) {
    base::LogWarning("cannot write " + path);
  }
}

}  // namespace caudal::pyenv::internal
