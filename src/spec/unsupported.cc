#include "kubernetes_platform/kubernetes_executor_config.pb.h"
#include "spec/plan.h"

namespace caudal::spec {

std::vector<base::Fault> FindUnsupported(const Plan& plan) {
  std::vector<base::Fault> faults;
  for (const Component& component : plan.components) {
    if (!component.kubernetes || component.kubernetes->init_containers().empty()) continue;
    faults.push_back({"platforms.kubernetes.deploymentSpec.executors." +
                          component.spec->executor_label() + ".initContainers",
                      "init containers and side-cars need containers, and steps run here as "
                      "processes; do their work in a task of its own"});
  }
  return faults;
}

}  // namespace caudal::spec
