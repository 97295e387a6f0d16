#pragma once

/// A client that sends exactly the bytes it is given, for tests of the protocol itself.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "base/file.h"

namespace caudal::http::testing {

/// Blocking; a read that waits longer than 30 s gives up, so that a broken server fails the test.
class RawClient {
 public:
  /// `address`: "127.0.0.1:8888".
  explicit RawClient(const std::string& address) {
    const size_t colon = address.rfind(':');
    sockaddr_in peer{};
    peer.sin_family = AF_INET;
    peer.sin_port = htons(static_cast<uint16_t>(std::atoi(address.c_str() + colon + 1)));
    inet_pton(AF_INET, address.substr(0, colon).c_str(), &peer.sin_addr);
    fd_.Reset(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval patience{30, 0};
    setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    is_connected_ = connect(fd_.get(), reinterpret_cast<sockaddr*>(&peer), sizeof peer) == 0;
  }

  bool is_connected() const { return is_connected_; }

  void Send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t count = send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
      if (count <= 0) return;
      text.remove_prefix(static_cast<size_t>(count));
    }
  }

  void Close() { fd_.Reset(); }

  /// Everything up to and with `end`, or up to the end of the connection.
  std::string ReadUntil(std::string_view end) {
    size_t at = read_.find(end);
    while (at == std::string::npos && ReadMore()) at = read_.find(end);
    return Take(at == std::string::npos ? read_.size() : at + end.size());
  }

  std::string ReadAll() {
    while (ReadMore()) {
    }
    return Take(read_.size());
  }

  /// One answer: its head and as much body as its Content-Length says.
  std::string ReadResponse() {
    std::string text = ReadUntil("\r\n\r\n");
    const size_t at = text.find("Content-Length: ");
    const size_t want = at == std::string::npos ? 0 : std::strtoul(&text[at + 16], nullptr, 10);
    while (read_.size() < want && ReadMore()) {
    }
    return text + Take(std::min(want, read_.size()));
  }

 private:
  bool ReadMore() {
    char bytes[4096];
    const ssize_t count = recv(fd_.get(), bytes, sizeof bytes, 0);
    if (count > 0) read_.append(bytes, static_cast<size_t>(count));
    return count > 0;
  }

  std::string Take(size_t size) {
    std::string taken = read_.substr(0, size);
    read_.erase(0, size);
    return taken;
  }

  base::UniqueFd fd_;
  bool is_connected_ = false;
  std::string read_;
};

/// The body of an answer as ReadResponse or ReadAll returns it.
inline std::string BodyOf(const std::string& response) {
  const size_t end = response.find("\r\n\r\n");
  return end == std::string::npos ? "" : response.substr(end + 4);
}

inline int StatusOf(const std::string& response) {
  return response.size() < 12 ? 0 : std::atoi(response.c_str() + 9);
}

}  // namespace caudal::http::testing
