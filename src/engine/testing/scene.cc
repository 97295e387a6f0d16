#include "engine/testing/scene.h"

#include "engine/internal/inputs.h"
#include "wire/json.h"

namespace caudal::engine {
namespace {

std::shared_ptr<const spec::Plan> ReadPlan(std::string_view text) {
  auto package = spec::LoadPackage(text);
  CAUDAL_CHECK(package.ok(), package.status().message());
  auto plan = spec::MakePlan(*std::move(package));
  CAUDAL_CHECK(plan.ok(), plan.status().message());
  return *plan;
}

void Read(std::string_view json, google::protobuf::Message* message) {
  const base::Status status = wire::FromJsonText(json, message);
  CAUDAL_CHECK(status.ok(), status.message());
}

}  // namespace

Scene::Scene(std::string_view package, std::string_view parameters)
    : state_(ReadPlan(package)), draft_(state_, event_) {
  event_.set_first_key(100);
  event_.set_salt("salt");
  info().set_run_id("3f0e3c1e-1d1f-4a53-8a0f-0d9b7b8d6a11");
  info().set_display_name("my run");
  info().set_pipeline_name("p");
  info().set_resource_name("p-abcde");
  info().set_pipeline_root("minio://bucket/root");
  info().set_created_at(1'767'322'800'000'000);
  const int root = draft_.Add();
  google::protobuf::Struct given;
  Read(parameters, &given);
  for (const auto& [name, value] : given.fields()) {
    (*draft_.Change(root).mutable_parameters())[name] = value;
  }
  Open(root);
}

void Scene::Open(int dag) {
  const auto& tasks = draft_.component(dag).tasks;
  draft_.Change(dag).set_first_child(draft_.task_count());
  draft_.Change(dag).set_execution_key(draft_.TakeKey());
  const int first = draft_.task_count();
  for (size_t i = 0; i < tasks.size(); ++i) {
    v1::Task& child = draft_.Change(draft_.Add());
    child.set_parent(dag);
    child.set_position(static_cast<int>(i));
    child.set_name(tasks[i].name);
  }
  for (size_t i = 0; i < tasks.size(); ++i) {
    const int child = first + static_cast<int>(i);
    if (draft_.is_dag(child)) Open(child);
  }
}

int Scene::Find(const std::string& path) const {
  int index = 0;
  for (size_t start = 0; start < path.size();) {
    const size_t end = std::min(path.find('/', start), path.size());
    const auto& positions = draft_.component(index).position;
    const auto found = positions.find(path.substr(start, end - start));
    CAUDAL_CHECK(found != positions.end(), "no task " + path);
    index = draft_.first_child(index) + found->second;
    start = end + 1;
  }
  return index;
}

int Scene::Enter(const std::string& path) {
  const int index = Find(path);
  for (size_t end = path.find('/');; end = path.find('/', end + 1)) {
    const base::Status status = ResolveInputs(draft_, Find(path.substr(0, end)));
    CAUDAL_CHECK(status.ok(), status.message());
    if (end == path.npos) return index;
  }
}

void Scene::SetOutput(const std::string& path, const std::string& output, std::string_view json) {
  Read(json, &(*draft_.Change(Find(path)).mutable_output_parameters())[output]);
}

}  // namespace caudal::engine
