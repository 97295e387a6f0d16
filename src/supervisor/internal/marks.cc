#include "supervisor/internal/marks.h"

#include <signal.h>
#include <sys/types.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <thread>

#include "base/log.h"
#include "base/sha256.h"
#include "process/process.h"

namespace caudal::supervisor::internal {
namespace {

constexpr std::string_view kName = "CAUDAL_ATTEMPT";

int64_t KeyOf(std::string_view value) {
  int64_t key = -1;
  const size_t colon = value.find(':');
  std::from_chars(value.data() + colon + 1, value.data() + value.size(), key);
  return key;
}

}  // namespace

std::string DataDirId(const std::string& data_dir) {
  std::error_code error;
  const std::filesystem::path real = std::filesystem::canonical(data_dir, error);
  return base::Sha256Hex(error ? data_dir : real.string()).substr(0, 20);
}

std::string MakeMark(const std::string& data_dir_id, int64_t attempt_key) {
  return std::string(kName) + "=" + data_dir_id + ":" + std::to_string(attempt_key);
}

void KillStrays(const std::string& data_dir_id, const std::function<bool(int64_t)>& is_live) {
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  auto pause = std::chrono::milliseconds(1);
  while (true) {
    bool left = false;
    for (const process::Marked& stray : process::FindMarked(kName, data_dir_id + ":")) {
      if (is_live(KeyOf(stray.value))) continue;
      left = true;
      // What it started may have cleared its environment: children first, while they hang from it.
      for (const pid_t pid : process::Descendants(stray.pid)) kill(pid, SIGKILL);
      kill(stray.pid, SIGKILL);
    }
    if (!left) return;
    if (std::chrono::steady_clock::now() > give_up) {
      base::LogError("processes of ended steps cannot be killed");
      return;
    }
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::milliseconds(20));
  }
}

}  // namespace caudal::supervisor::internal
