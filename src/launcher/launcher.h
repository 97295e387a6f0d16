#pragma once

/// Staging before a step and collecting after it: the executor protocol (execution.md section 3) on
/// local files. A library: used by the server for local steps, later by `caudal launch` in
/// containers.

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "caudal/v1/attempt.pb.h"
#include "caudal/v1/supervisor.pb.h"

namespace caudal::launcher {

/// Where things lie on this host. All absolute.
struct Layout {
  std::string data_dir;
  int step_uid =
      -1;  ///< owner of a sandboxed step's writable directories; -1: the server's own uid
  bool require_secrets = false;  ///< a step without its secrets or config maps fails

  std::string WorkDir(int64_t attempt_key) const;         ///< work/<key>
  std::string BlobDir(int64_t attempt_key) const;         ///< objects/<xx>/<key>, xx = key mod 256
  std::string BlobPath(const std::string& blob) const;    ///< objects/<blob>
  std::string VolumeDir(const std::string& claim) const;  ///< volumes/<claim>
  /// workspaces/<run id, or its digest where it is no name>/files; beside it the file "run_id".
  std::string WorkspaceDir(const std::string& run_id) const;
};

/// What the step sees: where its files are, and how host paths map to its own.
struct View {
  bool sandbox = false;
  std::string outputs_host;  ///< host directory that holds the step's outputs (task root)
  std::vector<caudal::v1::Mount> mounts;  ///< sandbox: inputs, outputs, /tmp, HOME
  std::map<std::string, std::string>
      env;                        ///< protocol and component variables: HOME, KFP_POD_NAME, …
  std::vector<std::string> argv;  ///< command and args, every placeholder resolved
  std::string working_directory;
  /// Variables from secrets and config maps, which win over `env`. Only `Stage` fills them in; they
  /// must not be written to where they would stay.
  std::map<std::string, std::string> private_env;
  std::vector<std::string> notes;  ///< for the task's record; from `Stage` only
};

/// The view of an attempt, without touching the disk: what `Stage` returned for the same arguments,
/// for a server that finds the attempt running or ended after its own restart. Errors as `Stage`.
base::Result<View> MakeView(const Layout& layout, const caudal::v1::AttemptSpec& spec,
                            bool sandbox);

/// Lays out the work directory and resolves the command line. Idempotent: a second call after a
/// crash starts from nothing. Only `outputs`, `params`, `tmp`, `home`, `fs`, `publish`, `keys` and
/// `empty` below the work directory are the launcher's; whatever else lies there is left alone.
/// `keys` holds values of secrets: remove it when the step has ended. Errors become the
/// task's failure: kInvalidArgument and kNotFound "INPUT", kResourceExhausted "DISK",
/// kFailedPrecondition "START".
base::Result<View> Stage(const Layout& layout, const caudal::v1::AttemptSpec& spec, bool sandbox);

/// Where on this machine the bytes of an imported artifact are: a blob of ours or a path. Pure.
/// Errors: kNotFound, kFailedPrecondition for a URI of a store that we cannot read.
base::Result<std::string> LocalSource(const Layout& layout, const caudal::v1::Artifact& artifact);

/// Copies `source` to where the SDK looks for `artifact` in the run's workspace, and returns the
/// artifact with the mark that it is there. Idempotent. Errors: kFailedPrecondition without a
/// workspace; kInvalidArgument for a URI that makes no path, and for what cannot be copied (links
/// that lead out, pipes); kNotFound; by errno.
base::Result<caudal::v1::Artifact> BringIntoWorkspace(const Layout& layout,
                                                      const caudal::v1::AttemptSpec& spec,
                                                      const caudal::v1::Artifact& artifact,
                                                      const std::string& source);

/// Reads what the step left, checks it, publishes the outputs as one tree and returns the outcome.
/// Never fails: whatever is wrong is in the outcome. Idempotent up to the commit: after a crash the
/// same call finds what was already published. Nothing is published unless the outcome is
/// SUCCEEDED. Call it only when no process of the step is left. `provenance` is the caller's to
/// fill in.
///
/// Symbolic links inside an output are replaced by copies of what they point at, as long as that
/// lies in the same tree (the task root, or the directory a custom path lies in); any other link
/// fails the step. Files become read-only and lose their execute bits, as they would in an object
/// store.
caudal::v1::AttemptOutcome Collect(const Layout& layout, const caudal::v1::AttemptSpec& spec,
                                   const View& view, const caudal::v1::StepExit& exit);

}  // namespace caudal::launcher
