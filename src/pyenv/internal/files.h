#pragma once

/// The files of environments: who owns them, how large they are, which of them are shared.

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace caudal::pyenv::internal {

/// Makes `uid` the owner of the whole tree, following no link.
base::Status GiveTree(const std::string& root, int uid);

/// Bytes on disk below `root`, a file with several names in it once.
int64_t DiskUsage(const std::string& root);

/// Bytes that come free when all these trees go: files with a name elsewhere stay.
int64_t FreedBytes(const std::vector<std::string>& roots);

/// Nothing writes an installed file again: takes the permission away, and gives all files below
/// `root` one time, so that compiled modules, which hold the time of their source, are the same in
/// every environment.
base::Status Settle(const std::string& root);

/// Replaces files below `root` by links to the same file (path, bytes, owner, mode, time) below one
/// of `others`, the first that has it. Only for a `root` that nobody uses yet. Returns how many.
base::Result<int> ShareFiles(const std::string& root, const std::vector<std::string>& others);

}  // namespace caudal::pyenv::internal
