#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>

#include "base/file.h"
#include "base/uuid.h"
#include "launcher/internal/executor_input.h"
#include "launcher/internal/placeholders.h"
#include "launcher/internal/places.h"
#include "launcher/internal/surroundings.h"
#include "launcher/internal/tree.h"
#include "launcher/internal/uri.h"
#include "launcher/launcher.h"

namespace caudal::launcher {
namespace {

using base::FailedPrecondition;
using base::InvalidArgument;
using base::Result;
using base::Status;
using internal::Places;

/// An input artifact with stored bytes, and where the step looks for them.
struct Input {
  std::string name;
  std::string blob;
  std::string sdk_path;  // "/minio/bucket/key", without empty or "." parts
};

Status CheckOutputNames(const v1::AttemptSpec& spec) {
  const auto& outputs = spec.component().output_definitions();
  std::vector<std::string> names;
  for (const auto& [name, parameter] : outputs.parameters()) names.push_back(name);
  for (const auto& [name, artifact] : outputs.artifacts()) names.push_back(name);
  for (const std::string& name : names) {
    if (!internal::IsFileName(name) || name.starts_with('.')) {
      return InvalidArgument("output '" + name +
                             "' cannot be a file name; rename it in the component");
    }
  }
  return {};
}

Result<std::string> CleanSdkPath(const std::string& uri, const google::protobuf::Struct& metadata) {
  const auto parsed = internal::ParseStoreUri(uri);
  if (!parsed) return std::string();
  const auto key = parsed->KeyPath();
  if (!key) return InvalidArgument("artifact URI '" + uri + "' has a '..' part");
  const std::string clean = parsed->scheme + "://" + parsed->bucket + "/" + *key;
  return internal::SdkPath(clean, metadata);
}

/// Inputs that have bytes, each path once, outer directories first. What lies inside another
/// input's directory is already there.
Result<std::vector<Input>> StoredInputs(const v1::AttemptSpec& spec) {
  std::vector<Input> found;
  for (const auto& [name, list] : spec.artifacts()) {
    for (const v1::Artifact& artifact : list.artifacts()) {
      if (artifact.blob().empty()) continue;
      // Of what is in the workspace, older SDKs look for the path outside it.
      const bool is_there = spec.has_workspace() && internal::IsInWorkspace(artifact.metadata());
      auto path =
          CleanSdkPath(artifact.uri(), is_there ? google::protobuf::Struct() : artifact.metadata());
      if (!path.ok()) return Status(path.status()).With("input '" + name + "'");
      if (!path->empty()) found.push_back({name, artifact.blob(), *path});
    }
  }
  std::sort(found.begin(), found.end(),
            [](const Input& a, const Input& b) { return a.sdk_path < b.sdk_path; });
  std::vector<Input> inputs;
  for (Input& input : found) {
    const bool covered = std::any_of(inputs.begin(), inputs.end(), [&](const Input& outer) {
      return internal::IsWithin(input.sdk_path, outer.sdk_path);
    });
    if (!covered) inputs.push_back(std::move(input));
  }
  return inputs;
}

Result<std::string> TaskRootSdkPath(const v1::AttemptSpec& spec) {
  CAUDAL_ASSIGN(std::string path, CleanSdkPath(spec.task_root(), {}));
  if (!path.empty()) return path;
  return InvalidArgument("pipeline root of '" + spec.task_root() +
                         "' cannot be used; give one that starts with minio://, s3:// or gs://");
}

v1::Mount Bind(const std::string& source, const std::string& target, bool writable) {
  v1::Mount mount;
  mount.set_kind(v1::Mount::BIND);
  mount.set_source(source);
  mount.set_target(target);
  mount.set_writable(writable);
  return mount;
}

std::vector<v1::Mount> SandboxMounts(const Layout& layout, const Places& places,
                                     const std::vector<Input>& inputs,
                                     const std::string& task_root) {
  std::vector<v1::Mount> mounts;
  for (const Input& input : inputs) {
    mounts.push_back(Bind(layout.BlobPath(input.blob), input.sdk_path, false));
  }
  mounts.push_back(Bind(places.Outputs(), task_root, true));
  mounts.push_back(Bind(places.Temporary(), "/tmp", true));
  mounts.push_back(Bind(places.Parameters(), internal::kSandboxParameters, true));
  mounts.push_back(Bind(places.Home(), internal::kSandboxHome, true));
  return mounts;
}

std::map<std::string, std::string> MakeEnvironment(const v1::AttemptSpec& spec,
                                                   const Places& places) {
  std::map<std::string, std::string> env;
  const std::string number = std::to_string(spec.attempt_number());
  env["KFP_POD_NAME"] = spec.task_id() + "-" + number;
  const bool is_uuid = spec.task_id().size() == 36;
  env["KFP_POD_UID"] = is_uuid ? base::Uuid5(spec.task_id(), number) : env["KFP_POD_NAME"];
  if (spec.has_retry_policy()) env["KFP_RETRY_INDEX"] = std::to_string(spec.retry_index());
  if (places.sandbox) {
    env["HOME"] = internal::kSandboxHome;
  } else {
    env["HOME"] = places.Home();
    env["TMPDIR"] = places.Temporary();
    env["CAUDAL_MOUNT_ROOT"] = places.FakeRoot();
  }
  for (const auto& variable : spec.container().env()) env[variable.name()] = variable.value();
  for (const auto& [name, value] : spec.surroundings().env()) env[name] = value;
  return env;
}

Status CheckLiteralPaths(const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    for (const std::string_view directory :
         {"/minio", "/s3", "/gcs", "/tmp/kfp", internal::kWorkspacePath}) {
      const size_t at = internal::FindPath(word, directory);
      if (at == std::string_view::npos) continue;
      const size_t end = std::min(word.find_first_of(" \t\n\"'", at), word.size());
      return FailedPrecondition("the command names '" +
                                word.substr(at, std::min<size_t>(end - at, 200)) +
                                "', which does not exist in process isolation; use --isolation "
                                "sandbox, or a placeholder");
    }
  }
  return {};
}

Result<std::vector<std::string>> ResolveCommand(const v1::AttemptSpec& spec, const Places& places) {
  std::vector<std::string> words(spec.container().command().begin(),
                                 spec.container().command().end());
  words.insert(words.end(), spec.container().args().begin(), spec.container().args().end());
  if (!places.sandbox) CAUDAL_TRY(CheckLiteralPaths(words));
  auto placeholders = internal::Placeholders::Make(spec, places);
  std::vector<std::string> argv;
  for (const std::string& word : words) {
    CAUDAL_ASSIGN(std::vector<std::string> resolved, placeholders.Words(word));
    argv.insert(argv.end(), resolved.begin(), resolved.end());
  }
  for (const std::string& word : argv) {
    if (word.find('\0') != std::string::npos) {
      return InvalidArgument(
          "a word of the command has a NUL byte after its inputs are filled in: " +
          word.substr(0, 200));
    }
  }
  if (!argv.empty() && !argv[0].empty()) return argv;
  return FailedPrecondition(
      "container has no command; an image's own entry point is only known to container isolation");
}

Status CheckBlobs(const Layout& layout, const std::vector<Input>& inputs) {
  for (const Input& input : inputs) {
    if (base::PathExists(layout.BlobPath(input.blob))) continue;
    return base::NotFound("input '" + input.name + "': its stored file " +
                          layout.BlobPath(input.blob) +
                          " is gone; run the task that made it again, without cache");
  }
  return {};
}

Status MakeStepDir(const Layout& layout, const Places& places, const std::string& path,
                   mode_t mode) {
  CAUDAL_TRY(base::MakeDirs(path));
  if (chmod(path.c_str(), mode) != 0) return base::FromErrno(errno, "cannot set mode of " + path);
  const bool give_away = places.sandbox && layout.step_uid >= 0 && geteuid() == 0;
  if (!give_away) return {};
  const auto id = static_cast<uid_t>(layout.step_uid);
  if (chown(path.c_str(), id, id) != 0) {
    return base::FromErrno(errno, "cannot give " + path + " to the step's user");
  }
  return {};
}

Status MakeWorkDirs(const Layout& layout, const Places& places) {
  for (const std::string& path :
       {places.Outputs(), places.Parameters(), places.Temporary(), places.Home(), places.FakeRoot(),
        places.Publish(), places.Keys(), places.Empty()}) {
    CAUDAL_TRY(base::RemoveTree(path));
  }
  CAUDAL_TRY(MakeStepDir(layout, places, places.Outputs(), 0755));
  CAUDAL_TRY(MakeStepDir(layout, places, places.Parameters(), 0755));
  CAUDAL_TRY(MakeStepDir(layout, places, places.Home(), 0755));
  CAUDAL_TRY(MakeStepDir(layout, places, places.Temporary(), 01777));
  if (!places.sandbox) return {};
  // The parents of the mount point for parameters, so that they belong to the step.
  CAUDAL_TRY(MakeStepDir(layout, places, places.Temporary() + "/kfp", 0755));
  return MakeStepDir(layout, places, places.Temporary() + "/kfp/outputs", 0755);
}

/// Without a sandbox: a tree that looks like the step's root. Inputs are copies, for a step could
/// write to a link's target.
Status FillFakeRoot(const Layout& layout, const Places& places, const std::vector<Input>& inputs,
                    const std::string& task_root) {
  const std::string root = places.ForStep(task_root);
  CAUDAL_TRY(base::MakeDirs(std::filesystem::path(root).parent_path().string()));
  if (symlink(places.Outputs().c_str(), root.c_str()) != 0) {
    return base::FromErrno(errno, "cannot link " + root);
  }
  for (const Input& input : inputs) {
    const std::string target = places.ForStep(input.sdk_path);
    CAUDAL_TRY(base::MakeDirs(std::filesystem::path(target).parent_path().string()));
    CAUDAL_TRY(internal::CopyStored(layout.BlobPath(input.blob), target)
                   .With("cannot stage input '" + input.name + "'"));
  }
  if (places.workspace.empty()) return {};
  const std::string workspace = places.ForStep(internal::kWorkspacePath);
  if (symlink(places.workspace.c_str(), workspace.c_str()) != 0) {
    return base::FromErrno(errno, "cannot link " + workspace);
  }
  return {};
}

}  // namespace

