#include "engine/internal/draft.h"

#include "base/sha256.h"

namespace caudal::engine {

const v1::RunInfo& Draft::info() const {
  return event_.has_run_created() ? event_.run_created().info() : state_.info();
}

v1::RunPhase Draft::phase() const {
  return delta_.run().has_phase() ? delta_.run().phase() : state_.run().phase();
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
  return changed != nullptr && changed->has_name() ? changed->name() : state_.task(i).name();
}

const std::string& Draft::error(int i) const {
  const v1::Task* changed = Find(i);
  return changed != nullptr && changed->has_error() ? changed->error() : state_.task(i).error();
}

const google::protobuf::Map<std::string, google::protobuf::Value>& Draft::parameters(int i) const {
  const v1::Task* changed = Find(i);
  if (i >= state_.task_count() || (changed != nullptr && !changed->parameters().empty())) {
    return changed->parameters();
  }
  return state_.task(i).parameters();
}

const google::protobuf::Map<std::string, v1::ArtifactList>& Draft::artifacts(int i) const {
  const v1::Task* changed = Find(i);
  if (i >= state_.task_count() || (changed != nullptr && !changed->artifacts().empty())) {
    return changed->artifacts();
  }
  return state_.task(i).artifacts();
}

const google::protobuf::Map<std::string, google::protobuf::Value>& Draft::output_parameters(
    int i) const {
  const v1::Task* changed = Find(i);
  if (i >= state_.task_count() || (changed != nullptr && !changed->output_parameters().empty())) {
    return changed->output_parameters();
  }
  return state_.task(i).output_parameters();
}

const google::protobuf::Map<std::string, v1::ArtifactList>& Draft::output_artifacts(int i) const {
  const v1::Task* changed = Find(i);
  if (i >= state_.task_count() || (changed != nullptr && !changed->output_artifacts().empty())) {
    return changed->output_artifacts();
  }
  return state_.task(i).output_artifacts();
}

const spec::Component& Draft::component(int i) const {
  const auto& components = state_.plan().components;
  return i == 0 ? components[0] : components[static_cast<size_t>(plan(i).component)];
}

const spec::TaskPlan& Draft::plan(int i) const {
  return component(parent(i)).tasks[static_cast<size_t>(position(i))];
}

}  // namespace caudal::engine
