#pragma once

/// Python environments for lightweight components: recognises the SDK's wrapper
/// (execution.md 3.15), builds the environment it asks for once, and gives back the command without
/// the pip step.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

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

/// A Python that steps can run on.
struct Interpreter {
  std::string path;     ///< real path, "/usr/bin/python3.11"
  std::string version;  ///< "3.11.2"
  std::string prefix;   ///< sys.base_prefix: what a sandbox must bind
};

/// An environment that exists on disk, complete and immutable.
struct Environment {
  std::string key;            ///< SHA-256 hex
  std::string path;           ///< envs/<key>/venv
  std::string site_packages;  ///< envs/<key>/venv/lib/python3.11/site-packages
  std::string lock;           ///< `pip freeze` of it
  Interpreter interpreter;
};

struct Options {
  std::string envs_dir;     ///< absolute
  std::string kfp_package;  ///< --kfp-package: replaces the pinned kfp requirement; may be empty
  int owner_uid = -1;       ///< -1: ours; else the environment is built as and owned by this uid
  /// Builds run code of the packages, which is the pipeline author's choice: in a sandbox, where
  /// there is one. It sees neither `hidden` nor the user's home, so no credentials kept there.
  bool sandbox = false;
  std::vector<std::string> hidden{};   ///< as in sandbox::ViewSpec
  std::vector<sandbox::Bind> binds{};  ///< what the operator shows to all steps
};

/// What pip is given from the server's surroundings: variables with index and constraint settings,
/// proxies and certificates by name, and the text of the user's pip.conf under `kPipConfig`.
using Settings = std::map<std::string, std::string>;
inline constexpr char kPipConfig[] = "pip.conf";

/// The key of an environment: the same for the same interpreter, platform, calls and settings.
std::string EnvironmentKey(const Interpreter& interpreter, const std::vector<PipCall>& calls,
                           const Settings& settings);

/// Builds and finds environments. Thread-safe: concurrent first users of one key share one build.
class Environments {
 public:
  explicit Environments(Options options);
  ~Environments();

  /// The interpreter for an image ("python:3.9"), and a note when something else stands in. Errors:
  /// kFailedPrecondition when this machine has no usable Python.
  base::Result<Interpreter> ForImage(const std::string& image, std::string* note);

  /// The environment for the calls; built first if need be (blocks, minutes). A failed build leaves
  /// nothing behind, is tried again next time, and its error holds pip's own last lines
  /// (kFailedPrecondition). `progress` gets pip's output as it comes; may be empty.
  base::Result<Environment> Get(const Interpreter& interpreter, const std::vector<PipCall>& calls,
                                const std::function<void(std::string_view)>& progress);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace caudal::pyenv
