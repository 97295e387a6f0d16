#pragma once

/// Mounts as descriptors: taken from the host's view, put into the sandbox's.

#include <string>
#include <vector>

#include "base/file.h"
#include "base/status.h"

namespace caudal::sandbox::internal {

/// A copy of the mounts at and below `path`, attached nowhere, without set-user-id programs and,
/// unless `writable`, read-only throughout.
base::Result<base::UniqueFd> CloneTree(const std::string& path, bool writable);

/// The same of a path below the directory `anchor`, following no symbolic link from there on.
/// Errors: kInvalidArgument when there is one, or `path` is not below.
base::Result<base::UniqueFd> CloneBelow(const std::string& anchor, const std::string& path,
                                        bool writable);

/// A new mount of `/proc` for our pid namespace, attached nowhere.
base::Result<base::UniqueFd> NewProc();

base::Status AttachAt(const base::UniqueFd& tree, const std::string& target);

/// Mounts a new tmpfs at the directory `target`.
base::Status MountTmpfs(const std::string& target, const std::string& options);

/// Makes one mount read-only, not what is mounted on it.
base::Status MakeReadOnly(const std::string& target);

/// Makes `path`, a directory or an empty file, with its parents, for something to be mounted on. A
/// read-only directory that lacks the next part of the path is replaced by a tmpfs that shows the
/// same entries; such are added to `covered`.
base::Status MakeMountPoint(const std::string& path, bool is_directory,
                            std::vector<std::string>* covered);

}  // namespace caudal::sandbox::internal
