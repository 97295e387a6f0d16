#include "cli/internal/owner.h"

#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <climits>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>

#include "base/file.h"

namespace caudal::cli {
namespace {

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::vector<std::string> CommandLine(pid_t pid) {
  std::vector<std::string> words;
  const auto text = base::ReadFile("/proc/" + std::to_string(pid) + "/cmdline");
  if (!text.ok()) return words;
  size_t begin = 0;
  while (begin < text->size()) {
    const size_t end = std::min(text->find('\0', begin), text->size());
    words.push_back(text->substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

std::string TextAt(const boost::json::object& object, std::string_view name) {
  const boost::json::value* value = object.if_contains({name.data(), name.size()});
  if (value == nullptr || !value->is_string()) return "";
  return std::string(value->get_string());
}

// What the lock file says; pid 0 when it says nothing.
Owner ReadLock(const std::string& data_dir) {
  Owner owner;
  const auto text = base::ReadFile(data_dir + "/lock", 1 << 16);
  if (!text.ok()) return owner;
  boost::system::error_code error;
  const boost::json::value json = boost::json::parse(*text, error);
  if (error || !json.is_object()) return owner;
  const boost::json::object& object = json.get_object();
  const boost::json::value* pid = object.if_contains("pid");
  if (pid == nullptr || !pid->is_int64() || pid->get_int64() <= 0) return owner;
  owner.pid = static_cast<pid_t>(pid->get_int64());
  owner.http = TextAt(object, "http");
  owner.version = TextAt(object, "version");
  owner.command_line = CommandLine(owner.pid);
  return owner;
}

// A pid is used again after a crash: the process must be a `… server`.
bool IsServer(const Owner& owner) {
  return owner.pid > 0 && owner.command_line.size() > 1 && owner.command_line[1] == "server";
}

// The process that holds a flock on `path`, from a line such as
// "1: FLOCK  ADVISORY  WRITE 4711 fe:00:9977997 0 EOF"; 0 when none does. Device numbers there are
// not those of stat on every file system, so the inode has to do.
pid_t LockHolder(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return 0;
  std::ifstream locks("/proc/locks");
  std::string line;
  while (std::getline(locks, line)) {
    std::istringstream words(line);
    std::string number, kind, advisory, access, place;
    pid_t pid = 0;
    words >> number >> kind >> advisory >> access >> pid >> place;
    const bool is_ours =
        kind == "FLOCK" && place.substr(place.rfind(':') + 1) == std::to_string(info.st_ino);
    if (is_ours) return pid;
  }
  return 0;
}

}  // namespace

base::Result<std::string> ResolveDataDir(const std::string& given) {
  std::string chosen = given;
  if (chosen.empty()) {
    const std::string xdg = Environment("XDG_DATA_HOME");
    const std::string home = Environment("HOME");
    if (!xdg.empty()) {
      chosen = xdg + "/caudal";
    } else if (!home.empty()) {
      chosen = home + "/.local/share/caudal";
    } else {
      return base::InvalidArgument("no data directory: HOME is not set, give --data-dir DIR");
    }
  }
  std::error_code error;
  const std::filesystem::path path =
      std::filesystem::weakly_canonical(std::filesystem::absolute(chosen, error), error);
  if (error) return base::InvalidArgument("data directory '" + chosen + "': " + error.message());
  std::string text = path.string();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

std::optional<Owner> FindOwner(const std::string& data_dir) {
  Owner owner = ReadLock(data_dir);
  if (IsServer(owner)) return owner;
  // While it starts and while it stops, a server holds the lock and the file is empty.
  owner = {};
  owner.pid = LockHolder(data_dir + "/lock");
  owner.command_line = CommandLine(owner.pid);
  if (IsServer(owner)) return owner;
  return std::nullopt;
}

std::string OwnExecutable() {
  char path[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path);
  constexpr std::string_view kReplaced = " (deleted)";  // by an upgrade, while we run
  const std::string_view text(path, length < 0 ? 0 : static_cast<size_t>(length));
  const bool usable = !text.empty() && (text.size() < kReplaced.size() ||
                                        text.substr(text.size() - kReplaced.size()) != kReplaced);
  return usable ? std::string(text) : "/proc/self/exe";
}

}  // namespace caudal::cli
