#include <cstdio>

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

namespace internal {

Places PlacesOf(const Layout& layout, const v1::AttemptSpec& spec, bool sandbox) {
  return Places{sandbox, layout.WorkDir(spec.attempt_key())};
}

}  // namespace internal
}  // namespace caudal::launcher
