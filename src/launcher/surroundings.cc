#include "launcher/internal/surroundings.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <mutex>
#include <optional>
#include <utility>

#include "base/file.h"
#include "launcher/internal/uri.h"
#include "secrets/secrets.h"

namespace caudal::launcher::internal {
namespace {

using base::FailedPrecondition;
using base::InvalidArgument;
using base::Result;
using base::Status;
using base::UniqueFd;
using v1::Surroundings;

constexpr mode_t kShared = 0777;  // below the data directory, which is private

std::string Word(Surroundings::Source source) {
  return source == Surroundings::SECRET ? "secret" : "config map";
}

std::string SetCommand(Surroundings::Source source, const std::string& name,
                       const std::string& key) {
  const std::string verb = source == Surroundings::SECRET ? "secret" : "configmap";
  return "caudal " + verb + " set " + name + " " + (key.empty() ? "KEY" : key) + "=VALUE";
}

v1::Mount Bind(const std::string& source, const std::string& target, bool writable) {
  v1::Mount mount;
  mount.set_kind(v1::Mount::BIND);
  mount.set_source(source);
  mount.set_target(target);
  mount.set_writable(writable);
  return mount;
}

/// A mount path without "." parts and trailing slashes.
Result<std::string> MountPath(const std::string& path, const std::string& what) {
  const std::filesystem::path given(path);
  const bool climbs = std::find(given.begin(), given.end(), "..") != given.end();
  std::string clean = given.lexically_normal().string();
  while (clean.size() > 1 && clean.ends_with('/')) clean.pop_back();
  if (!clean.starts_with('/') || climbs || path.find('\0') != std::string::npos) {
    return InvalidArgument("mount path '" + path + "' of " + what +
                           " must be absolute and without '..'");
  }
  for (const std::string_view taken : {"/proc", "/sys", "/dev"}) {
    if (clean != "/" && !IsWithin(clean, taken)) continue;
    return InvalidArgument("mount path '" + path + "' of " + what +
                           " belongs to the system; choose one such as /mnt/data");
  }
  return clean;
}

std::string KeysDir(const Places& places, int index) {
  return places.Keys() + "/" + std::to_string(index);
}

std::string EmptyDir(const Places& places, int index) {
  return places.Empty() + "/" + std::to_string(index);
}

std::string VolumeWord(const Surroundings::MountedVolume& volume) {
  return volume.claim().empty() ? "an empty volume" : "volume claim '" + volume.claim() + "'";
}

/// The parts of a sub path; none for the claim itself.
Result<std::vector<std::string>> SubPath(const Surroundings::MountedVolume& volume) {
  std::vector<std::string> parts;
  const std::filesystem::path path(volume.sub_path());
  for (const std::filesystem::path& part : path) {
    if (part.empty() || part == ".") continue;
    const bool bad = path.is_absolute() || part == ".." || !IsFileName(part.string());
    if (bad) {
      return InvalidArgument("sub path '" + volume.sub_path() + "' of " + VolumeWord(volume) +
                             " must be relative and without '..'");
    }
    parts.push_back(part.string());
  }
  return parts;
}

Result<v1::Mount> VolumeMount(const Layout& layout, const Places& places, int index,
                              const Surroundings::MountedVolume& volume) {
  CAUDAL_ASSIGN(const std::string target, MountPath(volume.mount_path(), VolumeWord(volume)));
  if (!volume.claim().empty() && !secrets::IsName(volume.claim())) {
    return InvalidArgument("'" + volume.claim() + "' cannot be the name of a volume claim");
  }
  const std::string root =
      volume.claim().empty() ? EmptyDir(places, index) : layout.VolumeDir(volume.claim());
  CAUDAL_ASSIGN(const std::vector<std::string> parts, SubPath(volume));
  v1::Mount mount = Bind(root, target, true);
  if (parts.empty()) return mount;
  for (const std::string& part : parts) mount.mutable_source()->append("/" + part);
  mount.set_anchor(root);
  return mount;
}

class Reader {
 public:
  Reader(const Layout& layout, const v1::AttemptSpec& spec, const Places& places)
      : layout_(layout), vault_(layout.data_dir), spec_(spec), places_(places) {}

  Result<Supplies> Run() {
    const Surroundings& wanted = spec_.surroundings();
    for (const std::string& note : wanted.notes()) supplies_.notes.push_back(note);
    for (const auto& variable : wanted.env_from_keys()) CAUDAL_TRY(AddVariable(variable));
    for (const auto& keys : wanted.mounted_keys()) CAUDAL_TRY(AddFiles(keys));
    for (const auto& volume : wanted.mounted_volumes()) CAUDAL_TRY(CheckVolume(volume));
    return std::move(supplies_);
  }

 private:
  /// What a step is not given though it asks for it: a failure where the server is strict, else a
  /// note, since the secrets of a cluster are rarely on a laptop.
  Status Lack(const std::string& what) {
    if (layout_.require_secrets) return FailedPrecondition("the step needs " + what);
    supplies_.notes.push_back("goes without " + what);
    return {};
  }

