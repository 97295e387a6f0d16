#pragma once

/// Secrets and config maps: named sets of keys and values on this machine, which steps get as
/// environment variables and files.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace caudal::secrets {

enum class Kind { kSecret, kConfigMap };

struct KeySet {
  std::string name;
  std::map<std::string, std::string> values;  ///< bytes
  int64_t updated_at = 0;                     ///< microseconds since 1970
};

/// Whether Kubernetes would take it as the name of a secret, config map or volume claim.
bool IsName(std::string_view name);

/// One file per set below `<data dir>/secrets` and `<data dir>/configmaps`, mode 0600 in folders of
/// mode 0700, replaced by write, fsync, rename. Nothing is kept in memory. Thread-safe, also
/// between processes as far as a rename is.
///
/// Names follow Kubernetes: lower-case DNS labels up to 253 characters; keys of letters, digits,
/// '-', '_', '.', up to 253; a set holds at most 1 MiB. Errors everywhere: kInvalidArgument for
/// such a name, key or size; kNotFound naming kind and name; those of the disk. No error message
/// holds a value.
class Vault {
 public:
  explicit Vault(std::string data_dir) : data_dir_(std::move(data_dir)) {}

  /// Lays `values` over those it has (or, with `replace`, sets exactly them).
  base::Result<KeySet> Set(Kind kind, const std::string& name,
                           const std::map<std::string, std::string>& values, bool replace,
                           int64_t now_micros);
  base::Result<KeySet> Get(Kind kind, const std::string& name) const;
  base::Result<std::vector<KeySet>> List(Kind kind) const;  ///< by name
  base::Status Delete(Kind kind, const std::string& name);

 private:
  std::string data_dir_;
};

}  // namespace caudal::secrets