Result<View> MakeView(const Layout& layout, const v1::AttemptSpec& spec, bool sandbox) {
  const Places places = internal::PlacesOf(layout, spec, sandbox);
  CAUDAL_TRY(CheckOutputNames(spec));
  CAUDAL_ASSIGN(const std::string task_root, TaskRootSdkPath(spec));
  CAUDAL_ASSIGN(const std::vector<Input> inputs, StoredInputs(spec));
  View view;
  view.sandbox = sandbox;
  view.outputs_host = places.Outputs();
  if (sandbox) view.mounts = SandboxMounts(layout, places, inputs, task_root);
  CAUDAL_ASSIGN(const std::vector<v1::Mount> more,
                internal::SurroundingMounts(layout, spec, places));
  view.mounts.insert(view.mounts.end(), more.begin(), more.end());
  // One that lies inside another comes after it.
  std::stable_sort(view.mounts.begin(), view.mounts.end(),
                   [](const v1::Mount& a, const v1::Mount& b) { return a.target() < b.target(); });
  view.env = MakeEnvironment(spec, places);
  view.working_directory = sandbox ? internal::kSandboxHome : places.Home();
  CAUDAL_ASSIGN(view.argv, ResolveCommand(spec, places));
  return view;
}

Result<View> Stage(const Layout& layout, const v1::AttemptSpec& spec, bool sandbox) {
  CAUDAL_ASSIGN(View view, MakeView(layout, spec, sandbox));
  const Places places = internal::PlacesOf(layout, spec, sandbox);
  CAUDAL_ASSIGN(const std::string task_root, TaskRootSdkPath(spec));
  CAUDAL_ASSIGN(const std::vector<Input> inputs, StoredInputs(spec));
  CAUDAL_TRY(CheckBlobs(layout, inputs));
  CAUDAL_ASSIGN(internal::Supplies supplies, internal::ReadSupplies(layout, spec, places));
  CAUDAL_TRY(MakeWorkDirs(layout, places));
  CAUDAL_TRY(internal::MakeSupplies(layout, spec, places, supplies));
  internal::DropAbsent(places, supplies, &view.mounts);
  view.private_env = std::move(supplies.env);
  view.notes = std::move(supplies.notes);
  if (!sandbox) CAUDAL_TRY(FillFakeRoot(layout, places, inputs, task_root));
  return view;
}

}  // namespace caudal::launcher
