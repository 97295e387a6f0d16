#include "base/log.h"

#include <unistd.h>

#include <atomic>
#include <string>

#include "base/clock.h"

namespace caudal::base {
namespace {
std::atomic<LogLevel> g_level{LogLevel::kWarning};
}  // namespace

void SetLogLevel(LogLevel level) { g_level = level; }

void Log(LogLevel level, std::string_view message) {
  if (level < g_level.load()) return;
  static constexpr const char* kNames[] = {"debug", "info", "warning", "error"};
  std::string line = FormatRfc3339(SystemClock().Now());
  line += ' ';
  line += kNames[static_cast<int>(level)];
  line += ' ';
  line += message;
  line += '\n';
  // One write keeps lines of several threads whole; a full or closed stderr loses only this line.
  [[maybe_unused]] const ssize_t put = write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace caudal::base
