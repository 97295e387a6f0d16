#pragma once

/// Who may do what: the one function that says yes.

#include <string>

#include "base/status.h"

namespace caudal::auth {

enum class Verb { kCreate, kGet, kList, kUpdate, kDelete, kArchive, kTerminate, kRetry, kReadLog };
enum class Resource {
  kExperiment,
  kPipeline,
  kPipelineVersion,
  kRun,
  kEnvironment,
  kCode,
  kCacheEntry,
  kSecret,
  kConfigMap,
  kServer
};

/// Who is asking. In single-user mode there is one principal, `LocalUser()`, and it is asked like
/// any other.
struct Principal {
  std::string name;
  bool is_local_user = false;
};

Principal LocalUser();

/// What a method needs: declared with the method, checked on the owning object.
struct Permission {
  Verb verb = Verb::kGet;
  Resource resource = Resource::kServer;
};

/// Says whether `principal` may do `permission` on an object of `owner` in `name_space` ('' in
/// single-user mode). Errors: kPermissionDenied naming all five.
base::Status Authorize(const Principal& principal, const Permission& permission,
                       const std::string& name_space, const std::string& owner);

}  // namespace caudal::auth
