#include "cli/internal/compiler_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/sha256.h"
#include "cli/caudal_compiler.h"

namespace caudal::cli::internal {
namespace {

using base::FromErrno;
using base::Result;
using base::Status;
using base::UniqueFd;

constexpr int kBacklog = 64;
constexpr int kInheritedFd = 3;
constexpr uint32_t kMostAnswerBytes = 64u << 20;
constexpr char kEnding[] = ".sock";

Result<UniqueFd> NewSocket() {
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return FromErrno(errno, "making a socket");
  return fd;
}

sockaddr_un Address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

bool IsOurs(int connection) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
         peer.uid == geteuid();
}

/// The script as a file, so that a list of processes can be read. Named by its content: another
/// version of this program brings its own.
Result<std::string> ScriptFile(const std::string& directory) {
  const std::string path =
      directory + "/caudal_compiler-" + base::Sha256Hex(kCompilerScript).substr(0, 8) + ".py";
  if (!base::PathExists(path)) CAUDAL_TRY(base::WriteFileAtomic(path, kCompilerScript));
  return path;
}

struct Streams {
  int inherited;  // becomes kInheritedFd
  int output;     // becomes standard output and error
  bool is_lasting;
};

// Child side, after fork in a process that may have threads: async-signal-safe calls only.
[[noreturn]] void BecomePython(char* const* argv, const Streams& streams) {
  if (streams.is_lasting) {
    setsid();
  } else {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
  }
  for (const int number : {SIGINT, SIGTERM, SIGPIPE, SIGHUP}) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const int null = open("/dev/null", O_RDONLY);
  const int output = fcntl(streams.output, F_DUPFD, 10);
  const int inherited = fcntl(streams.inherited, F_DUPFD, 10);
  if (dup2(null, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0 ||
      dup2(inherited, kInheritedFd) < 0) {
    _exit(127);
  }
  syscall(SYS_close_range, kInheritedFd + 1U, ~0U, 0);
  execv(argv[0], argv);
  _exit(127);
}

Result<pid_t> StartPython(std::vector<std::string> words, const Streams& streams) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t pid = fork();
  if (pid < 0) return FromErrno(errno, "starting '" + words[0] + "'");
  if (pid == 0) BecomePython(argv.data(), streams);
  return pid;
}

void AppendSize(size_t size, std::string* data) {
  for (int shift = 0; shift < 32; shift += 8) *data += static_cast<char>(size >> shift);
}

Status SendAll(int connection, std::string_view data) {
  while (!data.empty()) {
    const ssize_t sent = send(connection, data.data(), data.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return FromErrno(errno, "sending to the compiler");
    data.remove_prefix(static_cast<size_t>(sent));
  }
  return {};
}

// The first bytes, and our standard error beside them.
Result<size_t> SendWithStandardError(int connection, std::string_view data) {
  iovec part{const_cast<char*>(data.data()), data.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  const int standard_error = STDERR_FILENO;
  std::memcpy(CMSG_DATA(header), &standard_error, sizeof standard_error);
  ssize_t sent;
  while ((sent = sendmsg(connection, &message, MSG_NOSIGNAL)) < 0 && errno == EINTR) {
  }
  if (sent < 0) return FromErrno(errno, "sending to the compiler");
  return static_cast<size_t>(sent);
}

bool ReadExactly(int connection, char* data, size_t size) {
  while (size > 0) {
    const ssize_t got = recv(connection, data, size, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    data += got;
    size -= static_cast<size_t>(got);
  }
  return true;
}

// A script, unlike a program, may choose another Python in another directory, as version switchers
// do.
bool IsScript(const std::string& program) {
  const UniqueFd fd(open(program.c_str(), O_RDONLY | O_CLOEXEC));
  char start[2];
  return fd.valid() && read(fd.get(), start, 2) == 2 && start[0] == '#' && start[1] == '!';
}

std::string WorkingDirectory() {
  std::array<char, 4096> path{};
  return getcwd(path.data(), path.size()) == nullptr ? "" : path.data();
}

}  // namespace

Result<CompilerDir> CompilerDir::Open(const std::string& data_dir, bool make) {
  const std::string path = data_dir + "/compile";
  if (make) CAUDAL_TRY(base::MakeDirs(path));
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) return FromErrno(errno, "opening '" + path + "'");
  struct stat info {};
  if (fstat(fd.get(), &info) != 0) return FromErrno(errno, "looking at '" + path + "'");
  const bool is_ours = info.st_uid == geteuid() && (info.st_mode & 077) == 0;
  if (!is_ours) {
    return Status(base::Code::kPermissionDenied, "'" + path + "' is not ours alone");
  }
  return CompilerDir(path, std::move(fd));
}

std::string CompilerDir::AddressOf(const std::string& name) const {
  return "/proc/self/fd/" + std::to_string(fd_.get()) + "/" + name;
}

std::optional<UniqueFd> CompilerDir::ConnectIfRunning(const std::string& socket_name) const {
  auto fd = NewSocket();
  if (!fd.ok()) return std::nullopt;
  const sockaddr_un address = Address(AddressOf(socket_name));
  const bool is_connected =
      connect(fd->get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      IsOurs(fd->get());
  if (!is_connected) return std::nullopt;
  return std::move(fd).value();
}

// The socket is ours and given to the new process: who connects now waits until it accepts, and is
// hung up on when it cannot.
Result<UniqueFd> CompilerDir::Start(const std::string& name, const std::string& python) const {
  CAUDAL_ASSIGN(const std::string script, ScriptFile(path_));
  CAUDAL_ASSIGN(const UniqueFd listener, NewSocket());
  const std::string bound = AddressOf(name);
  unlink(bound.c_str());
  const sockaddr_un address = Address(bound);
  if (bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      chmod(bound.c_str(), 0600) != 0 || listen(listener.get(), kBacklog) != 0) {
    return FromErrno(errno, "listening at '" + path_ + "/" + name + "'");
  }
  struct stat info {};
  if (stat(bound.c_str(), &info) != 0) return FromErrno(errno, "looking at '" + bound + "'");
  const UniqueFd log(
      open((path_ + "/compiler.log").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!log.valid()) return FromErrno(errno, "opening '" + path_ + "/compiler.log'");
  CAUDAL_TRY(StartPython({python, script, "serve", std::to_string(kInheritedFd), path_, name,
                          std::to_string(info.st_ino)},
                         {listener.get(), log.get(), true})
                 .status());
  auto connection = ConnectIfRunning(name);
  if (!connection) return base::Unavailable("the compiler ended at once");
  return *std::move(connection);
}

Result<UniqueFd> CompilerDir::Connect(const std::string& key, const std::string& python) const {
  const std::string name = key + kEnding;
  if (auto running = ConnectIfRunning(name)) return *std::move(running);
  // One of several that find none starts it.
  const std::string lock_path = path_ + "/lock";
  const UniqueFd lock(open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock.valid() || flock(lock.get(), LOCK_EX) != 0) {
    return FromErrno(errno, "locking '" + lock_path + "'");
  }
  if (auto running = ConnectIfRunning(name)) return *std::move(running);
  return Start(name, python);
}

std::string CompilerKey(const std::string& python) {
  std::string text = python + '\0' + std::string(kCompilerScript);
  bool depends_on_place = IsScript(python);
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view variable = *entry;
    const bool counts = variable.starts_with("PYTHON") || variable.starts_with("PYENV_");
    if (!counts) continue;
    text += '\0' + std::string(variable);
    const size_t value = variable.find('=') + 1;
    const bool is_path = variable.starts_with("PYTHONPATH=");
    depends_on_place = depends_on_place || (is_path && variable.substr(value, 1) != "/");
  }
  if (depends_on_place) text += '\0' + WorkingDirectory();
  return base::Sha256Hex(text).substr(0, 16);
}

Result<OneShot> StartOneShot(const std::string& python) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return FromErrno(errno, "making a socket");
  }
  UniqueFd ours(ends[0]);
  const UniqueFd theirs(ends[1]);
  CAUDAL_ASSIGN(const pid_t pid, StartPython({python, "-c", std::string(kCompilerScript), "once",
                                              std::to_string(kInheritedFd)},
                                             {theirs.get(), STDERR_FILENO, false}));
  return OneShot{pid, std::move(ours)};
}

Status SendRequest(int connection, const std::string& json) {
  std::string variables;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    variables += *entry;
    variables += '\0';
  }
  std::string data;
  AppendSize(json.size(), &data);
  AppendSize(variables.size(), &data);
  data += json + variables;
  CAUDAL_ASSIGN(const size_t sent, SendWithStandardError(connection, data));
  return SendAll(connection, std::string_view(data).substr(sent));
}

Answered AwaitHello(int connection, int timeout_millis) {
  pollfd ready = {connection, POLLIN, 0};
  int count;
  while ((count = poll(&ready, 1, timeout_millis)) < 0 && errno == EINTR) {
  }
  if (count == 0) return Answered::kNothing;
  char hello;
  return ReadExactly(connection, &hello, 1) ? Answered::kAnswer : Answered::kHungUp;
}

Answered AwaitAnswer(int connection, std::string* json) {
  unsigned char size_bytes[4];
  if (!ReadExactly(connection, reinterpret_cast<char*>(size_bytes), 4)) return Answered::kHungUp;
  uint32_t size = 0;
  for (int i = 3; i >= 0; --i) size = size << 8 | size_bytes[i];
  if (size > kMostAnswerBytes) return Answered::kHungUp;
  json->resize(size);
  return ReadExactly(connection, json->data(), size) ? Answered::kAnswer : Answered::kHungUp;
}

}  // namespace caudal::cli::internal
