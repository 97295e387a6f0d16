#include "cli/internal/api.h"
#include "wire/json.h"

namespace caudal::cli {
namespace {

constexpr char kEnvironments[] = "/apis/caudal/v1/environments";
// A build downloads and compiles; the server ends it after half an hour.
constexpr int kBuildSeconds = 3600;

std::string BodyOf(const google::protobuf::Message& request) {
  return wire::ToJson(request, wire::FieldNames::kSnakeCase);
}

}  // namespace

base::Result<v1::ListEnvironmentsResponse> Api::ListEnvironments() {
  v1::ListEnvironmentsResponse response;
  CAUDAL_TRY(Call("GET", kEnvironments, "", &response));
  return response;
}

base::Result<v1::PythonEnvironment> Api::GetEnvironment(const std::string& id) {
  v1::PythonEnvironment environment;
  CAUDAL_TRY(Call("GET", std::string(kEnvironments) + "/" + UrlEncode(id), "", &environment));
  return environment;
}

base::Result<v1::PruneEnvironmentsResponse> Api::PruneEnvironments(
    const v1::PruneEnvironmentsRequest& request) {
  v1::PruneEnvironmentsResponse response;
  CAUDAL_TRY(Call("POST", std::string(kEnvironments) + ":prune", BodyOf(request), &response));
  return response;
}

base::Result<v1::PythonEnvironment> Api::RefreshEnvironment(const std::string& id) {
  v1::PythonEnvironment environment;
  CAUDAL_TRY(Call("POST", std::string(kEnvironments) + "/" + UrlEncode(id) + ":refresh", "{}",
                  &environment, kBuildSeconds));
  return environment;
}

}  // namespace caudal::cli
