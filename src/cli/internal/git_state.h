#pragma once

/// The commit that a file belongs to.

#include <string>

namespace caudal::cli {

struct GitState {
  std::string commit;     ///< 40 hex digits (64 in a SHA-256 repository); empty when unknown
  bool is_dirty = false;  ///< the work tree differs from it, files not yet added included
};

/// Asks `git` about the directory of `file`, for at most two seconds. Empty outside a repository,
/// without git, before the first commit, and where the answer takes longer.
GitState ReadGitState(const std::string& file);

}  // namespace caudal::cli
