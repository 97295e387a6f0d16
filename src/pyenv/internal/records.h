#pragma once

/// What is on disk below `envs/`:
///
///   <id>/venv              the build, where it stays: virtual environments cannot be moved
///   <id>/scratch           of a build that is under way
///   records/<id>.json      written last; a directory without it is an unfinished build. It stays
///                          when the build is pruned; its mtime is the time of last use
///   removed/<id>           what Prune has taken away and not yet deleted
///   locks/<key>            held (flock) by who builds
///   installs.log           one line per installer process that was started

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/status.h"
#include "pyenv/pyenv.h"

namespace caudal::pyenv::internal {

/// Paths and files. Immutable; every function blocks.
class Disk {
 public:
  explicit Disk(std::string envs_dir) : dir_(std::move(envs_dir)) {}

  std::string Root(const std::string& id) const { return dir_ + "/" + id; }
  std::string Removed(const std::string& id) const { return dir_ + "/removed/" + id; }
  std::string Venv(const std::string& id) const { return Root(id) + "/venv"; }

  /// Every readable record, of removed builds, too; of one key when `key` is not empty. A record
  /// that cannot be read is reported in the log, and its build is not used.
  std::vector<Record> Read(const std::string& key = "") const;
  base::Status Write(const Record& record) const;
  /// Sets the time of last use.
  void Touch(const std::string& id, int64_t at_micros) const;

  /// The highest number that a build of `key` ever had, its record readable or not; 0 for none.
  int LastNumber(const std::string& key) const;

  /// Waits until nobody else builds `key`. The lock lasts as long as the descriptor. Errors:
  /// kUnavailable once `give_up` says so.
  base::Result<base::UniqueFd> Lock(const std::string& key,
                                    const std::function<bool()>& give_up) const;

  /// Takes a build away at one blow; DeleteRemoved gives its space back.
  base::Status Remove(const std::string& id) const;
  /// Deletes what was taken away, and builds that were never finished and nobody works on.
  void DeleteRubbish() const;

  /// Notes that an installer was started.
  void NoteInstall(const std::string& id, const std::string& words) const;

 private:
  std::optional<Record> ReadOne(const std::string& name) const;
  base::Result<base::UniqueFd> OpenLock(const std::string& key) const;

  const std::string dir_;
};

/// "<key>.<build>" in parts; nullopt when it is not of that form.
struct Id {
  std::string key;
  int build = 0;
};
std::optional<Id> ParseId(const std::string& text);

}  // namespace caudal::pyenv::internal
