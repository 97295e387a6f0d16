#pragma once

/// Kubernetes settings of a step, resolved where the task stands (execution.md 1.7, 4.2, 4.9).

#include <string>

#include "base/status.h"
#include "caudal/v1/attempt.pb.h"
#include "engine/internal/draft.h"
#include "spec/plan.h"

namespace caudal::engine {

/// The settings of `task`, whose inputs are resolved, as far as they are applied to it. Names come
/// from constants, inputs of the enclosing DAG or outputs of siblings. Whatever has no meaning
/// outside a cluster becomes a note. Errors: kInvalidArgument naming the field, the value and the
/// remedy.
base::Result<v1::Surroundings> ResolveSurroundings(const Draft& draft, int task);

/// The same with those settings that the component takes over itself.
base::Result<v1::Surroundings> AllSurroundings(const Draft& draft, int task);

/// Groups of settings that a component may take over (`taskConfigPassthroughs`).
using SettingGroup = ml_pipelines::TaskConfigPassthroughType;

/// Whether settings of this group go to the step, and whether they go to its TASK_CONFIG inputs. A
/// group that the component does not list is applied and not passed.
bool IsApplied(const spec::Component& component, SettingGroup::TaskConfigPassthroughTypeEnum group);
bool IsPassed(const spec::Component& component, SettingGroup::TaskConfigPassthroughTypeEnum group);

/// Whether the component of `task` takes its settings as an input (TASK_CONFIG).
bool TakesTaskConfig(const Draft& draft, int task);

/// Fills the inputs of type TASK_CONFIG, whatever was wired to them, and notes in `surroundings`
/// what is passed on instead of applied: ResolveSurroundings and MakeAttemptSpec leave it out.
base::Status PassTaskConfig(Draft& draft, int task, v1::Surroundings* surroundings);

/// The claim that stands for the run's workspace when something `task` was given lies there, else
/// empty.
std::string WorkspaceClaim(const Draft& draft, int task);

}  // namespace caudal::engine
