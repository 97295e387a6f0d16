#include <algorithm>

#include "pyenv/pyenv.h"
#include "service/service.h"

namespace caudal::service {
namespace {

using auth::Resource;
using auth::Verb;
using base::Result;
using base::Status;

v1::PythonEnvironment ToProto(const pyenv::Record& record, bool with_lock) {
  v1::PythonEnvironment environment;
  environment.set_id(record.id());
  environment.set_key(record.key);
  environment.set_build(record.build);
  environment.set_interpreter(record.interpreter.path);
  environment.set_python_version(record.interpreter.version);
  for (std::string& word : pyenv::Requirements(record)) {
    environment.add_requirements(std::move(word));
  }
  environment.set_created_at(record.created_at);
  environment.set_last_used_at(record.last_used_at);
  environment.set_size_bytes(record.size_bytes);
  if (with_lock) environment.set_lock(record.lock);
  environment.set_is_removed(record.is_removed);
  environment.set_path(record.path);
  environment.set_installer(record.installer);
  return environment;
}

/// Environments belong to the server: steps of all namespaces share them.
Status Allow(const Caller& caller, Verb verb) {
  return auth::Authorize(caller.principal, {verb, Resource::kEnvironment}, "", "");
}

Status CheckPresent(const pyenv::Environments* environments) {
  if (environments != nullptr) return {};
  return base::Unimplemented("this server builds no Python environments");
}

}  // namespace

Result<v1::ListEnvironmentsResponse> Service::ListEnvironments(const Caller& caller,
                                                               const v1::ListEnvironmentsRequest&) {
  CAUDAL_TRY(Allow(caller, Verb::kList));
  CAUDAL_TRY(CheckPresent(options_.environments));
  v1::ListEnvironmentsResponse response;
  for (const pyenv::Record& record : options_.environments->List()) {
    *response.add_environments() = ToProto(record, false);
  }
  return response;
}

Result<v1::PythonEnvironment> Service::GetEnvironment(const Caller& caller,
                                                      const v1::GetEnvironmentRequest& request) {
  CAUDAL_TRY(Allow(caller, Verb::kGet));
  CAUDAL_TRY(CheckPresent(options_.environments));
  CAUDAL_ASSIGN(const pyenv::Record record, options_.environments->Inspect(request.id()));
  return ToProto(record, true);
}

Result<v1::PruneEnvironmentsResponse> Service::PruneEnvironments(
    const Caller& caller, const v1::PruneEnvironmentsRequest& request) {
  CAUDAL_TRY(Allow(caller, Verb::kDelete));
  CAUDAL_TRY(CheckPresent(options_.environments));
  if (request.unused_for_seconds() < 0) {
    return base::InvalidArgument("unused_for_seconds " +
                                 std::to_string(request.unused_for_seconds()) +
                                 " is negative; use 0 for all that are not in use");
  }
  constexpr int64_t kLongest = 100LL * 365 * 24 * 3600;
  const std::chrono::seconds unused_for(std::min(request.unused_for_seconds(), kLongest));
  CAUDAL_ASSIGN(const auto pruned, options_.environments->Prune(unused_for, request.dry_run()));
  v1::PruneEnvironmentsResponse response;
  for (const pyenv::Record& record : pruned.removed) {
    *response.add_removed() = ToProto(record, false);
  }
  response.set_freed_bytes(pruned.freed_bytes);
  return response;
}

Result<v1::PythonEnvironment> Service::RefreshEnvironment(
    const Caller& caller, const v1::RefreshEnvironmentRequest& request) {
  CAUDAL_TRY(Allow(caller, Verb::kUpdate));
  CAUDAL_TRY(CheckPresent(options_.environments));
  CAUDAL_ASSIGN(const pyenv::Record record, options_.environments->Refresh(request.id(), {}));
  return ToProto(record, true);
}

std::vector<v1::PythonEnvironment> Service::DescribeEnvironments(
    const std::set<std::string>& ids) const {
  std::vector<v1::PythonEnvironment> described;
  for (const std::string& id : ids) {
    const Result<pyenv::Record> record = options_.environments == nullptr
                                             ? Result<pyenv::Record>(base::NotFound(id))
                                             : options_.environments->Inspect(id);
    described.emplace_back();
    if (record.ok()) {
      described.back() = ToProto(*record, true);
    } else {
      described.back().set_id(id);
      described.back().set_is_removed(true);
    }
  }
  return described;
}

}  // namespace caudal::service
