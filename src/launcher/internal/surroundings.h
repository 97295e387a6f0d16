#pragma once

/// What the platform document gives a step besides its inputs: variables and files from secrets and
/// config maps, volumes, the run's workspace.

#include <google/protobuf/struct.pb.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/status.h"
#include "caudal/v1/attempt.pb.h"
#include "caudal/v1/supervisor.pb.h"
#include "launcher/internal/places.h"
#include "launcher/launcher.h"

namespace caudal::launcher::internal {

/// What there is of it on this machine now. Values are read from the vault by each call.
struct Supplies {
  std::map<std::string, std::string> env;  ///< values of secrets and config maps: never written
  std::vector<std::map<std::string, std::string>> files;  ///< per `mounted_keys`: name → content
  std::set<int> absent_files;  ///< indexes of those that are optional and not there
  std::vector<std::string> notes;
};

/// The mounts of a sandboxed step, for all that the document names, there or not. Pure. Errors:
/// kInvalidArgument for a path that cannot be mounted on or a claim that is no name.
base::Result<std::vector<v1::Mount>> SurroundingMounts(const Layout& layout,
                                                       const v1::AttemptSpec& spec,
                                                       const Places& places);

/// Errors: kFailedPrecondition, for what is required and not there (naming it and the remedy), and
/// for what only a sandbox can show.
base::Result<Supplies> ReadSupplies(const Layout& layout, const v1::AttemptSpec& spec,
                                    const Places& places);

/// Makes the folders that `SurroundingMounts` names: files of keys, empty volumes, sub paths of
/// claims, the workspace. Errors: kFailedPrecondition when a sub path leads out of its claim;
/// by errno.
base::Status MakeSupplies(const Layout& layout, const v1::AttemptSpec& spec, const Places& places,
                          const Supplies& supplies);

/// Takes the mounts of absent optional keys out of `mounts`.
void DropAbsent(const Places& places, const Supplies& supplies, std::vector<v1::Mount>* mounts);

/// The run's workspace, and the note beside it that says whose it is.
base::Status MakeWorkspace(const Layout& layout, const std::string& run_id);

/// Opens folder `name` of `parent`, making it, for every step to write to, when it is missing. No
/// link is followed. `shown` is the tree's root in messages.
base::Result<base::UniqueFd> MakeFolder(int parent, const std::string& name,
                                        const std::string& shown);

/// "/kfp-workspace" in texts of `value`, at any depth, becomes `workspace`.
void MoveWorkspace(const std::string& workspace, google::protobuf::Value* value);

}  // namespace caudal::launcher::internal
