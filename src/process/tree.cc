#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <thread>

#include "base/file.h"
#include "process/process.h"

namespace caudal::process {
namespace {

struct Entry {
  pid_t pid = 0;
  pid_t parent = 0;
  bool dead = false;  // a zombie: ended, not yet waited for
};

std::vector<pid_t> AllPids() {
  std::vector<pid_t> pids;
  DIR* proc = opendir("/proc");
  if (proc == nullptr) return pids;
  while (const dirent* entry = readdir(proc)) {
    const std::string_view name = entry->d_name;
    pid_t pid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error == std::errc() && end == name.data() + name.size()) pids.push_back(pid);
  }
  closedir(proc);
  return pids;
}

/// Parses "pid (name) state ppid …"; the name may hold anything, parentheses included.
bool ReadEntry(pid_t pid, Entry* entry) {
  const auto text = base::ReadFile("/proc/" + std::to_string(pid) + "/stat");
  if (!text.ok()) return false;
  const size_t close = text.value().rfind(')');
  if (close == std::string::npos || close + 4 > text.value().size()) return false;
  entry->pid = pid;
  entry->dead = text.value()[close + 2] == 'Z' || text.value()[close + 2] == 'X';
  const char* begin = text.value().data() + close + 4;
  const char* end = text.value().data() + text.value().size();
  return std::from_chars(begin, end, entry->parent).ec == std::errc();
}

/// The value of `name` in a block of "NAME=value\0", or null.
const char* FindValue(const std::string& block, std::string_view name) {
  for (size_t at = 0; at < block.size(); at += std::char_traits<char>::length(&block[at]) + 1) {
    if (block.compare(at, name.size(), name) == 0 && block[at + name.size()] == '=') {
      return &block[at + name.size() + 1];
    }
  }
  return nullptr;
}

}  // namespace

std::vector<pid_t> Children(pid_t pid) {
  std::vector<pid_t> children;
  for (const pid_t candidate : AllPids()) {
    Entry entry;
    if (ReadEntry(candidate, &entry) && entry.parent == pid) children.push_back(candidate);
  }
  return children;
}

Family ReadFamily() {
  Family family;
  for (const pid_t pid : AllPids()) {
    Entry entry;
    if (ReadEntry(pid, &entry)) family.emplace(entry.parent, pid);
  }
  return family;
}

std::vector<pid_t> Descendants(pid_t pid, const Family& family) {
  std::vector<pid_t> found;
  std::vector<pid_t> open = {pid};
  while (!open.empty()) {
    const auto [begin, end] = family.equal_range(open.back());
    open.pop_back();
    for (auto it = begin; it != end; ++it) {
      found.push_back(it->second);
      open.push_back(it->second);
    }
  }
  return found;
}

std::vector<pid_t> Descendants(pid_t pid) { return Descendants(pid, ReadFamily()); }

void KillDescendants(pid_t pid, const std::function<void()>& reap) {
  auto pause = std::chrono::microseconds(100);
  while (true) {
    bool left = false;
    for (const pid_t descendant : Descendants(pid)) {
      Entry entry;
      if (!ReadEntry(descendant, &entry) || entry.dead) continue;
      left = true;
      kill(descendant, SIGKILL);
    }
    if (reap) reap();
    if (!left) return;
    // The kernel needs a moment to end what it was told to; one that waits for a disk needs longer.
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::microseconds(20'000));
  }
}

std::vector<Marked> FindMarked(std::string_view name, std::string_view prefix) {
  std::vector<Marked> found;
  for (const pid_t pid : AllPids()) {
    if (pid == getpid()) continue;
    const auto block = base::ReadFile("/proc/" + std::to_string(pid) + "/environ");
    if (!block.ok()) continue;
    const char* value = FindValue(block.value(), name);
    if (value != nullptr && std::string_view(value).starts_with(prefix)) {
      found.push_back({pid, value});
    }
  }
  return found;
}

std::vector<pid_t> FindByEnvironment(std::string_view name, std::string_view value) {
  std::vector<pid_t> pids;
  for (const Marked& marked : FindMarked(name, value)) {
    if (marked.value == value) pids.push_back(marked.pid);
  }
  return pids;
}

}  // namespace caudal::process
