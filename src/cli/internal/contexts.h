#pragma once

/// Servers that the user has given names: `$XDG_CONFIG_HOME/caudal/contexts.json`.

#include <map>
#include <string>

#include "base/status.h"

namespace caudal::cli {

/// The context that always exists: the server of the data directory.
inline constexpr char kLocalContext[] = "local";

struct Contexts {
  std::string current = kLocalContext;
  std::map<std::string, std::string> urls;  ///< by name, without kLocalContext
};

/// Errors: kInvalidArgument when neither XDG_CONFIG_HOME nor HOME says where.
base::Result<std::string> ContextsPath();

/// What the file says; the defaults where there is none. Errors: kInvalidArgument for a file that
/// is not ours, with its path.
base::Result<Contexts> ReadContexts();

/// Replaces the file, mode 0600. Errors: by errno.
base::Status WriteContexts(const Contexts& contexts);

}  // namespace caudal::cli
