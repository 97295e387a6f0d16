#include "cli/internal/api.h"
#include "wire/json.h"

namespace caudal::cli {
namespace {

std::string PathOf(Api::KeyKind kind, const std::string& name = "") {
  const std::string path =
      kind == Api::KeyKind::kSecret ? "/apis/caudal/v1/secrets" : "/apis/caudal/v1/configmaps";
  return name.empty() ? path : path + "/" + UrlEncode(name);
}

}  // namespace

base::Result<v1::KeySet> Api::SetKeys(KeyKind kind, const v1::SetKeysRequest& request) {
  v1::KeySet set;
  CAUDAL_TRY(Call("POST", PathOf(kind, request.name()),
                  wire::ToJson(request, wire::FieldNames::kSnakeCase), &set));
  return set;
}

base::Result<v1::KeySets> Api::ListKeys(KeyKind kind) {
  v1::KeySets sets;
  CAUDAL_TRY(Call("GET", PathOf(kind), "", &sets));
  return sets;
}

base::Status Api::DeleteKeys(KeyKind kind, const std::string& name) {
  return Call("DELETE", PathOf(kind, name), "", nullptr);
}

}  // namespace caudal::cli
