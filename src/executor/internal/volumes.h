#pragma once

/// Volume claims: named local folders `<data dir>/volumes/<claim>` that outlive runs.

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "base/status.h"
#include "caudal/v1/attempt.pb.h"
#include "launcher/launcher.h"

namespace caudal::executor::internal {

/// Beside the folders lie `.claims/<claim>`, which says which attempt made it, and
/// `.removed/<attempt>`, what an attempt has taken away and whose space is not free yet: so that an
/// attempt that is done again after a crash finds its own work. Thread-safe.
class Volumes {
 public:
  explicit Volumes(launcher::Layout layout) : layout_(std::move(layout)) {}

  /// Makes the claim that a CREATE_VOLUME attempt asks for (execution.md 4.6) and returns its name;
  /// `notes` gets what is only taken note of. Errors: kInvalidArgument for bad inputs,
  /// kAlreadyExists; by errno.
  base::Result<std::string> Create(const v1::AttemptSpec& spec,
                                   std::vector<std::string>* notes) const;

  /// Takes away the claim that a DELETE_VOLUME attempt names. Errors: kInvalidArgument, kNotFound;
  /// by errno.
  base::Status Delete(const v1::AttemptSpec& spec) const;

  /// Frees the space of what attempts other than `current` have taken away.
  void FreeOthers(const std::set<int64_t>& current) const;
  void Free(int64_t attempt_key) const;

 private:
  std::string Directory() const { return layout_.data_dir + "/volumes"; }
  std::string Removed(int64_t key) const {
    return Directory() + "/.removed/" + std::to_string(key);
  }
  std::string Claim(const std::string& name) const { return Directory() + "/.claims/" + name; }

  launcher::Layout layout_;
};

}  // namespace caudal::executor::internal
