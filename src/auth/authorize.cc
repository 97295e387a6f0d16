#include "auth/authorize.h"

#include <string_view>

namespace caudal::auth {
namespace {

std::string_view Name(Verb verb) {
  switch (verb) {
    case Verb::kCreate:
      return "create";
    case Verb::kGet:
      return "get";
    case Verb::kList:
      return "list";
    case Verb::kUpdate:
      return "update";
    case Verb::kDelete:
      return "delete";
    case Verb::kArchive:
      return "archive";
    case Verb::kTerminate:
      return "terminate";
    case Verb::kRetry:
      return "retry";
    case Verb::kReadLog:
      return "read the log of";
  }
  return "use";
}

std::string_view Name(Resource resource) {
  switch (resource) {
    case Resource::kExperiment:
      return "experiment";
    case Resource::kPipeline:
      return "pipeline";
    case Resource::kPipelineVersion:
      return "pipeline version";
    case Resource::kRun:
      return "run";
    case Resource::kCode:
      return "snapshot of code";
    case Resource::kEnvironment:
      return "Python environment";
    case Resource::kCacheEntry:
      return "cache entry";
    case Resource::kSecret:
      return "secret";
    case Resource::kConfigMap:
      return "config map";
    case Resource::kServer:
      return "server";
  }
  return "object";
}

}  // namespace

Principal LocalUser() { return {"local", true}; }

base::Status Authorize(const Principal& principal, const Permission& permission,
                       const std::string& name_space, const std::string& owner) {
  // Single-user mode: the local user owns everything in the one namespace ''.
  if (principal.is_local_user && name_space.empty()) return {};
  std::string message = "'" + principal.name + "' may not ";
  message += Name(permission.verb);
  message += " a ";
  message += Name(permission.resource);
  message += " of '" + owner + "' in namespace '" + name_space + "'";
  return base::Status(base::Code::kPermissionDenied, std::move(message));
}

}  // namespace caudal::auth
