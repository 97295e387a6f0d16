#include "engine/internal/draft.h"

#include "base/sha256.h"

namespace caudal::engine {

const v1::RunInfo& Draft::info() const {
  return event_.has_run_created() ? event_.run_created().info() : state_.info();
}

v1::RunPhase Draft::phase() const {
  return delta_.run().has_phase() ? delta_.run().phase() : state_.run().phase();
}

int Draft::generation() const {
  return delta_.run().has_generation() ? delta_.run().generation() : state_.run().generation();
}

bool Draft::terminate_now() const {
  return delta_.run().has_terminate_now() ? delta_.run().terminate_now()
                                          : state_.run().terminate_now();
}

bool Draft::deadline_passed() const {
  return delta_.run().has_deadline_passed() ? delta_.run().deadline_passed()
                                            : state_.run().deadline_passed();
}

const std::string& Draft::terminated_by() const {
  return delta_.run().has_terminated_by() ? delta_.run().terminated_by()
                                          : state_.run().terminated_by();
}

const v1::Task& Draft::Stored(int i) const {
  static const v1::Task kNone;
  return i < state_.task_count() ? state_.task(i) : kNone;
}

const v1::Task* Draft::Find(int i) const {
  const auto found = changed_.find(i);
  return found == changed_.end() ? nullptr : &delta_.tasks(found->second);
}

v1::Task& Draft::Change(int i) {
  const auto [place, is_new] = changed_.try_emplace(i, delta_.tasks_size());
  if (!is_new) return *delta_.mutable_tasks(place->second);
  v1::Task* change = delta_.add_tasks();
  change->set_index(i);
  return *change;
}

int Draft::Add() {
  const int index = task_count();
  ++added_;
  Change(index);
  return index;
}

int Draft::iteration(int loop, int i) const {
  const std::vector<int>& stored = state_.iterations(loop);
  const auto place = static_cast<size_t>(i);
  if (place < stored.size()) return stored[place];
  const auto added = iterations_.find(loop);
  if (added == iterations_.end() || place - stored.size() >= added->second.size()) return -1;
  return added->second[place - stored.size()];
}

int Draft::AddIteration(int loop, int i) {
  int index = iteration(loop, i);
  if (index >= 0) {
    Refresh(index);
    return index;
  }
  index = Add();
  iterations_[loop].push_back(index);
  v1::Task& task = Change(index);
  task.set_parent(loop);
  task.set_position(position(loop));
  task.set_name(name(loop));
  task.set_iteration_index(i);
  task.set_created_at(event_.at());
  return index;
}

v1::Task& Draft::Refresh(int i) {
  v1::Task& change = Change(i);
  change.Clear();
  change.set_index(i);
  change.set_fresh(true);
  return change;
}

int64_t Draft::TakeKey() {
  const int64_t key = event_.first_key() + delta_.keys_used();
  delta_.set_keys_used(delta_.keys_used() + 1);
  return key;
}

std::string Draft::Derive(std::string_view purpose) const {
  return base::Sha256Hex(event_.salt() + ":" + std::string(purpose)).substr(0, 32);
}

const std::string& Draft::name(int i) const {
  const v1::Task* changed = Find(i);
  return changed != nullptr && changed->has_name() ? changed->name() : Stored(i).name();
}

const std::string& Draft::error(int i) const {
  const v1::Task* changed = Find(i);
  return changed != nullptr && (changed->has_error() || changed->fresh()) ? changed->error()
                                                                          : Stored(i).error();
}

const v1::CacheRecord& Draft::cache(int i) const {
  const v1::Task* changed = Find(i);
  return changed != nullptr && (changed->has_cache() || changed->fresh()) ? changed->cache()
                                                                          : Stored(i).cache();
}

const v1::Surroundings& Draft::surroundings(int i) const {
  const v1::Task* changed = Find(i);
  return changed != nullptr && (changed->has_surroundings() || changed->fresh())
             ? changed->surroundings()
             : Stored(i).surroundings();
}

const google::protobuf::ListValue& Draft::items(int i) const {
  const v1::Task* changed = Find(i);
  return changed != nullptr && (changed->has_items() || changed->fresh()) ? changed->items()
                                                                          : Stored(i).items();
}

const google::protobuf::Map<std::string, google::protobuf::Value>& Draft::parameters(int i) const {
  const v1::Task* changed = Find(i);
  const bool is_here = changed != nullptr && (!changed->parameters().empty() || changed->fresh());
  return is_here ? changed->parameters() : Stored(i).parameters();
}

const google::protobuf::Map<std::string, v1::ArtifactList>& Draft::artifacts(int i) const {
  const v1::Task* changed = Find(i);
  const bool is_here = changed != nullptr && (!changed->artifacts().empty() || changed->fresh());
  return is_here ? changed->artifacts() : Stored(i).artifacts();
}

const google::protobuf::Map<std::string, google::protobuf::Value>& Draft::output_parameters(
    int i) const {
  const v1::Task* changed = Find(i);
  const bool is_here =
      changed != nullptr && (!changed->output_parameters().empty() || changed->fresh());
  return is_here ? changed->output_parameters() : Stored(i).output_parameters();
}

const google::protobuf::Map<std::string, v1::ArtifactList>& Draft::output_artifacts(int i) const {
  const v1::Task* changed = Find(i);
  const bool is_here =
      changed != nullptr && (!changed->output_artifacts().empty() || changed->fresh());
  return is_here ? changed->output_artifacts() : Stored(i).output_artifacts();
}

const spec::Component& Draft::component(int i) const {
  const auto& components = state_.plan().components;
  return i == 0 ? components[0] : components[static_cast<size_t>(plan(i).component)];
}

const spec::TaskPlan& Draft::plan(int i) const {
  const int task = is_iteration(i) ? parent(i) : i;
  return component(parent(task)).tasks[static_cast<size_t>(position(task))];
}

}  // namespace caudal::engine
