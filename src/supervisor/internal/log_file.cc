#include "supervisor/internal/log_file.h"

#include <endian.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/log.h"

namespace caudal::supervisor::internal {
namespace {

constexpr int64_t kEntryEveryMicros = 100'000;

base::Result<base::UniqueFd> OpenForAppending(const std::string& path) {
  base::UniqueFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!fd.valid()) return base::FromErrno(errno, "cannot open log " + path);
  return fd;
}

}  // namespace

base::Result<LogFile> LogFile::Open(const std::string& path, int64_t limit) {
  CAUDAL_TRY(base::MakeDirs(std::filesystem::path(path).parent_path().string()));
  LogFile log;
  log.path_ = path;
  log.limit_ = limit;
  CAUDAL_ASSIGN(log.file_, OpenForAppending(path));
  CAUDAL_ASSIGN(log.index_, OpenForAppending(path + ".idx"));
  struct stat info {};
  if (fstat(log.file_.get(), &info) == 0) log.size_ = info.st_size;
  return log;
}

void LogFile::Append(std::string_view data, int64_t now_micros) {
  if (limit_ > 0 && size_ + static_cast<int64_t>(data.size()) > limit_) {
    over_limit_ = true;
    data = data.substr(0, static_cast<size_t>(std::max<int64_t>(0, limit_ - size_)));
  }
  if (data.empty()) return;
  if (lost_ > 0) NoteLoss();
  const int64_t offset = size_;
  if (!Write(data)) return;
  if (now_micros - last_entry_micros_ >= kEntryEveryMicros) NoteTime(offset, now_micros);
}

bool LogFile::Write(std::string_view data) {
  while (!data.empty()) {
    const ssize_t put = write(file_.get(), data.data(), data.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) {
      if (!complained_) base::LogError("cannot write log " + path_ + ": " + std::strerror(errno));
      complained_ = true;
      lost_ += static_cast<int64_t>(data.size());
      return false;
    }
    size_ += put;
    data.remove_prefix(static_cast<size_t>(put));
  }
  return true;
}

void LogFile::NoteLoss() {
  const int64_t lost = lost_;
  lost_ = 0;
  const std::string note = "\n[" + std::to_string(lost) +
                           " bytes of output were lost here: the log could not be written]\n";
  if (!Write(note)) lost_ = lost;  // the note itself is no output
}

void LogFile::NoteTime(int64_t offset, int64_t now_micros) {
  const uint64_t entry[2] = {htole64(static_cast<uint64_t>(offset)),
                             htole64(static_cast<uint64_t>(now_micros))};
  // A reader takes whole entries only, so that a part written on a full disk does no harm at its
  // end.
  if (write(index_.get(), entry, sizeof entry) == sizeof entry) last_entry_micros_ = now_micros;
}

}  // namespace caudal::supervisor::internal
