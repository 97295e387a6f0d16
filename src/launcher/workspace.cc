#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string_view>

#include "base/file.h"
#include "launcher/internal/surroundings.h"
#include "launcher/internal/tree.h"
#include "launcher/internal/uri.h"
#include "launcher/launcher.h"

namespace caudal::launcher {
namespace {

using base::InvalidArgument;
using base::Result;
using base::Status;
using base::UniqueFd;

/// Folders and, last, the name of an artifact below the workspace.
Result<std::vector<std::string>> PartsOf(const std::string& uri) {
  const std::string path =
      internal::WorkspacePathOf(uri).substr(std::string_view(internal::kWorkspacePath).size());
  std::vector<std::string> parts;
  for (const std::filesystem::path& part : std::filesystem::path(path)) {
    if (part.empty() || part == "." || part == "/") continue;
    if (!internal::IsFileName(part.string())) {
      return InvalidArgument("URI '" + uri + "' has a part that cannot be a file name");
    }
    parts.push_back(part.string());
  }
  if (parts.size() < 2) return InvalidArgument("URI '" + uri + "' names no file or folder");
  return parts;
}

/// Opens the folders one below the other, making those that are missing. Steps write to the
/// workspace: no link is followed.
Result<UniqueFd> MakeFolders(const std::string& root, const std::vector<std::string>& parts) {
  UniqueFd folder(open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid()) return base::FromErrno(errno, "cannot open " + root);
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    CAUDAL_ASSIGN(folder, internal::MakeFolder(folder.get(), parts[i], root));
  }
  return folder;
}

/// Puts `draft` where the artifact belongs, in place of what may be there.
Status Place(const std::string& draft, const UniqueFd& folder, const std::string& name) {
  const auto rename = [&](unsigned flags) {
    return renameat2(AT_FDCWD, draft.c_str(), folder.get(), name.c_str(), flags) == 0;
  };
  if (rename(RENAME_NOREPLACE)) return {};
  if (errno == EEXIST && rename(RENAME_EXCHANGE)) return base::RemoveTree(draft);
  return base::FromErrno(errno, "cannot put '" + name + "' into the workspace");
}

/// Makes a copy of a published file, which is read-only, one that steps may write to.
Status Share(const std::string& path) {
  std::error_code error;
  const auto share = [](const std::filesystem::path& one, bool is_directory) {
    return chmod(one.c_str(), is_directory ? 0777 : 0666) == 0
               ? Status()
               : base::FromErrno(errno, "cannot set mode of " + one.string());
  };
  if (!std::filesystem::is_directory(path, error)) return share(path, false);
  CAUDAL_TRY(share(path, true));
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path, error)) {
    CAUDAL_TRY(share(entry.path(), entry.is_directory()));
  }
  return error ? base::Internal("cannot list " + path) : Status();
}

}  // namespace

Result<std::string> LocalSource(const Layout& layout, const v1::Artifact& artifact) {
  if (!artifact.blob().empty()) return layout.BlobPath(artifact.blob());
  const std::string& uri = artifact.uri();
  constexpr std::string_view kFile = "file://";
  if (uri.starts_with("/")) return uri;
  if (uri.starts_with(std::string(kFile) + "/")) return uri.substr(kFile.size());
  if (uri.starts_with("minio://")) {
    return base::NotFound("nothing is stored on this server under '" + uri +
                          "'; give the URI of an artifact of a run, or a local path");
  }
  return base::FailedPrecondition("'" + uri.substr(0, uri.find("://")) +
                                  "' storage cannot be read by this server, so '" + uri +
                                  "' cannot be brought into the workspace; let a step fetch it, "
                                  "or import it without downloading");
}

Result<v1::Artifact> BringIntoWorkspace(const Layout& layout, const v1::AttemptSpec& spec,
                                        const v1::Artifact& artifact, const std::string& source) {
  if (!spec.has_workspace()) {
    return base::FailedPrecondition(
        "the pipeline has no workspace to download to; give it one with "
        "PipelineConfig(workspace=WorkspaceConfig(size=...))");
  }
  CAUDAL_ASSIGN(const std::vector<std::string> parts, PartsOf(artifact.uri()));
  if (!base::PathExists(source)) {
    return base::NotFound("'" + source + "' does not exist on this server");
  }
  CAUDAL_TRY(internal::MakeWorkspace(layout, spec.run_id()));
  const std::string root = layout.WorkspaceDir(spec.run_id());
  // Beside what steps see, and on the same file system.
  const std::string draft = std::filesystem::path(root).parent_path().string() + "/import-" +
                            std::to_string(spec.attempt_key());
  CAUDAL_TRY(base::RemoveTree(draft));
  CAUDAL_TRY(internal::CopyStored(source, draft).With("cannot copy '" + artifact.uri() + "'"));
  CAUDAL_TRY(Share(draft));
  CAUDAL_ASSIGN(const UniqueFd folder, MakeFolders(root, parts));
  CAUDAL_TRY(Place(draft, folder, parts.back()));
  v1::Artifact brought = artifact;
  (*brought.mutable_metadata()->mutable_fields())[internal::kWorkspaceMark].set_bool_value(true);
  return brought;
}

}  // namespace caudal::launcher
