#include <algorithm>
#include <cstdio>

#include "base/sha256.h"
#include "launcher/internal/places.h"
#include "launcher/launcher.h"

namespace caudal::launcher {

std::string Layout::WorkDir(int64_t attempt_key) const {
  return data_dir + "/work/" + std::to_string(attempt_key);
}

std::string Layout::BlobDir(int64_t attempt_key) const {
  char shelf[8];
  std::snprintf(shelf, sizeof shelf, "%02x", static_cast<unsigned>(attempt_key & 0xff));
  return data_dir + "/objects/" + shelf + "/" + std::to_string(attempt_key);
}

std::string Layout::BlobPath(const std::string& blob) const {
  return data_dir + "/objects/" + blob;
}

std::string Layout::VolumeDir(const std::string& claim) const {
  return data_dir + "/volumes/" + claim;
}

std::string Layout::WorkspaceDir(const std::string& run_id) const {
  const bool is_name = !run_id.empty() && run_id.size() <= 64 &&
                       std::all_of(run_id.begin(), run_id.end(), [](char c) {
                         return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
                       });
  return data_dir + "/workspaces/" + (is_name ? run_id : "sha256-" + base::Sha256Hex(run_id)) +
         "/files";
}

namespace internal {

Places PlacesOf(const Layout& layout, const v1::AttemptSpec& spec, bool sandbox) {
  Places places{sandbox, layout.WorkDir(spec.attempt_key())};
  if (!sandbox && spec.has_workspace()) places.workspace = layout.WorkspaceDir(spec.run_id());
  return places;
}

}  // namespace internal
}  // namespace caudal::launcher
