#include "service/internal/code_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <filesystem>

#include "archive/archive.h"
#include "base/file.h"
#include "base/log.h"
#include "base/sha256.h"
#include "base/uuid.h"
#include "service/internal/submission_check.h"

namespace caudal::service {
namespace {

namespace fs = std::filesystem;
using base::FromErrno;
using base::Result;
using base::Status;

constexpr size_t kMostTarBytes = 48u << 20;  // with the headers of as many files as there may be
constexpr int64_t kKeptSeconds = 3600;
// Names of what is being made or removed; no snapshot is called so.
constexpr char kUnfinished[] = ".unfinished-";

archive::Limits CodeLimits() {
  archive::Limits limits;
  limits.total_bytes = 32LL << 20;
  limits.max_entries = 10'000;
  return limits;
}

// Readable by every step, which may run as another user, and writable by none.
Status Freeze(const fs::path& path) {
  std::error_code error;
  for (fs::recursive_directory_iterator it(path, error), end; it != end && !error;
       it.increment(error)) {
    struct stat info {};
    if (lstat(it->path().c_str(), &info) != 0) return FromErrno(errno, "cannot look at code");
    const bool is_directory = S_ISDIR(info.st_mode);
    const mode_t mode = is_directory || (info.st_mode & S_IXUSR) != 0 ? 0555 : 0444;
    if (chmod(it->path().c_str(), mode) != 0) {
      return FromErrno(errno, "cannot protect " + it->path().string());
    }
    if (is_directory) CAUDAL_TRY(base::SyncDir(it->path().string()));
  }
  if (error) return FromErrno(error.value(), "cannot protect " + path.string());
  if (chmod(path.c_str(), 0555) != 0) return FromErrno(errno, "cannot protect " + path.string());
  return base::SyncDir(path.string());
}

int64_t AgeSeconds(const std::string& path) {
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) return 0;
  return static_cast<int64_t>(std::time(nullptr)) - static_cast<int64_t>(info.st_mtim.tv_sec);
}

}  // namespace

bool CodeStore::Has(const std::string& sha256) const {
  const std::string path = directory_ + "/" + sha256;
  const std::lock_guard<std::mutex> lock(mutex_);
  return IsSha256(sha256) && utimensat(AT_FDCWD, path.c_str(), nullptr, 0) == 0;
}

Status CodeStore::Unpack(const std::string& temporary, const std::string& sha256,
                         std::string_view tar) const {
  CAUDAL_TRY(base::MakeDirs(temporary));
  CAUDAL_TRY(archive::Unpack(tar, temporary, CodeLimits()).With("code"));
  CAUDAL_TRY(Freeze(temporary));
  const Status renamed = base::RenameDurably(temporary, directory_ + "/" + sha256);
  if (renamed.ok() || !Has(sha256)) return renamed;
  return base::RemoveTree(temporary);  // somebody else was faster
}

Status CodeStore::Add(const std::string& sha256, std::string_view tar) const {
  if (tar.size() > kMostTarBytes) {
    return base::InvalidArgument("code has " + std::to_string(tar.size()) +
                                 " bytes; a snapshot may have at most " +
                                 std::to_string(kMostTarBytes));
  }
  const std::string actual = base::Sha256Hex(tar);
  if (!IsSha256(sha256) || actual != sha256) {
    return base::InvalidArgument("the code's SHA-256 is " + actual + ", not '" +
                                 sha256.substr(0, 80) + "' as the request says");
  }
  if (Has(sha256)) return {};
  CAUDAL_TRY(base::MakeDirs(directory_));
  // Steps of a root server are another user and must be able to pass through.
  if (geteuid() == 0 && chmod(directory_.c_str(), 0711) != 0) {
    return FromErrno(errno, "cannot open " + directory_ + " to steps");
  }
  const std::string temporary = directory_ + "/" + kUnfinished + base::RandomHex(8);
  Status unpacked = Unpack(temporary, sha256, tar);
  if (!unpacked.ok()) {
    const Status removed = base::RemoveTree(temporary);
    if (!removed.ok()) base::LogWarning(removed.message());
  }
  return unpacked;
}

bool CodeStore::SetAside(const std::string& path, const std::string& doomed) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return AgeSeconds(path) >= kKeptSeconds && rename(path.c_str(), doomed.c_str()) == 0;
}

void CodeStore::Sweep(const std::atomic<bool>& is_stopping,
                      const std::function<Result<bool>(const std::string&)>& is_used) const {
  const auto names = base::ListDir(directory_);
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    if (is_stopping) return;
    std::string path = directory_ + "/" + name;
    if (AgeSeconds(path) < kKeptSeconds) continue;
    if (!name.starts_with(kUnfinished)) {
      const auto used = is_used(name);
      if (!used.ok() || *used) continue;
      // Half of a snapshot must never look like one.
      const std::string doomed = directory_ + "/" + kUnfinished + name;
      if (!SetAside(path, doomed)) continue;
      path = doomed;
    }
    const Status removed = base::RemoveTree(path);
    if (!removed.ok()) base::LogWarning(removed.message());
  }
}

}  // namespace caudal::service
