#pragma once

/// What stands behind an image on this machine: part of the key of cached outputs.

#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "caudal/v1/attempt.pb.h"
#include "pyenv/pyenv.h"

namespace caudal::executor::internal {

/// Thread-safe. What only depends on the component is worked out once.
class Realms {
 public:
  Realms(std::string data_dir, pyenv::Environments& environments)
      : data_dir_(std::move(data_dir)), environments_(environments) {}

  /// "env <key>", "python <version> <path>" or "host"; then " code <digest>" of each folder of
  /// code, and " env <digest>" of the run's own variables.
  std::string Of(const v1::AttemptSpec& spec);

 private:
  std::string PythonOf(const v1::AttemptSpec& spec);

  const std::string data_dir_;
  pyenv::Environments& environments_;
  std::mutex mutex_;
  std::map<std::string, std::string> known_;  // by what PythonOf depends on
};

}  // namespace caudal::executor::internal
