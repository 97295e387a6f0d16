#pragma once

/// Where the files of one attempt are, as the host and as the step names them.

#include <string>

#include "caudal/v1/attempt.pb.h"
#include "launcher/launcher.h"

namespace caudal::launcher::internal {

inline constexpr char kOutputFileName[] = "output_metadata.json";
inline constexpr char kSandboxHome[] = "/home/step";
inline constexpr char kSandboxParameters[] = "/tmp/kfp/outputs";

struct Places {
  bool sandbox = false;
  std::string work;  ///< host: work/<key>
  /// Host directory that stands for /kfp-workspace where the step cannot be given that; else empty.
  std::string workspace{};

  std::string Outputs() const { return work + "/outputs"; }
  std::string Parameters() const { return work + "/params"; }
  std::string Temporary() const { return work + "/tmp"; }
  std::string Home() const { return work + "/home"; }
  std::string Publish() const { return work + "/publish"; }
  std::string Keys() const { return work + "/keys"; }    ///< files of secrets and config maps
  std::string Empty() const { return work + "/empty"; }  ///< volumes of this attempt alone
  /// Host directory that stands for "/" where the step cannot be given its own: /minio and the like
  /// lie below it. Only without a sandbox.
  std::string FakeRoot() const { return work + "/fs"; }

  /// `sdk_path` ("/minio/bucket/key") as the step must name it.
  std::string ForStep(const std::string& sdk_path) const {
    return sandbox || sdk_path.empty() ? sdk_path : FakeRoot() + sdk_path;
  }
  std::string ParameterForStep(const std::string& name) const {
    return (sandbox ? kSandboxParameters : Parameters()) + ("/" + name);
  }
};

Places PlacesOf(const Layout& layout, const v1::AttemptSpec& spec, bool sandbox);

}  // namespace caudal::launcher::internal
