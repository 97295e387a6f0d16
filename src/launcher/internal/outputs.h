#pragma once

/// Output artifacts after the step: which URI, which metadata, and where the bytes are
/// (execution.md 3.9).

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "caudal/v1/attempt.pb.h"
#include "launcher/internal/places.h"
#include "launcher/internal/publish.h"
#include "launcher/launcher.h"
#include "pipeline_spec/pipeline_spec.pb.h"

namespace caudal::launcher::internal {

/// One artifact of an output; a list output may have several.
struct OutputSlot {
  v1::Artifact artifact;              ///< blob and is_directory unset, unless it is an input's
  std::optional<size_t> publication;  ///< index of what holds its bytes
};

struct OutputPlan {
  std::vector<OutputSlot> slots;  ///< by name, then position
  std::vector<Publication> publications;
};

/// What each declared output artifact is, from the component and the step's output file. Errors:
/// kInvalidArgument naming the output.
base::Result<OutputPlan> PlanOutputs(const Layout& layout, const v1::AttemptSpec& spec,
                                     const View& view, const ml_pipelines::ExecutorOutput& output);

/// Host paths of what the step names by absolute paths.
ToHost HostPaths(const Layout& layout, const v1::AttemptSpec& spec, const View& view);

/// The artifact that stands for the attempt's log.
v1::Artifact MakeLogArtifact(const v1::AttemptSpec& spec);

}  // namespace caudal::launcher::internal
