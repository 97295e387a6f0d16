#pragma once

/// Trees of files that a step made: looked at without trust, copied, and made read-only.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace caudal::launcher::internal {

inline constexpr int64_t kMaxEntries = 1'000'000;
inline constexpr int kMaxDepth = 100;

struct TreeFile {
  std::string path;    ///< below the root of the tree; empty when the tree is one file
  std::string source;  ///< absolute host path without symbolic links
  int64_t size = 0;
};

/// What is at a place: one file, or a directory with all that is in it.
struct Tree {
  bool is_directory = false;
  /// Some file is reached through a symbolic link or has a second name: it cannot just be moved.
  bool must_copy = false;
  std::vector<std::string> directories;  ///< below the root, parents first; the root is not listed
  std::vector<TreeFile> files;
  int64_t bytes = 0;
};

/// Where a tree is, and how far its symbolic links may lead.
struct Place {
  std::string base;  ///< absolute host directory; no link may leave it
  std::string path;  ///< below `base`, without ".." parts; empty for `base` itself

  std::string Absolute() const { return path.empty() ? base : base + "/" + path; }
};

/// Turns an absolute path as the step names it into the host's; nullopt when it has none there.
using ToHost = std::function<std::optional<std::string>(const std::string&)>;

/// Looks at everything in `place`. nullopt when nothing is there. Errors: kInvalidArgument for what
/// cannot be published (a link that leads outside or nowhere, a pipe, device or socket, a name that
/// is not UTF-8, more than kMaxEntries, deeper than kMaxDepth); by errno.
base::Result<std::optional<Tree>> Scan(const Place& place, const ToHost& to_host);

/// Copies a scanned tree to `target`, which must not exist; its parent must. Shares the bytes with
/// the source where the file system can.
base::Status CopyTree(const Tree& tree, const std::string& target);

/// Copies a published file or directory to `target`, which must not exist, for a step that may
/// write to its copy.
base::Status CopyStored(const std::string& source, const std::string& target);

/// Makes the tree at `path` ours, its files 0444 and its directories 0755, and flushes it to disk.
base::Status Seal(const Tree& tree, const std::string& path);

}  // namespace caudal::launcher::internal
