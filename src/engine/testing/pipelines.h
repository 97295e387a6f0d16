#pragma once

/// Small pipelines for tests, from one line of text.

#include <memory>
#include <string>
#include <string_view>

#include "spec/plan.h"

namespace caudal::engine {

/// Package text (JSON) of a pipeline described as tasks separated by blanks: "a b:a c:a d:b,c
/// sub:d{x y:x}". `b:a` depends on a; braces hold the tasks of a sub-pipeline. Every leaf is a
/// container with a STRING output `Output`.
std::string PipelineText(std::string_view tasks);

/// Its plan; aborts when the description makes none.
std::shared_ptr<const spec::Plan> PipelinePlan(std::string_view tasks);

}  // namespace caudal::engine
