#pragma once

/// Turns a step's outputs into one immutable tree `objects/<xx>/<key>`, all at once.

#include <string>
#include <vector>

#include "base/status.h"
#include "caudal/v1/attempt.pb.h"
#include "launcher/internal/tree.h"
#include "launcher/launcher.h"

namespace caudal::launcher::internal {

/// One artifact with bytes to publish.
struct Publication {
  std::string name;   ///< its name in the published tree; unique
  Place source;       ///< where the step left it
  bool copy = false;  ///< the source is not the attempt's alone, or is needed by another one too
  std::string uri;    ///< of the object store
};

/// What became of it.
struct Published {
  bool exists = false;  ///< false: the step wrote nothing there
  bool is_directory = false;
  std::string blob;        ///< below objects/
  int64_t size_bytes = 0;  ///< of all its files
  std::vector<v1::StoredObject> objects;
};

/// Publishes all or nothing; the results stand in the order of `wanted`. After a crash the same
/// call ends what was begun. Errors: kInvalidArgument for outputs that cannot be published,
/// kResourceExhausted when the disk is full; then nothing is published, and the sources are where
/// they were.
base::Result<std::vector<Published>> Publish(const Layout& layout, int64_t attempt_key,
                                             const std::string& draft,
                                             const std::vector<Publication>& wanted,
                                             const ToHost& to_host);

}  // namespace caudal::launcher::internal
