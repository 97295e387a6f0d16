#pragma once

/// Which server a verb speaks to, starting one where none runs.

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "cli/internal/arguments.h"

namespace caudal::cli {

struct TargetOptions {
  std::string server;    ///< --server; empty: CAUDAL_SERVER, the context, the data directory's
  std::string data_dir;  ///< --data-dir; empty: the default
  bool foreground = false;
  /// What a server that we start is started with, and what one that runs must have been.
  std::vector<std::pair<std::string, std::string>> server_flags;
};

struct Target {
  std::string url;
  std::string data_dir;  ///< empty for a server given by address
  pid_t ours = 0;        ///< a server to be stopped when we are done
  /// How it was chosen: "local", the context's name, "CAUDAL_SERVER" or "--server".
  std::string name = "local";
  bool was_started = false;  ///< by us, just now
};

/// The server in a word: how it was chosen says nothing when that was an address.
std::string PlaceOf(const Target& target);

/// "local · http://127.0.0.1:40123", with how a server came to be when we started it.
std::string TargetLine(const Target& target);

/// The server of a verb that has the flags --server and --data-dir, named on standard error.
/// Errors: as FindTarget's.
base::Result<Target> OpenTarget(const Arguments& arguments);

/// Where a verb would look, without asking or starting anything. url is empty where no server runs.
/// Errors: kInvalidArgument.
base::Result<Target> PeekTarget(const std::string& server, const std::string& data_dir);

/// The words that make another command go to the same server: " --data-dir 'x'", or nothing.
std::string TargetWords(const Arguments& arguments);

/// Errors: kUnavailable when there is no server and none could be started; kFailedPrecondition when
/// the one there is was started otherwise; kInvalidArgument for a wrong address or directory.
base::Result<Target> FindTarget(const TargetOptions& options);

/// Finds the server of the target's data directory again after it stopped answering.
base::Result<Target> FindTargetAgain(const Target& target, const TargetOptions& options);

/// The same, where it listens now. A server given by address is at that address, answering or not.
base::Result<std::string> FindUrlAgain(const Target& target, const TargetOptions& options);

/// "http://host:port" of an address as users write it. Errors: kInvalidArgument.
base::Result<std::string> NormalizeUrl(const std::string& given);

}  // namespace caudal::cli
