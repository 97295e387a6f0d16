#pragma once

/// Protobuf messages over SOCK_SEQPACKET: one message, one datagram.

#include <google/protobuf/message_lite.h>

#include <string>

#include "base/file.h"
#include "base/status.h"

namespace caudal::supervisor::internal {

/// A listening socket `directory`/`name` that only our own user may connect to. It is bound under
/// another name and renamed, so that a client finds the old one or the new one. `directory` may be
/// longer than a socket address allows.
base::Result<base::UniqueFd> Listen(const std::string& directory, const std::string& name);

/// Errors: kNotFound and kUnavailable when nobody listens, by errno.
base::Result<base::UniqueFd> ConnectTo(const std::string& directory, const std::string& name);

/// Errors: kUnavailable when the other end is gone, kResourceExhausted when a non-blocking socket
/// is full.
base::Status Send(int fd, const google::protobuf::MessageLite& message);

enum class Received { kMessage, kNothing, kClosed };

/// The next message; kNothing when a non-blocking socket has none or it could not be understood.
Received Receive(int fd, google::protobuf::MessageLite* message);

}  // namespace caudal::supervisor::internal
