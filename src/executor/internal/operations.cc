#include "executor/internal/operations.h"

#include <utility>

#include "base/file.h"
#include "executor/internal/outcome.h"

namespace caudal::executor::internal {
namespace {

using base::Result;
using base::Status;
using v1::AttemptOutcome;
using v1::AttemptSpec;

/// The component's one output artifact.
std::string OutputName(const AttemptSpec& spec) {
  const auto& outputs = spec.component().output_definitions().artifacts();
  return outputs.size() == 1 ? outputs.begin()->first : "artifact";
}

Status CreateVolume(const Volumes& volumes, const AttemptSpec& spec, AttemptOutcome* outcome) {
  std::vector<std::string> notes;
  CAUDAL_ASSIGN(const std::string name, volumes.Create(spec, &notes));
  for (const std::string& note : notes) outcome->mutable_provenance()->add_notes(note);
  (*outcome->mutable_parameters())["name"].set_string_value(name);
  return {};
}

Status Import(const launcher::Layout& layout, const AttemptSpec& spec, const MayRead& may_read,
              AttemptOutcome* outcome) {
  const auto given = spec.artifacts().find("artifact");
  if (given == spec.artifacts().end() || given->second.artifacts().empty()) {
    return base::InvalidArgument("the importer has no artifact to import");
  }
  const std::string name = OutputName(spec);
  v1::ArtifactList& list = (*outcome->mutable_artifacts())[name];
  for (const v1::Artifact& artifact : given->second.artifacts()) {
    CAUDAL_ASSIGN(const std::string source, launcher::LocalSource(layout, artifact));
    if (artifact.blob().empty()) CAUDAL_TRY(may_read(source));
    CAUDAL_ASSIGN(v1::Artifact brought,
                  launcher::BringIntoWorkspace(layout, spec, artifact, source));
    brought.set_name(name);
    *list.add_artifacts() = std::move(brought);
  }
  return {};
}

Status Dispatch(const launcher::Layout& layout, const Volumes& volumes, const AttemptSpec& spec,
                const MayRead& may_read, AttemptOutcome* outcome) {
  switch (spec.kind()) {
    case AttemptSpec::CREATE_VOLUME:
      return CreateVolume(volumes, spec, outcome);
    case AttemptSpec::DELETE_VOLUME:
      return volumes.Delete(spec);
    case AttemptSpec::IMPORT:
      return Import(layout, spec, may_read, outcome);
    default:
      return base::Internal("this kind of attempt needs a process");
  }
}

std::string ErrorCode(const AttemptSpec& spec, base::Code code) {
  if (code == base::Code::kResourceExhausted) return "DISK";
  return spec.kind() == AttemptSpec::IMPORT ? "IMPORT" : "VOLUME";
}

}  // namespace

AttemptOutcome Operate(const launcher::Layout& layout, const Volumes& volumes,
                       const AttemptSpec& spec, const MayRead& may_read, int64_t now_micros) {
  AttemptOutcome outcome = MakeOutcome(spec, AttemptOutcome::SUCCEEDED, "", "", now_micros);
  outcome.set_started_at(now_micros);
  outcome.set_exit_code(0);
  const Status done = Dispatch(layout, volumes, spec, may_read, &outcome);
  if (done.ok()) return outcome;
  AttemptOutcome failed = MakeOutcome(spec, AttemptOutcome::FAILED, ErrorCode(spec, done.code()),
                                      done.message(), now_micros);
  failed.set_started_at(now_micros);
  return failed;
}

}  // namespace caudal::executor::internal
