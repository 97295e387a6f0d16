#include "secrets/secrets.h"

#include "service/service.h"

namespace caudal::service {
namespace {

using auth::Resource;
using auth::Verb;
using base::Result;
using base::Status;
using secrets::Kind;

constexpr int kMostKeys = 1000;

// They belong to the server: the runs of its one user share them.
Status Allow(const Caller& caller, Verb verb, Kind kind) {
  const Resource resource = kind == Kind::kSecret ? Resource::kSecret : Resource::kConfigMap;
  return auth::Authorize(caller.principal, {verb, resource}, "", caller.principal.name);
}

Status CheckPresent(const secrets::Vault* vault) {
  if (vault != nullptr) return {};
  return base::Unimplemented("this server keeps no secrets and config maps");
}

v1::KeySet ToProto(const secrets::KeySet& set, Kind kind) {
  v1::KeySet shown;
  shown.set_name(set.name);
  shown.set_updated_at(set.updated_at);
  for (const auto& [key, value] : set.values) {
    shown.add_keys(key);
    if (kind == Kind::kConfigMap) (*shown.mutable_values())[key] = value;
  }
  return shown;
}

}  // namespace

Result<v1::KeySet> Service::SetKeys(const Caller& caller, Kind kind,
                                    const v1::SetKeysRequest& request) {
  CAUDAL_TRY(Allow(caller, Verb::kUpdate, kind));
  CAUDAL_TRY(CheckPresent(options_.vault));
  if (request.values_size() > kMostKeys) {
    return base::InvalidArgument(std::to_string(request.values_size()) +
                                 " keys are given, at most 1000 are taken; use several names");
  }
  const std::map<std::string, std::string> values(request.values().begin(), request.values().end());
  CAUDAL_ASSIGN(const secrets::KeySet set,
                options_.vault->Set(kind, request.name(), values, request.replace(),
                                    base::ToMicros(clock_.Now())));
  return ToProto(set, kind);
}

Result<v1::KeySets> Service::ListKeys(const Caller& caller, Kind kind) {
  CAUDAL_TRY(Allow(caller, Verb::kList, kind));
  CAUDAL_TRY(CheckPresent(options_.vault));
  CAUDAL_ASSIGN(const std::vector<secrets::KeySet> sets, options_.vault->List(kind));
  v1::KeySets shown;
  for (const secrets::KeySet& set : sets) *shown.add_sets() = ToProto(set, kind);
  return shown;
}

Status Service::DeleteKeys(const Caller& caller, Kind kind, const std::string& name) {
  CAUDAL_TRY(Allow(caller, Verb::kDelete, kind));
  CAUDAL_TRY(CheckPresent(options_.vault));
  return options_.vault->Delete(kind, name);
}

Result<v1::KeySet> Service::SetSecret(const Caller& caller, const v1::SetKeysRequest& request) {
  return SetKeys(caller, Kind::kSecret, request);
}

Result<v1::KeySets> Service::ListSecrets(const Caller& caller, const v1::ListKeySetsRequest&) {
  return ListKeys(caller, Kind::kSecret);
}

Status Service::DeleteSecret(const Caller& caller, const v1::DeleteKeySetRequest& request) {
  return DeleteKeys(caller, Kind::kSecret, request.name());
}

Result<v1::KeySet> Service::SetConfigMap(const Caller& caller, const v1::SetKeysRequest& request) {
  return SetKeys(caller, Kind::kConfigMap, request);
}

Result<v1::KeySets> Service::ListConfigMaps(const Caller& caller, const v1::ListKeySetsRequest&) {
  return ListKeys(caller, Kind::kConfigMap);
}

Status Service::DeleteConfigMap(const Caller& caller, const v1::DeleteKeySetRequest& request) {
  return DeleteKeys(caller, Kind::kConfigMap, request.name());
}

}  // namespace caudal::service
