#include "cli/internal/background.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <thread>

#include "base/file.h"
#include "cli/internal/owner.h"

namespace caudal::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kPollInterval{2};
constexpr milliseconds kSayAfter{1000};
constexpr milliseconds kGiveUpAfter{60'000};

std::vector<std::string> ServerCommand(const StartOptions& options, const std::string& ready_file) {
  std::vector<std::string> words = {OwnExecutable(), "server",  "--data-dir",  options.data_dir,
                                    "--http-port",   "0",       "--grpc-port", "0",
                                    "--s3-port",     "0",       "--mlmd-port", "0",
                                    "--ready-file",  ready_file};
  if (options.lifetime == Lifetime::kBackground) {
    words.insert(words.end(), {"--idle-exit", "15m"});
  }
  words.insert(words.end(), options.flags.begin(), options.flags.end());
  return words;
}

// Child side, after fork in a process that may have threads: async-signal-safe calls only.
[[noreturn]] void BecomeServer(char* const* argv, int log, Lifetime lifetime) {
  setsid();  // a Ctrl-C at our terminal is ours to translate
  if (lifetime == Lifetime::kOurs) prctl(PR_SET_PDEATHSIG, SIGTERM);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const int null = open("/dev/null", O_RDONLY);
  dup2(null, 0);
  dup2(log, 1);
  dup2(log, 2);
  syscall(SYS_close_range, 3U, ~0U, 0);
  execv(argv[0], argv);
  _exit(127);
}

base::Result<pid_t> Spawn(std::vector<std::string> words, const std::string& log_path,
                          Lifetime lifetime) {
  const base::UniqueFd log(open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!log.valid()) return base::FromErrno(errno, "opening '" + log_path + "'");
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t pid = fork();
  if (pid < 0) return base::FromErrno(errno, "starting '" + words[0] + " server'");
  if (pid == 0) BecomeServer(argv.data(), log.get(), lifetime);
  return pid;
}

std::optional<StartedServer> ReadReady(const std::string& path) {
  const auto text = base::ReadFile(path, 1 << 16);
  if (!text.ok()) return std::nullopt;
  boost::system::error_code error;
  const boost::json::value json = boost::json::parse(*text, error);
  if (error || !json.is_object()) return std::nullopt;
  const boost::json::value* http = json.get_object().if_contains("http");
  const boost::json::value* pid = json.get_object().if_contains("pid");
  if (http == nullptr || !http->is_string() || pid == nullptr || !pid->is_int64()) {
    return std::nullopt;
  }
  return StartedServer{static_cast<pid_t>(pid->get_int64()), std::string(http->get_string())};
}

std::string LastLines(const std::string& path, int64_t from, size_t most) {
  const auto text = base::ReadFile(path);
  if (!text.ok() || static_cast<int64_t>(text->size()) <= from) return "";
  std::string tail = text->substr(static_cast<size_t>(from));
  while (!tail.empty() && tail.back() == '\n') tail.pop_back();
  size_t begin = tail.size();
  for (size_t line = 0; line < most && begin != std::string::npos && begin > 0; ++line) {
    begin = tail.rfind('\n', begin - 1);
  }
  return begin == std::string::npos || begin == 0 ? tail : tail.substr(begin + 1);
}

int64_t SizeOf(const std::string& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  return error ? 0 : static_cast<int64_t>(size);
}

base::Status WhyItEnded(const std::string& data_dir, pid_t pid, int64_t log_before) {
  const auto owner = FindOwner(data_dir);
  if (owner && owner->pid != pid) {
    return base::Aborted("server " + std::to_string(owner->pid) + " took '" + data_dir + "' first");
  }
  const std::string log = data_dir + "/server.log";
  const std::string tail = LastLines(log, log_before, 10);
  return base::Unavailable("the server ended while starting" +
                           (tail.empty() ? ", see " + log : ":\n" + tail));
}

base::Result<StartedServer> WaitUntilReady(pid_t pid, const std::string& ready_file,
                                           const std::string& data_dir, int64_t log_before) {
  const auto begin = steady_clock::now();
  bool said = false;
  while (true) {
    if (auto ready = ReadReady(ready_file)) {
      unlink(ready_file.c_str());
      return *std::move(ready);
    }
    if (waitpid(pid, nullptr, WNOHANG) == pid) return WhyItEnded(data_dir, pid, log_before);
    const auto waited = steady_clock::now() - begin;
    if (!said && waited > kSayAfter) {
      said = true;
      std::fprintf(stderr, "caudal: starting a server for %s …\n", data_dir.c_str());
    }
    if (waited > kGiveUpAfter) {
      return base::Unavailable("the server does not become ready, see " + data_dir + "/server.log");
    }
    std::this_thread::sleep_for(kPollInterval);
  }
}

}  // namespace

base::Result<StartedServer> StartServer(const StartOptions& options) {
  CAUDAL_TRY(base::MakeDirs(options.data_dir));
  const std::string ready_file = options.data_dir + "/ready-" + std::to_string(getpid()) + ".json";
  unlink(ready_file.c_str());
  const std::string log = options.data_dir + "/server.log";
  const int64_t log_before = SizeOf(log);
  CAUDAL_ASSIGN(const pid_t pid, Spawn(ServerCommand(options, ready_file), log, options.lifetime));
  auto ready = WaitUntilReady(pid, ready_file, options.data_dir, log_before);
  unlink(ready_file.c_str());
  return ready;
}

base::Status StopProcess(pid_t pid, int64_t timeout_millis) {
  const base::UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!process.valid()) {
    return errno == ESRCH ? base::OkStatus()
                          : base::FromErrno(errno, "watching process " + std::to_string(pid));
  }
  if (kill(pid, SIGTERM) != 0 && errno != ESRCH) {
    return base::FromErrno(errno, "stopping process " + std::to_string(pid));
  }
  pollfd gone = {process.get(), POLLIN, 0};
  const int ready = poll(&gone, 1, static_cast<int>(timeout_millis));
  if (ready == 0) {
    return {base::Code::kDeadlineExceeded, "process " + std::to_string(pid) + " still runs " +
                                               std::to_string(timeout_millis / 1000) +
                                               " s after SIGTERM"};
  }
  waitpid(pid, nullptr, WNOHANG);
  return base::OkStatus();
}

}  // namespace caudal::cli
