#pragma once

/// Placeholders inside constants that a pipeline's author wrote as task inputs.

#include <google/protobuf/struct.pb.h>

#include <optional>
#include <string>
#include <string_view>

#include "engine/internal/draft.h"

namespace caudal::engine {

/// `constant` with its placeholders resolved, in strings and keys at any depth: job facts
/// (`{{$.pipeline_job_uuid}}` …) and inputs of the same task (`{{$.inputs.parameters['x']}}`),
/// which may hold further constants; an input that was not given reads as its component's default
/// or as nothing. Text that came from outside is never scanned. Unknown placeholders stay, and so
/// do those that would make more than 16 MiB.
google::protobuf::Value ResolveConstant(const Draft& draft, int task,
                                        const google::protobuf::Value& constant);

/// Whether a constant of the pipeline holds a reference to a sibling input.
bool RefersToInput(const google::protobuf::Value& constant);

/// The value of a job placeholder by its name ("pipeline_job_uuid"), or nullptr. `task` gives the
/// task-dependent ones.
std::optional<std::string> JobFact(const Draft& draft, int task, std::string_view name);

}  // namespace caudal::engine