  /// nullopt when there is none and it need not be.
  Result<std::optional<secrets::KeySet>> Read(Surroundings::Source source, const std::string& name,
                                              const std::string& key, bool optional) {
    const auto kind =
        source == Surroundings::SECRET ? secrets::Kind::kSecret : secrets::Kind::kConfigMap;
    auto set = vault_.Get(kind, name);
    if (set.ok()) return std::optional<secrets::KeySet>(*std::move(set));
    if (set.status().code() != base::Code::kNotFound) return set.status();
    if (optional) return std::optional<secrets::KeySet>();
    const std::string needed = key.empty() ? "" : "key '" + key + "' of ";
    CAUDAL_TRY(Lack(needed + Word(source) + " '" + name +
                    "', which does not exist; make it with: " + SetCommand(source, name, key)));
    return std::optional<secrets::KeySet>();
  }

  Status AddVariable(const Surroundings::EnvFromKey& wanted) {
    const std::string& variable = wanted.variable();
    const bool is_name = !variable.empty() && variable.find('=') == std::string::npos &&
                         variable.find('\0') == std::string::npos;
    if (!is_name) return InvalidArgument("'" + variable + "' cannot be the name of a variable");
    CAUDAL_ASSIGN(const auto set,
                  Read(wanted.source(), wanted.name(), wanted.key(), wanted.optional()));
    if (!set) return {};
    const auto value = set->values.find(wanted.key());
    const std::string what =
        "key '" + wanted.key() + "' of " + Word(wanted.source()) + " '" + wanted.name() + "'";
    if (value == set->values.end()) {
      if (wanted.optional()) return {};
      return Lack(what + ", which has no such key; add it with: " +
                  SetCommand(wanted.source(), wanted.name(), wanted.key()));
    }
    if (value->second.find('\0') != std::string::npos) {
      return FailedPrecondition(what +
                                " holds a NUL byte, which no variable can; mount it as a file");
    }
    supplies_.env[variable] = value->second;
    return {};
  }

  Status AddFiles(const Surroundings::MountedKeys& wanted) {
    supplies_.files.emplace_back();
    const std::string what = Word(wanted.source()) + " '" + wanted.name() + "'";
    if (!places_.sandbox) {
      if (!wanted.optional()) return NeedsSandbox(what, wanted.mount_path());
      supplies_.notes.push_back(what + " is not at '" + wanted.mount_path() +
                                "': that needs the sandbox");
      return {};
    }
    CAUDAL_ASSIGN(auto set, Read(wanted.source(), wanted.name(), "", wanted.optional()));
    if (set) supplies_.files.back() = std::move(set->values);
    if (!set) supplies_.absent_files.insert(static_cast<int>(supplies_.files.size()) - 1);
    return {};
  }

  Status CheckVolume(const Surroundings::MountedVolume& volume) const {
    if (!places_.sandbox) return NeedsSandbox(VolumeWord(volume), volume.mount_path());
    if (volume.claim().empty() || base::PathExists(layout_.VolumeDir(volume.claim()))) return {};
    return FailedPrecondition(
        VolumeWord(volume) +
        " does not exist on this server; make it with a CreatePVC task, or as "
        "the folder " +
        layout_.VolumeDir(volume.claim()));
  }

  static Status NeedsSandbox(const std::string& what, const std::string& path) {
    return FailedPrecondition(what + " cannot be shown at '" + path +
                              "' in process isolation; use --isolation sandbox");
  }

