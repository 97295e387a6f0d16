#pragma once

/// Python environments for lightweight components: recognises the SDK's wrapper
/// (execution.md 3.15), builds the environment it asks for once, and gives back the command without
/// the pip step.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "sandbox/sandbox.h"

namespace caudal::pyenv {

/// One `pip install` of a wrapper, words unquoted.
struct PipCall {
  std::vector<std::string> options;   ///< "--index-url", "…", "--no-deps"
  std::vector<std::string> packages;  ///< requirements as pip takes them
};

/// A recognised wrapper.
struct Wrapper {
  std::vector<PipCall> calls;        ///< in order
  bool use_venv = false;             ///< the VENV block stood before the last or first call
  std::vector<std::string> command;  ///< the words after INSTALL: "sh" "-ec" RUN SOURCE
};

/// What the words are, or nullopt when they are not exactly a wrapper with an INSTALL word; such a
/// command runs as written.
std::optional<Wrapper> ParseWrapper(const std::vector<std::string>& command);

struct Environment;

/// The wrapper's command as it runs in `environment`: SDKs moved their entry module after 2.0, so
/// one that this environment's kfp does not have becomes the one it has. Blocks for a file look-up.
std::vector<std::string> CommandIn(const Wrapper& wrapper, const Environment& environment);

/// A Python that steps can run on.
struct Interpreter {
  std::string path;     ///< real path, "/usr/bin/python3.11"
  std::string version;  ///< "3.11.2"
  std::string prefix;   ///< sys.base_prefix: what a sandbox must bind
};

/// What a step needs of an environment.
struct Request {
  Interpreter interpreter;
  std::vector<PipCall> calls;
  bool use_venv = false;
  std::string kfp_package{};  ///< of the run, as in Options; empty: the server's
};

/// A build that exists on disk, complete and immutable.
struct Environment {
  std::string id;             ///< "<key>.<build>"
  std::string path;           ///< envs/<id>/venv
  std::string site_packages;  ///< envs/<id>/venv/lib/python3.11/site-packages
  Interpreter interpreter;
  std::shared_ptr<const void> use{};  ///< while any copy lives, the build is not pruned
};

/// What is known of a build; stays when the build itself is pruned.
struct Record {
  std::string key;  ///< SHA-256 hex of what was asked for
  int build = 0;    ///< from 1; of one key, the newest is the one in use
  Interpreter interpreter;
  std::vector<PipCall> calls;  ///< as built: with --kfp-package; may hold secrets in URLs
  bool use_venv = false;
  std::string kfp_package{};  ///< what stands in the calls for the pinned kfp; may be empty
  std::string installer{};    ///< "uv 0.4.1" or "pip 23.0.1"
  std::string lock{};         ///< `pip freeze` of it, without secrets
  int64_t created_at = 0;     ///< microseconds since 1970
  int64_t last_used_at = 0;   ///< to the hour
  int64_t size_bytes = 0;     ///< on disk; files shared with other builds included
  bool is_removed = false;
  std::string path{};  ///< as in Environment; empty when removed

  std::string id() const { return key + "." + std::to_string(build); }
};

/// `record`'s requirements and options in order of the calls, for people: without secrets.
std::vector<std::string> Requirements(const Record& record);

/// `text` with user names and passwords in URLs taken out.
std::string MaskSecrets(std::string_view text);

struct Options {
  std::string envs_dir;     ///< absolute
  std::string kfp_package;  ///< --kfp-package: replaces the pinned kfp requirement; may be empty
  int owner_uid = -1;       ///< -1: ours; else environments are built as and owned by this uid
  /// Builds run code of the packages, which is the pipeline author's choice: in a sandbox, where
  /// there is one. It sees neither `hidden` nor the user's home, so no credentials kept there.
  bool sandbox = false;
  std::vector<std::string> hidden{};   ///< as in sandbox::ViewSpec
  std::vector<sandbox::Bind> binds{};  ///< what the operator shows to all steps
  const base::Clock* clock = nullptr;  ///< null: the machine's; outlives every use
};

/// What the installer is given from the server's surroundings: variables with index and constraint
/// settings, proxies and certificates by name; the texts of pip's and uv's configuration files and
/// of the files that settings name, under names that no variable has.
using Settings = std::map<std::string, std::string>;
inline constexpr char kPipConfig[] = "pip.conf";
inline constexpr char kSystemPipConfig[] = "/etc/pip.conf";
inline constexpr char kUvConfig[] = "uv.toml";

/// The key of an environment: the same for the same interpreter, platform, calls and settings. The
/// installer is no part of it.
std::string EnvironmentKey(const Interpreter& interpreter, const std::vector<PipCall>& calls,
                           bool use_venv, const Settings& settings);

/// Builds, finds and removes environments. Thread-safe. Concurrent first users of one key share one
/// build, also across processes; only one process may prune.
class Environments {
 public:
  explicit Environments(Options options);
  ~Environments();

  /// The interpreter for an image ("python:3.9"), and a note when something else stands in. Errors:
  /// kFailedPrecondition when this machine has no usable Python.
  base::Result<Interpreter> ForImage(const std::string& image, std::string* note);
  /// Whether ForImage answers from memory.
  bool IsKnown(const std::string& image) const;

  /// The key of the environment for the request, built or not: see EnvironmentKey.
  std::string KeyOf(const Request& request) const;

  /// The newest build for the request, from memory; nullopt when Get would have to build.
  std::optional<Environment> Find(const Request& request);

  /// The same, built first if need be (blocks, minutes). A failed build leaves nothing behind, is
  /// tried again next time, and its error holds the installer's own last lines
  /// (kFailedPrecondition). `progress` gets the installer's output as it comes; may be empty.
  /// Errors: kInvalidArgument for a kfp package that is none; kUnavailable after Stop.
  base::Result<Environment> Get(const Request& request,
                                const std::function<void(std::string_view)>& progress);

  /// Takes a build that a step runs in already into use again. Errors: kNotFound.
  base::Result<Environment> Hold(const std::string& id);

  /// Those on disk, newest first.
  std::vector<Record> List() const;

  /// By "<key>.<build>" or "<key>", which is its newest build; of the key, the start is enough when
  /// only one begins so. Removed ones count. Errors: kNotFound, kInvalidArgument when several begin
  /// so.
  base::Result<Record> Inspect(const std::string& id) const;

  struct Pruned {
    std::vector<Record> removed;
    int64_t freed_bytes = 0;  ///< what no other environment shares
  };
  /// Removes every build that nothing uses and nothing has used for `unused_for`; `dry_run` only
  /// says which. The records stay.
  base::Result<Pruned> Prune(base::Duration unused_for, bool dry_run);

  /// Builds what `id` (as in Inspect) asked for once more; who comes later gets the new build.
  /// Blocks like Get. Errors: as Inspect and Get; kFailedPrecondition when the settings or the
  /// interpreter have changed since, so that it would be another environment.
  base::Result<Record> Refresh(const std::string& id,
                               const std::function<void(std::string_view)>& progress);

  /// Ends the builds that run now, and refuses later ones. Blocks until they are over. Kills every
  /// descendant of this process: builds are its only children by then.
  void Stop();
  /// Whether Stop was called: a build that failed since may have failed because of that.
  bool IsStopped() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace caudal::pyenv
