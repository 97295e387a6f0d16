#include <google/protobuf/descriptor.h>

#include <boost/json.hpp>

#include "spec/internal/check.h"
#include "wire/json.h"

namespace caudal::spec::internal {
namespace {

namespace pb = google::protobuf;

/// The deprecated way to name a claim, as the parameter that replaced it.
void FindOldClaim(const kfp_kubernetes::PvcMount& mount, const std::string& path,
                  std::vector<ConfigSource>* sources) {
  ParameterSource parameter;
  if (mount.has_task_output_parameter()) {
    auto* output = parameter.mutable_task_output_parameter();
    output->set_producer_task(mount.task_output_parameter().producer_task());
    output->set_output_parameter_key(mount.task_output_parameter().output_parameter_key());
    sources->push_back({path + ".taskOutputParameter", parameter});
  } else if (mount.has_component_input_parameter()) {
    parameter.set_component_input_parameter(mount.component_input_parameter());
    sources->push_back({path + ".componentInputParameter", parameter});
  }
}

/// Walks the settings by reflection, so that a setting added later is not forgotten here.
void FindSources(const pb::Message& message, const std::string& path,
                 std::vector<ConfigSource>* sources) {
  if (const auto* parameter = pb::DynamicCastToGenerated<ParameterSource>(&message)) {
    sources->push_back({path, *parameter});
    return;
  }
  if (const auto* mount = pb::DynamicCastToGenerated<kfp_kubernetes::PvcMount>(&message)) {
    if (!mount->has_pvc_name_parameter()) FindOldClaim(*mount, path, sources);
  }
  std::vector<const pb::FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const pb::FieldDescriptor* field : fields) {
    if (field->cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE || field->is_map()) continue;
    const std::string here = path + (path.empty() ? "" : ".") + field->json_name();
    if (!field->is_repeated()) {
      FindSources(message.GetReflection()->GetMessage(message, field), here, sources);
      continue;
    }
    for (int i = 0; i < message.GetReflection()->FieldSize(message, field); ++i) {
      FindSources(message.GetReflection()->GetRepeatedMessage(message, field, i),
                  here + "[" + std::to_string(i) + "]", sources);
    }
  }
}

}  // namespace

std::shared_ptr<const kfp_kubernetes::KubernetesExecutorConfig> ReadKubernetesConfig(
    const pb::Struct& config, const std::string& path, Faults* faults) {
  pb::Value value;
  *value.mutable_struct_value() = config;
  auto message = std::make_shared<kfp_kubernetes::KubernetesExecutorConfig>();
  faults->Append(
      wire::FromJson(wire::FromValue(value), message.get(), wire::UnknownFields::kReject, path));
  const auto& security = message->security_context();
  if (security.has_run_as_user() && security.run_as_user() == 0 && security.run_as_non_root()) {
    faults->Report(path + ".securityContext",
                   "wants user 0, which is root, and not to be root; choose one");
  }
  return message;
}

std::vector<ConfigSource> SourcesOf(const kfp_kubernetes::KubernetesExecutorConfig& config) {
  std::vector<ConfigSource> sources;
  FindSources(config, "", &sources);
  return sources;
}

}  // namespace caudal::spec::internal
