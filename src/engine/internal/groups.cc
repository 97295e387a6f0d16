#include "base/utf8.h"
#include "engine/internal/inputs.h"
#include "engine/internal/outputs.h"
#include "engine/internal/stepper.h"
#include "model/task.h"
#include "spec/parameters.h"
#include "wire/json.h"

namespace caudal::engine {
namespace {

using base::Result;
using base::Status;
using spec::ComponentKind;
using spec::LoopPlan;

// Iterations of one loop at the same time where the pipeline sets no limit: many more than any
// machine has cores, few enough that a loop of any length fits into memory while it runs.
constexpr int kOpenIterations = 1000;
// After so many changed tasks, and after so many iterations, a loop leaves the rest to its timer,
// which is due at once: neither one event nor one turn, in which the store answers, must become the
// whole run.
constexpr int kChangesPerStep = 2000;
constexpr int kIterationsPerTurn = 1000;

std::string Quoted(const google::protobuf::Value& value) {
  constexpr size_t kShown = 60;
  return base::Shortened(wire::ValueToGoJson(value), kShown);
}

// "inputs.parameter_values['x'] == 'a' is false: x is \"b\"".
std::string WhyFalse(const Draft& draft, int task, const expr::Program& condition) {
  std::string reason = expr::TextOf(condition) + " is false";
  std::string separator = ": ";
  for (const std::string& name : expr::ParametersOf(condition)) {
    const auto value = draft.parameters(task).find(name);
    if (value == draft.parameters(task).end()) continue;
    reason += separator + name + " is " + Quoted(value->second);
    separator = ", ";
  }
  return reason;
}

int ItemCount(const Draft& draft, int loop) {
  const LoopPlan& plan = *draft.plan(loop).loop;
  if (plan.over != LoopPlan::Over::kArtifacts) return draft.items(loop).values_size();
  const auto list = draft.artifacts(loop).find(plan.items_input);
  return list == draft.artifacts(loop).end() ? 0 : list->second.artifacts_size();
}

// Puts item `i` into the record of its iteration, as the body declares it.
Status SetItem(Draft& draft, int loop, int iteration, int i) {
  const LoopPlan& plan = *draft.plan(loop).loop;
  if (plan.over == LoopPlan::Over::kArtifacts) {
    const v1::Artifact item = draft.artifacts(loop).at(plan.items_input).artifacts(i);
    auto& artifacts = *draft.Change(iteration).mutable_artifacts();
    *artifacts[plan.item_input].add_artifacts() = item;
    return {};
  }
  const auto& declared = draft.component(loop).spec->input_definitions().parameters();
  const auto definition = declared.find(plan.item_input);
  google::protobuf::Value item = draft.items(loop).values(i);
  if (definition != declared.end()) {
    auto converted = spec::ConvertParameter(definition->second.parameter_type(), item);
    if (!converted.ok()) {
      return Status(converted.status()).With("item " + std::to_string(i) + " of the loop");
    }
    item = *std::move(converted);
  }
  (*draft.Change(iteration).mutable_parameters())[plan.item_input] = std::move(item);
  return {};
}

}  // namespace

void Stepper::Ready(int task) {
  if (!MayStart(task)) return Finish(task, v1::CANCELED, "canceled before it started");
  const Status resolved = ResolveInputs(draft_, task);
  if (!resolved.ok()) return Fail(task, "INPUT", resolved.message());
  if (!IsTriggered(task)) return;
  if (draft_.is_loop(task)) return OpenLoop(task);
  switch (draft_.component(task).kind) {
    case ComponentKind::kDag:
      return OpenDag(task);
    case ComponentKind::kImporter:
      return PrepareImport(task);
    case ComponentKind::kContainer:
    case ComponentKind::kCreateVolume:
    case ComponentKind::kDeleteVolume:
      return PrepareStep(task);
  }
}

bool Stepper::IsTriggered(int task) {
  const expr::ProgramPtr& condition = draft_.plan(task).condition;
  if (condition == nullptr) return true;
  const Result<bool> holds =
      expr::EvaluateCondition(*condition, draft_.parameters(task), draft_.artifacts(task));
  if (!holds.ok()) {
    Fail(task, "CONDITION",
         "condition " + expr::TextOf(*condition) + ": " + holds.status().message());
    return false;
  }
  if (*holds) return true;
  Finish(task, v1::SKIPPED, WhyFalse(draft_, task, *condition));
  return false;
}

void Stepper::OpenDag(int dag) {
  const spec::Component& component = draft_.component(dag);
  const int count = static_cast<int>(component.tasks.size());
  // A new generation finds the records of the one before.
  const bool is_new = draft_.child_count(dag) == 0;
  const int first = is_new ? draft_.task_count() : draft_.first_child(dag);
  for (int i = 0; i < count; ++i) {
    const spec::TaskPlan& plan = component.tasks[static_cast<size_t>(i)];
    v1::Task& child = is_new ? draft_.Change(draft_.Add()) : draft_.Refresh(first + i);
    if (is_new) {
      child.set_parent(dag);
      child.set_position(i);
      child.set_name(plan.name);
      child.set_created_at(now());
    }
    child.set_state(v1::PENDING);
    child.set_unmet(static_cast<int>(plan.upstream.size()));
  }
  v1::Task& change = draft_.Change(dag);
  change.set_state(v1::RUNNING);
  change.set_reason("");
  change.set_started_at(now());
  if (draft_.execution_key(dag) == 0) change.set_execution_key(draft_.TakeKey());
  change.set_first_child(first);
  change.set_child_count(count);
  change.set_open_children(count);
  for (int child = first; child < first + count; ++child) {
    if (draft_.unmet(child) == 0) {
      Ready(child);
    } else {
      draft_.Change(child).set_reason("waiting for " + WhatIsAwaited(child));
    }
  }
}

std::string Stepper::WhatIsAwaited(int task) const {
  // Names only when few are left: a join of thousands must not be looked through at each arrival.
  constexpr int kNamed = 3;
  if (draft_.unmet(task) > kNamed) return std::to_string(draft_.unmet(task)) + " tasks";
  const int first = draft_.first_child(draft_.parent(task));
  std::string names;
  for (const int position : draft_.plan(task).upstream) {
    if (model::IsFinal(draft_.task_state(first + position))) continue;
    names += (names.empty() ? "" : ", ") + draft_.name(first + position);
  }
  return names;
}

void Stepper::OpenLoop(int loop) {
  v1::Task& change = draft_.Change(loop);
  change.set_started_at(now());
  if (draft_.execution_key(loop) == 0) change.set_execution_key(draft_.TakeKey());
  if (draft_.plan(loop).loop->over != LoopPlan::Over::kArtifacts) {
    Result<google::protobuf::ListValue> items = LoopItems(draft_, loop);
    if (!items.ok()) return Fail(loop, "INPUT", items.status().message());
    *change.mutable_items() = *std::move(items);
  }
  const int count = ItemCount(draft_, loop);
  const int limit = draft_.plan(loop).loop->parallelism;
  change.set_state(v1::RUNNING);
  change.set_reason(limit > 0 && limit < count
                        ? std::to_string(limit) + " of " + std::to_string(count) + " at a time"
                        : "");
  change.set_opened_in(draft_.generation());
  change.set_iteration_count(count);
  change.set_iterations_opened(0);
  change.set_open_children(0);
  OpenIterations(loop);
}

void Stepper::OpenIterations(int loop) {
  const int limit = draft_.plan(loop).loop->parallelism;
  const int places = limit > 0 ? std::min(limit, kOpenIterations) : kOpenIterations;
  const int count = draft_.iteration_count(loop);
  const bool is_new_turn = draft_.event().has_timer_fired();
  while (draft_.iterations_opened(loop) < count && draft_.open_children(loop) < places &&
         MayStart(loop)) {
    const int i = draft_.iterations_opened(loop);
    const bool fills_turn = !is_new_turn && i > 0 && i % kIterationsPerTurn == 0;
    if (fills_turn || draft_.change_count() >= kChangesPerStep) {
      draft_.Change(loop).set_wake_at(now());
      return;
    }
    draft_.Change(loop).set_iterations_opened(i + 1);
    OpenIteration(loop, i);
  }
  const bool all_opened = draft_.iterations_opened(loop) == count || !MayStart(loop);
  if (all_opened && draft_.open_children(loop) == 0) FinishLoop(loop);
}

void Stepper::OpenIteration(int loop, int i) {
  const int known = draft_.iteration(loop, i);
  const bool is_current = known >= 0 && draft_.opened_in(known) == draft_.opened_in(loop);
  if (is_current && model::IsSuccess(draft_.task_state(known))) return;
  draft_.Change(loop).set_open_children(draft_.open_children(loop) + 1);
  // An iteration that failed before it was opened starts anew like one that never was.
  if (is_current && draft_.child_count(known) > 0) return ResumeDag(known);
  const int iteration = draft_.AddIteration(loop, i);
  draft_.Change(iteration).set_opened_in(draft_.opened_in(loop));
  const Status set = SetItem(draft_, loop, iteration, i);
  if (!set.ok()) return Fail(iteration, "INPUT", set.message());
  OpenDag(iteration);
}

void Stepper::FinishDag(int dag) {
  v1::TaskState state = v1::SUCCEEDED;
  int culprit = -1;
  for (int i = 0; i < draft_.child_count(dag); ++i) {
    const int child = draft_.first_child(dag) + i;
    const v1::TaskState child_state = draft_.task_state(child);
    const bool is_failure = child_state == v1::FAILED;
    if (!is_failure && child_state != v1::CANCELED) continue;
    // An exit task that fails may do so because of what failed before it.
    const bool is_better =
        culprit < 0 || (is_failure && state != v1::FAILED) ||
        (is_failure && draft_.plan(culprit).runs_always && !draft_.plan(child).runs_always);
    if (!is_better) continue;
    state = child_state;
    culprit = child;
  }
  if (state == v1::SUCCEEDED) {
    ResolveDagOutputs(draft_, dag);
    return Finish(dag, state, "");
  }
  if (state == v1::CANCELED) return Finish(dag, state, "canceled");
  Fail(dag, "CHILD", "task '" + draft_.name(culprit) + "' failed: " + draft_.error(culprit));
}

void Stepper::FinishLoop(int loop) {
  const int count = draft_.iteration_count(loop);
  int failed = 0;
  int culprit = -1;
  bool is_canceled = draft_.iterations_opened(loop) < count;
  for (int i = 0; i < draft_.iterations_opened(loop); ++i) {
    const int iteration = draft_.iteration(loop, i);
    const v1::TaskState state = draft_.task_state(iteration);
    if (state == v1::CANCELED) is_canceled = true;
    if (state != v1::FAILED) continue;
    ++failed;
    if (culprit < 0) culprit = iteration;
  }
  if (failed > 0) {
    return Fail(loop, "CHILD",
                std::to_string(failed) + " of " + std::to_string(count) +
                    " iterations failed, first " + std::to_string(draft_.iteration_index(culprit)) +
                    ": " + draft_.error(culprit));
  }
  if (is_canceled) return Finish(loop, v1::CANCELED, "canceled");
  ResolveLoopOutputs(draft_, loop);
  Finish(loop, v1::SUCCEEDED, count == 0 ? "nothing to iterate over" : "");
}

}  // namespace caudal::engine
