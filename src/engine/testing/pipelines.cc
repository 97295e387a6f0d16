#include "engine/testing/pipelines.h"

#include <boost/json.hpp>

namespace caudal::engine {
namespace {

namespace json = boost::json;

/// Reads the description and collects components on the way.
class Builder {
 public:
  explicit Builder(std::string_view text) : text_(text) {}

  json::object Dag() {
    json::object tasks;
    while (true) {
      SkipBlanks();
      if (text_.empty() || text_.front() == '}') break;
      AddTask(tasks);
    }
    return {{"dag", {{"tasks", tasks}}}};
  }

  json::object components() && { return std::move(components_); }
  json::object executors() && { return std::move(executors_); }

 private:
  void SkipBlanks() {
    while (!text_.empty() && (text_.front() == ' ' || text_.front() == '\n')) {
      text_.remove_prefix(1);
    }
  }
  std::string Word() {
    size_t end = 0;
    while (end < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[end])) != 0 ||
                                  text_[end] == '-' || text_[end] == ',')) {
      ++end;
    }
    std::string word(text_.substr(0, end));
    text_.remove_prefix(end);
    return word;
  }

  void AddTask(json::object& tasks) {
    const std::string name = Word();
    CAUDAL_CHECK(!name.empty(), "a task wants a name");
    const std::string component = "comp-" + std::to_string(components_.size());
    components_[component] = nullptr;  // keeps its number while children take theirs
    json::object task{{"taskInfo", {{"name", name}}}, {"componentRef", {{"name", component}}}};
    if (!text_.empty() && text_.front() == ':') {
      text_.remove_prefix(1);
      task["dependentTasks"] = Split(Word());
    }
    tasks[name] = task;
    if (!text_.empty() && text_.front() == '{') {
      text_.remove_prefix(1);
      json::object dag = Dag();
      components_[component] = dag;
      text_.remove_prefix(1);
      return;
    }
    const std::string executor = "exec" + component.substr(4);
    components_[component] = {
        {"executorLabel", executor},
        {"outputDefinitions", {{"parameters", {{"Output", {{"parameterType", "STRING"}}}}}}}};
    executors_[executor] = {{"container", {{"image", "none"}, {"command", {"true"}}}}};
  }

  static json::array Split(const std::string& names) {
    json::array list;
    size_t begin = 0;
    while (begin <= names.size()) {
      const size_t end = std::min(names.find(',', begin), names.size());
      list.emplace_back(names.substr(begin, end - begin));
      begin = end + 1;
    }
    return list;
  }

  std::string_view text_;
  json::object components_;
  json::object executors_;
};

}  // namespace

std::string PipelineText(std::string_view tasks) {
  Builder builder(tasks);
  json::object root = builder.Dag();
  json::object spec{{"pipelineInfo", {{"name", "test"}}},
                    {"schemaVersion", "2.1.0"},
                    {"root", root},
                    {"deploymentSpec", {{"executors", std::move(builder).executors()}}},
                    {"components", std::move(builder).components()}};
  return json::serialize(spec);
}

std::shared_ptr<const spec::Plan> PipelinePlan(std::string_view tasks) {
  auto package = spec::LoadPackage(PipelineText(tasks));
  CAUDAL_CHECK(package.ok(), package.status().message());
  auto plan = spec::MakePlan(*std::move(package));
  CAUDAL_CHECK(plan.ok(), plan.status().message());
  return *plan;
}

}  // namespace caudal::engine
