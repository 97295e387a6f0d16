#include "server/internal/data_dir.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>
#include <charconv>
#include <optional>

#include "base/log.h"
#include "base/version.h"

namespace caudal::server {
namespace {

namespace json = boost::json;
using base::Result;
using base::Status;

std::string OwnerPid(const std::string& lock_path) {
  const auto text = base::ReadFile(lock_path, 4096);
  if (!text.ok()) return "unknown";
  json::error_code error;
  const json::value owner = json::parse(*text, error);
  if (error || !owner.is_object() || !owner.get_object().contains("pid")) return "unknown";
  return json::serialize(owner.get_object().at("pid"));
}

// "1234" and "1234.log" → 1234.
std::optional<int64_t> KeyOf(const std::string& name) {
  int64_t key = 0;
  const auto parsed = std::from_chars(name.data(), name.data() + name.size(), key);
  if (parsed.ec != std::errc() || key <= 0) return std::nullopt;
  return key;
}

}  // namespace

Result<DataDir> DataDir::Claim(const std::string& path) {
  CAUDAL_TRY(base::MakeDirs(path));
  // A root server builds environments as an unprivileged user, who must be able to pass through.
  const unsigned mode = geteuid() == 0 ? 0711 : 0700;
  if (chmod(path.c_str(), mode) != 0) return base::FromErrno(errno, "cannot protect " + path);
  const std::string lock_path = path + "/lock";
  base::UniqueFd lock(open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock.valid()) return base::FromErrno(errno, "cannot open " + lock_path);
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return base::Unavailable("data directory " + path + " is owned by the server with pid " +
                             OwnerPid(lock_path) +
                             "; stop it with: caudal server stop --data-dir " + path);
  }
  if (ftruncate(lock.get(), 0) != 0) return base::FromErrno(errno, "cannot empty " + lock_path);
  for (const char* folder : {"objects", "work", "logs"}) {
    CAUDAL_TRY(base::MakeDirs(path + "/" + folder));
  }
  CAUDAL_TRY(base::MakeDirs(path + "/envs", mode));
  return DataDir(path, std::move(lock));
}

Status DataDir::Announce(const std::string& http_address) const {
  const std::string text = json::serialize(
      json::object{{"pid", getpid()}, {"http", http_address}, {"version", base::kVersion}});
  // In place: a rename would leave the lock on a file that nobody finds.
  if (pwrite(lock_.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    return base::FromErrno(errno, "cannot write " + path_ + "/lock");
  }
  return {};
}

void DataDir::Withdraw() const {
  if (ftruncate(lock_.get(), 0) != 0) base::LogWarning("cannot empty " + path_ + "/lock");
}

void SweepFiles(const std::string& data_dir, const std::atomic<bool>& is_stopping,
                const std::function<Result<bool>(int64_t attempt_key)>& is_known) {
  for (const char* folder : {"/objects/", "/logs/"}) {
    const auto shards = base::ListDir(data_dir + folder);
    if (!shards.ok()) continue;
    for (const std::string& shard : *shards) {
      const std::string shard_path = data_dir + folder + shard;
      const auto names = base::ListDir(shard_path);
      if (!names.ok()) continue;
      for (const std::string& name : *names) {
        if (is_stopping) return;
        const auto key = KeyOf(name);
        const auto known = key ? is_known(*key) : Result<bool>(true);
        if (!known.ok() || *known) continue;
        const Status removed = base::RemoveTree(shard_path + "/" + name);
        if (!removed.ok()) base::LogWarning(removed.message());
      }
    }
  }
}

}  // namespace caudal::server
