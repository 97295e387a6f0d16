#include "server/internal/data_dir.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <optional>
#include <thread>

#include "base/log.h"
#include "base/version.h"

namespace caudal::server {
namespace {

namespace json = boost::json;
using base::Result;
using base::Status;

constexpr std::chrono::milliseconds kLook{10};
constexpr std::chrono::milliseconds kPatience{2000};

/// Who says to own the directory; nullopt when nobody has said so.
std::optional<pid_t> OwnerPid(const std::string& lock_path) {
  const auto text = base::ReadFile(lock_path, 4096);
  if (!text.ok()) return std::nullopt;
  json::error_code error;
  const json::value owner = json::parse(*text, error);
  if (error || !owner.is_object()) return std::nullopt;
  const json::value* pid = owner.get_object().if_contains("pid");
  if (pid == nullptr || !pid->is_int64()) return std::nullopt;
  return static_cast<pid_t>(pid->get_int64());
}

bool IsAlive(pid_t pid) { return kill(pid, 0) == 0 || errno != ESRCH; }

/// Takes the lock, or tells who has it. A server that was killed while it started a program leaves
/// the lock to that program's process until its exec: such a lock is waited for.
Status TakeLock(int lock, const std::string& path, const std::function<bool()>& wait_more) {
  while (flock(lock, LOCK_EX | LOCK_NB) != 0) {
    const auto owner = OwnerPid(path + "/lock");
    if ((owner && IsAlive(*owner)) || !wait_more()) {
      return base::Unavailable("data directory " + path + " is owned by the server with pid " +
                               (owner ? std::to_string(*owner) : "unknown") +
                               "; stop it with: caudal server stop --data-dir " + path);
    }
  }
  return {};
}

std::function<bool()> ForAMoment() {
  return [end = std::chrono::steady_clock::now() + kPatience] {
    std::this_thread::sleep_for(kLook);
    return std::chrono::steady_clock::now() < end;
  };
}

// "1234" and "1234.log" → 1234.
std::optional<int64_t> KeyOf(const std::string& name) {
  int64_t key = 0;
  const auto parsed = std::from_chars(name.data(), name.data() + name.size(), key);
  if (parsed.ec != std::errc() || key <= 0) return std::nullopt;
  return key;
}

}  // namespace

Result<DataDir> DataDir::Claim(const std::string& path) { return Claim(path, ForAMoment()); }

Result<DataDir> DataDir::Claim(const std::string& path, const std::function<bool()>& wait_more) {
  CAUDAL_TRY(base::MakeDirs(path));
  // A root server builds environments as an unprivileged user, who must be able to pass through.
  const unsigned mode = geteuid() == 0 ? 0711 : 0700;
  if (chmod(path.c_str(), mode) != 0) return base::FromErrno(errno, "cannot protect " + path);
  const std::string lock_path = path + "/lock";
  base::UniqueFd lock(open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock.valid()) return base::FromErrno(errno, "cannot open " + lock_path);
  CAUDAL_TRY(TakeLock(lock.get(), path, wait_more));
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
