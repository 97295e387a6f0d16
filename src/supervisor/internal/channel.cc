#include "supervisor/internal/channel.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace caudal::supervisor::internal {
namespace {

using base::FromErrno;
using base::Result;
using base::Status;
using base::UniqueFd;

/// The address goes through an open directory: `sun_path` holds 108 bytes, a path may be longer.
sockaddr_un AddressIn(int directory, const std::string& name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = "/proc/self/fd/" + std::to_string(directory) + "/" + name;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  return address;
}

Result<UniqueFd> OpenDirectory(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return FromErrno(errno, "cannot open directory " + path);
  return fd;
}

Result<UniqueFd> MakeSocket(int flags) {
  UniqueFd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0));
  if (!fd.valid()) return FromErrno(errno, "cannot make a socket");
  return fd;
}

}  // namespace

Result<UniqueFd> Listen(const std::string& directory, const std::string& name) {
  const std::string path = directory + "/" + name;
  CAUDAL_ASSIGN(const UniqueFd parent, OpenDirectory(directory));
  CAUDAL_ASSIGN(UniqueFd fd, MakeSocket(SOCK_NONBLOCK));
  const std::string draft = name + ".tmp";
  unlinkat(parent.get(), draft.c_str(), 0);
  const sockaddr_un address = AddressIn(parent.get(), draft);
  // Nobody else may connect between bind and chmod either.
  const mode_t umask_before = umask(0177);
  const int bound = bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int error = errno;
  umask(umask_before);
  if (bound != 0) return FromErrno(error, "cannot make socket " + path);
  if (listen(fd.get(), 16) != 0) return FromErrno(errno, "cannot listen at " + path);
  if (renameat(parent.get(), draft.c_str(), parent.get(), name.c_str()) != 0) {
    return FromErrno(errno, "cannot make socket " + path);
  }
  return fd;
}

Result<UniqueFd> ConnectTo(const std::string& directory, const std::string& name) {
  CAUDAL_ASSIGN(const UniqueFd parent, OpenDirectory(directory));
  CAUDAL_ASSIGN(UniqueFd fd, MakeSocket(0));
  const sockaddr_un address = AddressIn(parent.get(), name);
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    return fd;
  }
  const std::string doing = "cannot connect to " + directory + "/" + name;
  if (errno == ECONNREFUSED) return base::Unavailable(doing + ": nobody listens");
  return FromErrno(errno, doing);
}

Status Send(int fd, const google::protobuf::MessageLite& message) {
  const std::string bytes = message.SerializeAsString();
  ssize_t sent;
  while ((sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL)) < 0 && errno == EINTR) {
  }
  if (sent >= 0) return {};
  const std::string doing = "cannot send " + message.GetTypeName();
  if (errno == EAGAIN) return base::ResourceExhausted(doing + ": the receiver does not read");
  if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN || errno == EBADF) {
    return base::Unavailable(doing + ": " + std::strerror(errno));
  }
  return FromErrno(errno, doing);
}

Received Receive(int fd, google::protobuf::MessageLite* message) {
  ssize_t size;
  while ((size = recv(fd, nullptr, 0, MSG_PEEK | MSG_TRUNC)) < 0 && errno == EINTR) {
  }
  if (size < 0) return errno == EAGAIN ? Received::kNothing : Received::kClosed;
  if (size == 0) return Received::kClosed;
  std::string bytes(static_cast<size_t>(size), '\0');
  const ssize_t got = recv(fd, bytes.data(), bytes.size(), 0);
  if (got != size || !message->ParseFromString(bytes)) return Received::kNothing;
  return Received::kMessage;
}

}  // namespace caudal::supervisor::internal
