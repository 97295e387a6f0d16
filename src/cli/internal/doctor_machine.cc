// Kernel, disk, clock, ports.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>
#include <filesystem>

#include "base/file.h"
#include "base/uuid.h"
#include "cli/internal/doctor.h"
#include "cli/internal/owner.h"
#include "cli/internal/text.h"
#include "sandbox/sandbox.h"

namespace caudal::cli {
namespace {

using State = Check::State;

// The directory itself, or what of its path exists already.
std::string NearestExisting(const std::string& path) {
  std::filesystem::path at = path;
  std::error_code error;
  while (!std::filesystem::exists(at, error) && at.has_relative_path()) at = at.parent_path();
  return at.string();
}

// 0 when a child may make these namespaces, else the errno.
int TryNamespaces() {
  const pid_t child = fork();
  if (child < 0) return errno;
  if (child == 0) {
    const int flags = (geteuid() == 0 ? 0 : CLONE_NEWUSER) | CLONE_NEWNS | CLONE_NEWPID;
    _exit(unshare(flags) == 0 ? 0 : errno & 0x7f);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : ECHILD;
}

// The cgroup of this process, version 2; empty where there is none.
std::string OwnCgroup() {
  const auto text = base::ReadFile("/proc/self/cgroup", 1 << 16);
  if (!text.ok()) return "";
  const size_t at = text->find("0::/");
  if (at == std::string::npos || (at > 0 && (*text)[at - 1] != '\n')) return "";
  const size_t begin = at + 3;
  const std::string path = "/sys/fs/cgroup" + text->substr(begin, text->find('\n', at) - begin);
  return base::PathExists(path + "/cgroup.controllers") ? path : "";
}

// Median time to write a small file's block to the disk; negative when it cannot be written.
double MedianSyncMillis(const std::string& directory) {
  using Clock = std::chrono::steady_clock;
  const std::string path = directory + "/.caudal-doctor-" + base::NewUuid4();
  const base::UniqueFd file(open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file.valid()) return -1;
  unlink(path.c_str());
  std::array<double, 15> times{};
  const std::string block(4096, 'x');
  for (double& time : times) {
    const auto begin = Clock::now();
    const bool is_written =
        pwrite(file.get(), block.data(), block.size(), 0) == static_cast<ssize_t>(block.size());
    if (!is_written || fdatasync(file.get()) != 0) return -1;
    time = std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

bool PortIsFree(int port) {
  const base::UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int yes = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
         listen(fd.get(), 1) == 0;
}

}  // namespace

Check CheckNamespaces() {
  const int error = TryNamespaces();
  if (error == 0) return {"namespaces", State::kOk, "user, mount and pid namespaces", ""};
  return {
      "namespaces", State::kLacks, std::string("the kernel refuses them: ") + std::strerror(error),
      "no sandbox: sysctl kernel.unprivileged_userns_clone and user.max_user_namespaces, or the "
      "container's settings, decide"};
}

Check CheckSandbox() {
  std::vector<std::string> notes;
  const base::Status probed = sandbox::Probe(&notes);
  if (!probed.ok()) {
    return {"sandbox", State::kLacks, probed.message(),
            "steps run as plain processes: they can read what you can read"};
  }
  if (notes.empty()) return {"sandbox", State::kOk, "works", ""};
  std::string text;
  for (const std::string& note : notes) text += (text.empty() ? "" : "; ") + note;
  return {"sandbox", State::kLacks, "works, not in full", text};
}

Check CheckCgroups() {
  const std::string path = OwnCgroup();
  const std::string cost = "limits on memory and processes are watched, not enforced by the kernel";
  if (path.empty()) return {"cgroups", State::kLacks, "no cgroup of version 2", cost};
  if (access((path + "/cgroup.procs").c_str(), W_OK) != 0 || access(path.c_str(), W_OK) != 0) {
    return {"cgroups", State::kLacks, path + " cannot be written", cost};
  }
  return {"cgroups", State::kOk, path, ""};
}

Check CheckDataDir(const std::string& data_dir) {
  const std::string existing = NearestExisting(data_dir);
  const bool is_there = existing == data_dir;
  if (access(existing.c_str(), W_OK | X_OK) == 0) {
    return {"data directory", State::kOk, data_dir + (is_there ? "" : ", not made yet"), ""};
  }
  return {"data directory", State::kFails, data_dir + ": " + existing + " cannot be written",
          "nothing can be stored: give --data-dir DIR or set XDG_DATA_HOME"};
}

Check CheckDiskSpace(const std::string& data_dir) {
  constexpr int64_t kTooLittle = 200'000'000;
  constexpr int64_t kLittle = 2'000'000'000;
  struct statvfs disk {};
  if (statvfs(NearestExisting(data_dir).c_str(), &disk) != 0) {
    return {"disk space", State::kLacks, std::strerror(errno), "nobody knows when it is full"};
  }
  const auto free = static_cast<int64_t>(disk.f_bavail) * static_cast<int64_t>(disk.f_frsize);
  const std::string found = SizeText(free) + " free";
  if (free < kTooLittle) return {"disk space", State::kFails, found, "runs fail when it is full"};
  if (free < kLittle) {
    return {"disk space", State::kLacks, found, "Python environments often take over a gigabyte"};
  }
  return {"disk space", State::kOk, found, ""};
}

Check CheckDiskSync(const std::string& data_dir) {
  constexpr double kSlow = 5;
  const double millis = MedianSyncMillis(NearestExisting(data_dir));
  if (millis < 0) return {"disk sync", State::kLacks, "could not be measured", ""};
  char text[64];
  std::snprintf(text, sizeof text, "%.2f ms to write to disk", millis);
  if (millis <= kSlow) return {"disk sync", State::kOk, text, ""};
  return {"disk sync", State::kLacks, text, "each step takes that much longer, a few times over"};
}

Check CheckClock() {
  constexpr std::time_t kJanuary2024 = 1'704'067'200;
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[64];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &utc);
  if (now < kJanuary2024) {
    return {"clock", State::kFails, text, "it is wrong: certificates and the order of runs suffer"};
  }
  timex state{};
  if (adjtimex(&state) == TIME_ERROR) {
    return {"clock", State::kLacks, std::string(text) + ", not synchronised",
            "times of runs are only as good as this clock"};
  }
  return {"clock", State::kOk, text, ""};
}

Check CheckPorts(const std::string& data_dir) {
  std::string taken;
  for (const int port : {8888, 8887}) {
    if (!PortIsFree(port)) taken += (taken.empty() ? "" : ", ") + std::to_string(port);
  }
  if (taken.empty()) return {"ports", State::kOk, "8888 and 8887 are free", ""};
  const auto owner = FindOwner(data_dir);
  if (owner && owner->http.ends_with(":8888")) {
    return {"ports", State::kOk, "8888 is our server's (pid " + std::to_string(owner->pid) + ")",
            ""};
  }
  return {"ports", State::kLacks, taken + " taken by another program",
          "'caudal server' needs --http-port and --grpc-port; 'caudal run' takes any free port"};
}

}  // namespace caudal::cli
