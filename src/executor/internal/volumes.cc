#include "executor/internal/volumes.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <mutex>
#include <string_view>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "base/quantity.h"
#include "base/uuid.h"
#include "secrets/secrets.h"

namespace caudal::executor::internal {
namespace {

using base::InvalidArgument;
using base::Result;
using base::Status;
using google::protobuf::Value;

constexpr std::array<std::string_view, 4> kAccessModes = {"ReadWriteOnce", "ReadOnlyMany",
                                                          "ReadWriteMany", "ReadWriteOncePod"};

/// The value given, or the component's default; a null counts as none.
const Value* Find(const v1::AttemptSpec& spec, const std::string& name) {
  const auto given = spec.parameters().find(name);
  if (given != spec.parameters().end() && !given->second.has_null_value()) return &given->second;
  const auto& declared = spec.component().input_definitions().parameters();
  const auto definition = declared.find(name);
  if (definition == declared.end() || !definition->second.has_default_value()) return nullptr;
  const Value& value = definition->second.default_value();
  return value.has_null_value() ? nullptr : &value;
}

Result<std::string> Text(const v1::AttemptSpec& spec, const std::string& name) {
  const Value* value = Find(spec, name);
  if (value == nullptr) return std::string();
  if (value->has_string_value()) return value->string_value();
  return InvalidArgument("input '" + name + "' must be a text");
}

Result<std::string> AccessModes(const v1::AttemptSpec& spec) {
  const Value* modes = Find(spec, "access_modes");
  if (modes == nullptr || modes->list_value().values().empty()) {
    return InvalidArgument("input 'access_modes' must be a list such as [\"ReadWriteOnce\"]");
  }
  std::string text;
  for (const Value& mode : modes->list_value().values()) {
    const std::string& name = mode.string_value();
    if (std::find(kAccessModes.begin(), kAccessModes.end(), name) == kAccessModes.end()) {
      return InvalidArgument("access mode '" + name +
                             "' does not exist: choose ReadWriteOnce, ReadOnlyMany, ReadWriteMany "
                             "or ReadWriteOncePod");
    }
    text += (text.empty() ? "" : ", ") + name;
  }
  return text;
}

/// The same whenever the same attempt asks.
std::string GeneratedName(const v1::AttemptSpec& spec) {
  constexpr std::string_view kNamespace = "7f0b3d5e-6c1a-4e5b-9d3f-2a8c4b6e1d90";
  return base::Uuid5(kNamespace, spec.run_id() + " " + std::to_string(spec.attempt_key()));
}

Result<std::string> NewName(const v1::AttemptSpec& spec) {
  CAUDAL_ASSIGN(const std::string exact, Text(spec, "pvc_name"));
  CAUDAL_ASSIGN(const std::string suffix, Text(spec, "pvc_name_suffix"));
  if (!exact.empty() && !suffix.empty()) {
    return InvalidArgument("inputs 'pvc_name' ('" + exact + "') and 'pvc_name_suffix' ('" + suffix +
                           "') exclude each other; give one of them");
  }
  const std::string name = exact.empty() ? GeneratedName(spec) + suffix : exact;
  if (secrets::IsName(name)) return name;
  return InvalidArgument("'" + name +
                         "' cannot be the name of a volume claim: use lower-case letters, digits, "
                         "'-' and '.'");
}

Result<std::vector<std::string>> Notes(const v1::AttemptSpec& spec) {
  CAUDAL_ASSIGN(const std::string size, Text(spec, "size"));
  if (!base::ParseQuantity(size, 1)) {
    return InvalidArgument("size '" + size + "' is no quantity; write for example \"5Gi\"");
  }
  CAUDAL_ASSIGN(const std::string modes, AccessModes(spec));
  std::vector<std::string> notes = {"the volume is a local folder: size " + size +
                                    " and access modes " + modes + " are not enforced"};
  CAUDAL_ASSIGN(const std::string storage_class, Text(spec, "storage_class_name"));
  if (!storage_class.empty()) {
    notes.push_back("storage class '" + storage_class + "' means nothing here");
  }
  CAUDAL_ASSIGN(const std::string volume, Text(spec, "volume_name"));
  if (!volume.empty()) notes.push_back("persistent volume '" + volume + "' means nothing here");
  for (const char* name : {"annotations", "data_source"}) {
    const Value* value = Find(spec, name);
    if (value != nullptr && !value->struct_value().fields().empty()) {
      notes.push_back("'" + std::string(name) + "' means nothing here");
    }
  }
  return notes;
}

std::mutex& ClaimMutex() {
  static std::mutex mutex;
  return mutex;
}

}  // namespace

Result<std::string> Volumes::Create(const v1::AttemptSpec& spec,
                                    std::vector<std::string>* notes) const {
  CAUDAL_ASSIGN(const std::string name, NewName(spec));
  CAUDAL_ASSIGN(*notes, Notes(spec));
  const std::lock_guard<std::mutex> lock(ClaimMutex());
  const std::string path = layout_.VolumeDir(name);
  const std::string maker = spec.token() + " " + std::to_string(spec.attempt_key());
  const auto known = base::ReadFile(Claim(name));
  const bool is_ours = known.ok() && *known == maker;
  if (!is_ours && base::PathExists(path)) {
    return base::AlreadyExists("volume claim '" + name +
                               "' exists already; delete it first, or let the name be generated "
                               "with pvc_name_suffix");
  }
  CAUDAL_TRY(base::MakeDirs(Directory() + "/.claims"));
  CAUDAL_TRY(base::WriteFileAtomic(Claim(name), maker));
  CAUDAL_TRY(base::MakeDirs(path));
  // For every step, whoever it runs as; the data directory above is private.
  if (chmod(path.c_str(), 0777) != 0) return base::FromErrno(errno, "cannot set mode of " + path);
  CAUDAL_TRY(base::SyncDir(Directory()));
  return name;
}

Status Volumes::Delete(const v1::AttemptSpec& spec) const {
  CAUDAL_ASSIGN(const std::string name, Text(spec, "pvc_name"));
  if (!secrets::IsName(name)) {
    return InvalidArgument("input 'pvc_name' ('" + name + "') is not the name of a volume claim");
  }
  const std::lock_guard<std::mutex> lock(ClaimMutex());
  if (base::PathExists(Removed(spec.attempt_key()))) return {};
  if (!base::PathExists(layout_.VolumeDir(name))) {
    return base::NotFound("volume claim '" + name + "' does not exist on this server");
  }
  CAUDAL_TRY(base::MakeDirs(Directory() + "/.removed"));
  CAUDAL_TRY(base::RenameDurably(layout_.VolumeDir(name), Removed(spec.attempt_key())));
  unlink(Claim(name).c_str());
  return {};
}

void Volumes::FreeOthers(const std::set<int64_t>& current) const {
  const auto names = base::ListDir(Directory() + "/.removed");
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    int64_t key = 0;
    std::from_chars(name.data(), name.data() + name.size(), key);
    if (current.count(key) == 0) Free(key);
  }
}

void Volumes::Free(int64_t attempt_key) const {
  const Status removed = base::RemoveTree(Removed(attempt_key));
  if (!removed.ok()) base::LogWarning("a deleted volume stays behind: " + removed.message());
}

}  // namespace caudal::executor::internal
