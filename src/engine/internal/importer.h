#pragma once

/// What an importer task asks for (execution.md 2.16).

#include "base/status.h"
#include "caudal/v1/attempt.pb.h"
#include "engine/internal/draft.h"

namespace caudal::engine {

/// Type, URI and metadata of the artifact that `task`, whose inputs are resolved, imports; `name`
/// is the component's one output. Metadata expressions are resolved in keys and at any depth.
/// Errors: kInvalidArgument: no URI, an empty one, a value that is no text, a scheme unknown here,
/// "oci://" for anything but a model.
base::Result<v1::Artifact> ImportedArtifact(const Draft& draft, int task);

}  // namespace caudal::engine
