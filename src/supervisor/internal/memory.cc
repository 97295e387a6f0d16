#include "supervisor/internal/memory.h"

#include <unistd.h>

#include <charconv>
#include <string>
#include <vector>

#include "base/file.h"

namespace caudal::supervisor::internal {
namespace {

int64_t NumberAt(const std::string& text, size_t at) {
  at = text.find_first_not_of(' ', at);
  int64_t number = 0;
  if (at != std::string::npos) {
    std::from_chars(text.data() + at, text.data() + text.size(), number);
  }
  return number;
}

int64_t ResidentBytes(pid_t pid) {
  const auto text = base::ReadFile("/proc/" + std::to_string(pid) + "/statm");
  if (!text.ok()) return 0;
  const size_t second = text.value().find(' ');
  if (second == std::string::npos) return 0;
  return NumberAt(text.value(), second) * sysconf(_SC_PAGESIZE);
}

int64_t ProportionalBytes(pid_t pid) {
  const auto text = base::ReadFile("/proc/" + std::to_string(pid) + "/smaps_rollup");
  if (!text.ok()) return ResidentBytes(pid);
  const size_t line = text.value().find("\nPss:");
  return line == std::string::npos ? 0 : NumberAt(text.value(), line + 5) * 1024;
}

}  // namespace

int64_t TreeMemory(pid_t root, const process::Family& family, int64_t threshold) {
  const std::vector<pid_t> pids = process::Descendants(root, family);
  int64_t resident = 0;
  for (const pid_t pid : pids) resident += ResidentBytes(pid);
  if (resident <= threshold || pids.size() == 1) return resident;
  int64_t fair = 0;
  for (const pid_t pid : pids) fair += ProportionalBytes(pid);
  return fair;
}

}  // namespace caudal::supervisor::internal
