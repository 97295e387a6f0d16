#include "base/quantity.h"
#include "spec/internal/check.h"

namespace caudal::spec::internal {
namespace {

namespace pb = google::protobuf;

void CheckAccessModes(const pb::Struct& patch, const std::string& path, Faults* faults) {
  static const std::set<std::string> kModes = {"ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany",
                                               "ReadWriteOncePod"};
  const auto modes = patch.fields().find("accessModes");
  if (modes == patch.fields().end()) return;  // what the SDK writes unless told otherwise
  if (modes->second.list_value().values().empty()) {
    return faults->Report(path + ".accessModes", "is empty, give a list such as [ReadWriteOnce]");
  }
  for (int i = 0; i < modes->second.list_value().values_size(); ++i) {
    if (kModes.contains(modes->second.list_value().values(i).string_value())) continue;
    faults->Report(path + ".accessModes[" + std::to_string(i) + "]",
                   "wants ReadWriteOnce, ReadOnlyMany, ReadWriteMany or ReadWriteOncePod");
  }
}

void CheckClaim(const pb::Struct& patch, const std::string& path, Faults* faults) {
  for (const std::string& key : SortedKeysOf(patch.fields())) {
    if (key == "accessModes" || key == "storageClassName") continue;
    faults->Report(path + "." + key,
                   "cannot be chosen for a workspace, only accessModes and storageClassName can");
  }
  CheckAccessModes(patch, path, faults);
  const auto name = patch.fields().find("storageClassName");
  if (name != patch.fields().end() && name->second.string_value().empty()) {
    faults->Report(path + ".storageClassName",
                   "wants the name of a storage class, leave it out for the usual one");
  }
}

}  // namespace

void ReadPipelineConfig(const ml_pipelines::PipelineConfig& config, const std::string& path,
                        Plan* plan, Faults* faults) {
  plan->deadline_seconds = std::max<int64_t>(config.active_deadline_seconds(), 0);
  plan->has_workspace = config.has_workspace();
  if (!config.has_workspace()) return;
  const std::string here = path + ".workspace";
  const std::string& size = config.workspace().size();
  if (!base::ParseQuantity(size, 1)) {
    faults->Report(here + ".size", size.empty()
                                       ? "is missing, give an amount such as 10Gi"
                                       : "wants an amount such as 10Gi, got \"" + size + "\"");
  }
  // Other platforms say nothing about the claim. What is said must be what Kubernetes would take.
  if (!config.workspace().has_kubernetes()) return;
  CheckClaim(config.workspace().kubernetes().pvc_spec_patch(), here + ".kubernetes.pvcSpecPatch",
             faults);
}

}  // namespace caudal::spec::internal