  const Layout& layout_;
  const secrets::Vault vault_;
  const v1::AttemptSpec& spec_;
  const Places& places_;
  Supplies supplies_;
};

Status GiveToStep(const Layout& layout, const Places& places, const std::string& path) {
  if (!places.sandbox || layout.step_uid < 0 || geteuid() != 0) return {};
  const auto id = static_cast<uid_t>(layout.step_uid);
  if (lchown(path.c_str(), id, id) == 0) return {};
  return base::FromErrno(errno, "cannot give " + path + " to the step's user");
}

Status SetMode(const std::string& path, mode_t mode) {
  if (chmod(path.c_str(), mode) == 0) return {};
  return base::FromErrno(errno, "cannot set mode of " + path);
}

Status MakeSharedDir(const std::string& path) {
  CAUDAL_TRY(base::MakeDirs(path));
  return SetMode(path, kShared);
}

Status MakeKeyFiles(const Layout& layout, const Places& places, int index,
                    const std::map<std::string, std::string>& files) {
  const std::string directory = KeysDir(places, index);
  CAUDAL_TRY(base::MakeDirs(directory));
  for (const auto& [name, content] : files) {
    const std::string path = directory + "/" + name;
    CAUDAL_TRY(base::WriteFileAtomic(path, content, 0400));
    CAUDAL_TRY(GiveToStep(layout, places, path));
  }
  CAUDAL_TRY(SetMode(directory, 0500));
  return GiveToStep(layout, places, directory);
}

/// Makes the folders of a sub path, one below the other: a step may have put links there.
Status MakeSubPath(const std::string& root, const Surroundings::MountedVolume& volume) {
  CAUDAL_ASSIGN(const std::vector<std::string> parts, SubPath(volume));
  UniqueFd parent(open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!parent.valid()) return base::FromErrno(errno, "cannot open " + root);
  for (const std::string& part : parts) {
    auto child = MakeFolder(parent.get(), part, root);
    if (!child.ok()) {
      return Status(child.status())
          .With("sub path '" + volume.sub_path() + "' of " + VolumeWord(volume));
    }
    parent = std::move(child).value();
  }
  return {};
}

}  // namespace

Status MakeWorkspace(const Layout& layout, const std::string& run_id) {
  const std::string directory = layout.WorkspaceDir(run_id);
  const std::string note = std::filesystem::path(directory).parent_path().string() + "/run_id";
  // The first steps of a run may come at the same time.
  static std::mutex mutex;
  const std::lock_guard<std::mutex> lock(mutex);
  if (base::PathExists(directory) && base::PathExists(note)) return {};
  CAUDAL_TRY(MakeSharedDir(directory));
  return base::WriteFileAtomic(note, run_id);
}

Result<UniqueFd> MakeFolder(int parent, const std::string& name, const std::string& shown) {
  const bool made = mkdirat(parent, name.c_str(), kShared) == 0;
  if (!made && errno != EEXIST)
    return base::FromErrno(errno, "cannot make '" + name + "' in " + shown);
  open_how how{};
  how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  UniqueFd folder(static_cast<int>(syscall(SYS_openat2, parent, name.c_str(), &how, sizeof how)));
  if (!folder.valid()) {
    return FailedPrecondition("'" + name + "' in " + shown +
                              " is no folder; remove what is in its place");
  }
  if (made) CAUDAL_TRY(SetMode("/proc/self/fd/" + std::to_string(folder.get()), kShared));
  return folder;
}

Result<std::vector<v1::Mount>> SurroundingMounts(const Layout& layout, const v1::AttemptSpec& spec,
                                                 const Places& places) {
  std::vector<v1::Mount> mounts;
  if (!places.sandbox) return mounts;
  if (spec.has_workspace()) {
    mounts.push_back(Bind(layout.WorkspaceDir(spec.run_id()), kWorkspacePath, true));
  }
  int index = 0;
  for (const auto& keys : spec.surroundings().mounted_keys()) {
    CAUDAL_ASSIGN(const std::string target,
                  MountPath(keys.mount_path(), Word(keys.source()) + " '" + keys.name() + "'"));
    mounts.push_back(Bind(KeysDir(places, index++), target, false));
  }
  index = 0;
  for (const auto& volume : spec.surroundings().mounted_volumes()) {
    CAUDAL_ASSIGN(v1::Mount mount, VolumeMount(layout, places, index++, volume));
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

Result<Supplies> ReadSupplies(const Layout& layout, const v1::AttemptSpec& spec,
                              const Places& places) {
  return Reader(layout, spec, places).Run();
}

Status MakeSupplies(const Layout& layout, const v1::AttemptSpec& spec, const Places& places,
                    const Supplies& supplies) {
  if (spec.has_workspace()) CAUDAL_TRY(MakeWorkspace(layout, spec.run_id()));
  if (!places.sandbox) return {};
  for (size_t i = 0; i < supplies.files.size(); ++i) {
    const int index = static_cast<int>(i);
    if (supplies.absent_files.count(index) > 0) continue;
    CAUDAL_TRY(MakeKeyFiles(layout, places, index, supplies.files[i]));
  }
  int index = 0;
  for (const auto& volume : spec.surroundings().mounted_volumes()) {
    const std::string root =
        volume.claim().empty() ? EmptyDir(places, index) : layout.VolumeDir(volume.claim());
    ++index;
    if (volume.claim().empty()) CAUDAL_TRY(MakeSharedDir(root));
    CAUDAL_TRY(MakeSubPath(root, volume));
  }
  return {};
}

void DropAbsent(const Places& places, const Supplies& supplies, std::vector<v1::Mount>* mounts) {
  for (const int index : supplies.absent_files) {
    std::erase_if(*mounts, [source = KeysDir(places, index)](const v1::Mount& mount) {
      return mount.source() == source;
    });
  }
}

void MoveWorkspace(const std::string& workspace, google::protobuf::Value* value) {
  if (value->has_string_value()) {
    std::string* text = value->mutable_string_value();
    for (size_t at = FindPath(*text, kWorkspacePath); at != std::string::npos;
         at = FindPath(*text, kWorkspacePath, at + workspace.size())) {
      text->replace(at, std::string_view(kWorkspacePath).size(), workspace);
    }
  } else if (value->has_list_value()) {
    for (auto& item : *value->mutable_list_value()->mutable_values())
      MoveWorkspace(workspace, &item);
  } else if (value->has_struct_value()) {
    for (auto& [name, item] : *value->mutable_struct_value()->mutable_fields()) {
      MoveWorkspace(workspace, &item);
    }
  }
}

}  // namespace caudal::launcher::internal
