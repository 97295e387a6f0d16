#include "supervisor/internal/connection.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "supervisor/internal/channel.h"
#include "supervisor/internal/spawn.h"

namespace caudal::supervisor::internal {
namespace {

using base::Result;
using base::Status;
using base::UniqueFd;
using std::chrono::steady_clock;

constexpr timeval kPatience{10, 0};  // for a supervisor that is stopped or swapped out

Result<UniqueFd> WatchPeer(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return base::FromErrno(errno, "cannot ask who the supervisor is");
  }
  if (peer.uid != geteuid()) {
    return base::Unavailable("the supervisor belongs to uid " + std::to_string(peer.uid) +
                             ", not to us");
  }
  UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, peer.pid, 0)));
  if (!process.valid()) return base::Unavailable("the supervisor has just ended");
  return process;
}

Status HearHello(int socket, v1::SupervisorReport::Hello* hello) {
  while (true) {
    v1::SupervisorReport report;
    if (Receive(socket, &report) != Received::kMessage) {
      return base::Unavailable("the supervisor does not answer");
    }
    // An attempt may start or end between two pages.
    if (report.has_exited()) *hello->add_finished() = report.exited();
    if (!report.has_hello()) continue;
    hello->MergeFrom(report.hello());
    if (!report.hello().more()) break;
  }
  hello->clear_more();
  return {};
}

}  // namespace

Result<Connection> Open(const std::string& data_dir, v1::SupervisorReport::Hello* hello) {
  hello->Clear();
  Connection connection;
  CAUDAL_ASSIGN(connection.socket, ConnectTo(data_dir + "/work", "supervisor.sock"));
  const int fd = connection.socket.get();
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
  CAUDAL_ASSIGN(connection.process, WatchPeer(fd));
  CAUDAL_TRY(HearHello(fd, hello));
  const timeval for_ever{0, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &for_ever, sizeof for_ever);
  return connection;
}

Result<Connection> OpenOrSpawn(const std::string& executable, const std::string& data_dir,
                               v1::SupervisorReport::Hello* hello) {
  const auto give_up = steady_clock::now() + std::chrono::seconds(10);
  auto spawn_at = steady_clock::now();
  while (true) {
    Result<Connection> connection = Open(data_dir, hello);
    if (connection.ok()) return connection;
    const auto now = steady_clock::now();
    if (now > give_up) {
      return base::Unavailable("no supervisor of steps answers at " + data_dir +
                               "/work/supervisor.sock (" + connection.status().message() +
                               "); see " + data_dir + "/supervisor.log");
    }
    // Again from time to time: the one before may have found a lock that a dying one still held.
    if (now >= spawn_at) {
      CAUDAL_TRY(SpawnSupervisor(executable, data_dir));
      spawn_at = now + std::chrono::milliseconds(500);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

bool HasEnded(const Connection& connection, std::chrono::milliseconds patience) {
  const auto give_up = steady_clock::now() + patience;
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(give_up - steady_clock::now());
    pollfd wait{connection.process.get(), POLLIN, 0};
    const int ready = poll(&wait, 1, static_cast<int>(std::max<int64_t>(0, left.count())));
    if (ready >= 0 || errno != EINTR) return ready > 0;
  }
}

}  // namespace caudal::supervisor::internal
