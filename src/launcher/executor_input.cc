#include "launcher/internal/executor_input.h"

#include "launcher/internal/uri.h"

namespace caudal::launcher::internal {
namespace {

std::string TrimRightSlashes(std::string text) {
  while (text.ends_with('/')) text.pop_back();
  return text;
}

ml_pipelines::RuntimeArtifact LogArtifact(const v1::AttemptSpec& spec) {
  ml_pipelines::RuntimeArtifact log;
  log.set_name(kLogArtifact);
  log.mutable_type()->set_schema_title("system.Artifact");
  log.set_uri(LogUri(spec));
  return log;
}

}  // namespace

Values WithDefaults(const v1::AttemptSpec& spec) {
  Values values;
  for (const auto& [name, value] : spec.parameters()) {
    if (!value.has_null_value()) values[name] = value;
  }
  for (const auto& [name, parameter] : spec.component().input_definitions().parameters()) {
    const bool has_default =
        parameter.has_default_value() && !parameter.default_value().has_null_value();
    if (has_default) values.try_emplace(name, parameter.default_value());
  }
  return values;
}

std::string OutputUri(const v1::AttemptSpec& spec, const std::string& output) {
  return TrimRightSlashes(spec.task_root()) + "/" + output;
}

std::string LogUri(const v1::AttemptSpec& spec) {
  return OutputUri(spec, std::string(kLogArtifact) + "-" + std::to_string(spec.retry_index()));
}

ml_pipelines::RuntimeArtifact InputArtifact(const v1::Artifact& artifact) {
  ml_pipelines::RuntimeArtifact input;
  input.set_name(std::to_string(artifact.key()));
  if (artifact.has_type()) *input.mutable_type() = artifact.type();
  input.set_uri(artifact.uri());
  if (artifact.has_metadata()) *input.mutable_metadata() = artifact.metadata();
  return input;
}

ml_pipelines::RuntimeArtifact OutputArtifact(const v1::AttemptSpec& spec,
                                             const std::string& output) {
  const auto& definitions = spec.component().output_definitions().artifacts();
  ml_pipelines::RuntimeArtifact artifact;
  artifact.set_name(output);
  artifact.set_uri(OutputUri(spec, output));
  const auto found = definitions.find(output);
  if (found == definitions.end()) return artifact;
  *artifact.mutable_type() = found->second.artifact_type();
  if (found->second.has_metadata()) *artifact.mutable_metadata() = found->second.metadata();
  return artifact;
}

std::string OutputFileForStep(const v1::AttemptSpec& spec, const Places& places) {
  return places.ForStep(SdkPath(OutputUri(spec, kOutputFileName)));
}

ml_pipelines::ExecutorInput MakeExecutorInput(const v1::AttemptSpec& spec, const Places& places,
                                              const Values& values) {
  ml_pipelines::ExecutorInput input;
  auto& inputs = *input.mutable_inputs();
  for (const auto& [name, value] : values) (*inputs.mutable_parameter_values())[name] = value;
  for (const auto& [name, list] : spec.artifacts()) {
    auto& artifacts = (*inputs.mutable_artifacts())[name];
    for (const auto& artifact : list.artifacts()) {
      *artifacts.add_artifacts() = InputArtifact(artifact);
    }
  }
  auto& outputs = *input.mutable_outputs();
  const auto& definitions = spec.component().output_definitions();
  for (const auto& [name, parameter] : definitions.parameters()) {
    (*outputs.mutable_parameters())[name].set_output_file(places.ParameterForStep(name));
  }
  for (const auto& [name, artifact] : definitions.artifacts()) {
    *(*outputs.mutable_artifacts())[name].add_artifacts() = OutputArtifact(spec, name);
  }
  *(*outputs.mutable_artifacts())[kLogArtifact].add_artifacts() = LogArtifact(spec);
  outputs.set_output_file(OutputFileForStep(spec, places));
  return input;
}

}  // namespace caudal::launcher::internal
