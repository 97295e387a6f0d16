#pragma once

/// The data directory and the server that owns it, as its `lock` file tells.

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace caudal::cli {

/// `--data-dir`, else $XDG_DATA_HOME/caudal, else ~/.local/share/caudal; absolute. Errors:
/// kInvalidArgument when nothing says where.
base::Result<std::string> ResolveDataDir(const std::string& given);

/// A server that is alive and owns a data directory.
struct Owner {
  pid_t pid = 0;
  std::string http;  ///< "127.0.0.1:40123"; empty while it starts
  std::string version;
  std::vector<std::string> command_line;
};

/// The owner, or nullopt when there is none: no lock file, its process is gone, or the pid is some
/// other program's by now. Takes no lock itself, so it never stands in a starting server's way.
std::optional<Owner> FindOwner(const std::string& data_dir);

/// Path of this program.
std::string OwnExecutable();

}  // namespace caudal::cli
