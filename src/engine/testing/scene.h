#pragma once

/// A run in the middle of a step, for tests of what a task is given.

#include <memory>
#include <string>
#include <string_view>

#include "engine/internal/draft.h"

namespace caudal::engine {

/// Every task of a pipeline without loops exists; none has started. Aborts on what cannot be read.
class Scene {
 public:
  /// `package`: YAML or JSON. `parameters`: those of the run, a JSON object.
  explicit Scene(std::string_view package, std::string_view parameters = "{}");

  Draft& draft() { return draft_; }
  v1::RunInfo& info() { return *event_.mutable_run_created()->mutable_info(); }
  /// Index of the task at a path such as "outer/train".
  int Find(const std::string& path) const;
  /// Resolves the inputs of the task and of all around it; its index.
  int Enter(const std::string& path);
  /// Gives a task an output, a JSON value.
  void SetOutput(const std::string& path, const std::string& output, std::string_view json);

 private:
  void Open(int dag);

  State state_;
  v1::Event event_;
  Draft draft_;
};

}  // namespace caudal::engine
