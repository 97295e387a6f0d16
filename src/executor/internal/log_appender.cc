#include "executor/internal/log_appender.h"

#include <fcntl.h>
#include <unistd.h>

namespace caudal::executor::internal {

void LogAppender::Append(std::string_view text) {
  if (left_ < static_cast<int64_t>(text.size())) return;
  left_ -= static_cast<int64_t>(text.size());
  if (!fd_.valid() && base::MakeDirs(path_.substr(0, path_.rfind('/'))).ok()) {
    fd_.Reset(open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  }
  while (fd_.valid() && !text.empty()) {
    const ssize_t written = write(fd_.get(), text.data(), text.size());
    if (written <= 0) return;
    text.remove_prefix(static_cast<size_t>(written));
  }
}

}  // namespace caudal::executor::internal
