#include "orchestrator/testing/random_pipeline.h"

#include <boost/json.hpp>
#include <map>
#include <optional>
#include <random>
#include <string_view>
#include <vector>

#include "base/sha256.h"
#include "executor/testing/fake_executor.h"
#include "wire/json.h"

namespace caudal::orchestrator {
namespace {

namespace json = boost::json;

constexpr int kMostComponents = 14;
constexpr int kDeepest = 3;

/// A value that a task may take as input.
struct Source {
  std::string type;      // "STRING" or "LIST"
  json::object binding;  // TaskInputsSpec.InputParameterSpec
  std::string producer;  // sibling that makes it; empty for an input of the DAG
};

class Generator {
 public:
  explicit Generator(uint64_t seed) : random_(seed) {}

  std::string Text() {
    json::object root = Dag(0, {});
    const json::object spec{{"pipelineInfo", {{"name", "test"}}},
                            {"schemaVersion", "2.1.0"},
                            {"root", std::move(root)},
                            {"deploymentSpec", {{"executors", std::move(executors_)}}},
                            {"components", std::move(components_)}};
    const json::object platform{
        {"platforms",
         {{"kubernetes", {{"deploymentSpec", {{"executors", std::move(platform_)}}}}}}}};
    return json::serialize(spec) + "\n---\n" + json::serialize(platform) + "\n";
  }

 private:
  /// Tasks of one DAG in the making.
  struct Scope {
    json::object tasks;
    std::vector<Source> sources;
    std::vector<std::string> names;  // of all tasks
    std::vector<std::string> steps;  // of those with output `Output`
  };

  uint64_t Pick(uint64_t n) { return random_() % n; }
  bool Chance(int percent) { return Pick(100) < static_cast<uint64_t>(percent); }
  std::string Name(std::string_view kind) { return std::string(kind) + std::to_string(++count_); }

  json::object Dag(int depth, const std::vector<Source>& inputs, json::object* outputs = nullptr) {
    Scope scope;
    scope.sources = inputs;
    AddStep(scope, {});
    for (uint64_t left = depth == 0 ? 4 + Pick(4) : Pick(4); left > 0 && count_ < kMostComponents;
         --left)
      AddAny(scope, depth);
    if (outputs != nullptr) {
      (*outputs)["all"] = {
          {"valueFromParameter",
           {{"outputParameterKey", "Output"}, {"producerSubtask", scope.steps.front()}}}};
      return {{"dag", {{"tasks", scope.tasks}, {"outputs", {{"parameters", *outputs}}}}}};
    }
    return {{"dag", {{"tasks", scope.tasks}}}};
  }

  void AddAny(Scope& scope, int depth) {
    const uint64_t roll = Pick(100);
    const bool may_nest = depth < kDeepest;
    if (roll < 25 && may_nest) return AddLoop(scope, depth);
    if (roll < 38 && may_nest) return AddCondition(scope, depth);
    if (roll < 48 && may_nest) return AddHandler(scope, depth);
    if (roll < 55) return AddImport(scope);
    AddStep(scope, {});
  }

  // What a task takes from the scope: `wanted` inputs of random sources, or of the one given.
  json::object Take(Scope& scope, const std::vector<Source>& sources, json::object* task,
                    json::object* declared, std::vector<Source>* inner = nullptr) {
    json::object parameters;
    json::array upstream;
    for (const Source& source : sources) {
      const std::string name = "x" + std::to_string(parameters.size());
      parameters[name] = source.binding;
      (*declared)[name] = {{"parameterType", source.type}};
      if (!source.producer.empty()) upstream.emplace_back(source.producer);
      if (inner != nullptr) {
        inner->push_back({source.type, {{"componentInputParameter", name}}, ""});
      }
    }
    if (!scope.names.empty() && Chance(25)) {
      upstream.emplace_back(scope.names[Pick(scope.names.size())]);
    }
    if (!upstream.empty()) (*task)["dependentTasks"] = upstream;
    return parameters;
  }

  std::vector<Source> Some(const Scope& scope, uint64_t most) {
    std::vector<Source> some;
    for (uint64_t left = scope.sources.empty() ? 0 : Pick(most + 1); left > 0; --left) {
      some.push_back(scope.sources[Pick(scope.sources.size())]);
    }
    return some;
  }

  std::optional<Source> OneOf(const Scope& scope, std::string_view type) {
    std::vector<Source> fitting;
    for (const Source& source : scope.sources) {
      if (source.type == type) fitting.push_back(source);
    }
    if (fitting.empty()) return std::nullopt;
    return fitting[Pick(fitting.size())];
  }

  void MayRetry(json::object& task, int percent) {
    if (!Chance(percent)) return;
    const char* const delays[] = {"0s", "1s", "30s"};
    task["retryPolicy"] = {{"maxRetryCount", Pick(4)},
                           {"backoffDuration", delays[Pick(3)]},
                           {"backoffFactor", 2.0},
                           {"backoffMaxDuration", "0s"}};
  }

  json::object Call(const std::string& name) {
    return {{"taskInfo", {{"name", name}}}, {"componentRef", {{"name", "comp-" + name}}}};
  }

  void Keep(Scope& scope, const std::string& name, json::object task, json::object component) {
    scope.tasks[name] = std::move(task);
    scope.names.push_back(name);
    components_["comp-" + name] = std::move(component);
  }

  // `fixed`: inputs it has beside the random ones, with their declared types.
  std::string AddStep(Scope& scope, const json::object& artifacts) {
    const std::string name = Name("step");
    json::object task = Call(name);
    json::object declared;
    const json::object parameters = Take(scope, Some(scope, 2), &task, &declared);
    MayRetry(task, 30);
    if (Chance(60)) task["cachingOptions"] = {{"enableCache", true}};
    json::object inputs{{"parameters", parameters}};
    json::object definitions{{"parameters", declared}};
    if (!artifacts.empty()) {
      inputs["artifacts"] = artifacts;
      definitions["artifacts"] = {{"data", {{"artifactType", Type("system.Dataset")}}}};
      json::array upstream{artifacts.at("data").at("taskOutputArtifact").at("producerTask")};
      if (const auto* more = task.if_contains("dependentTasks")) {
        for (const json::value& one : more->as_array()) upstream.push_back(one);
      }
      task["dependentTasks"] = upstream;
    }
    task["inputs"] = inputs;
    Keep(scope, name, std::move(task), Leaf(name, definitions));
    scope.steps.push_back(name);
    scope.sources.push_back({"STRING", FromTask(name, "Output"), name});
    scope.sources.push_back({"LIST", FromTask(name, "items"), name});
    return name;
  }

  static json::object Type(std::string_view title) {
    return {{"schemaTitle", title}, {"schemaVersion", "0.0.1"}};
  }

  static json::object FromTask(const std::string& name, std::string_view output) {
    return {{"taskOutputParameter", {{"producerTask", name}, {"outputParameterKey", output}}}};
  }

  json::object Leaf(const std::string& name, const json::object& definitions) {
    json::array command{"ok"};
    const uint64_t roll = Pick(100);
    if (roll < 12) command = {"fail-first", std::to_string(1 + Pick(3))};
    if (roll >= 12 && roll < 15) command = {"fail-first", "99"};
    if (roll >= 15 && roll < 18) {
      command = {"hang"};
      platform_["exec-" + name] = {{"activeDeadlineSeconds", 20}};
    }
    executors_["exec-" + name] = {{"container", {{"image", name}, {"command", command}}}};
    json::object outputs{
        {"parameters",
         {{"Output", {{"parameterType", "STRING"}}}, {"items", {{"parameterType", "LIST"}}}}}};
    if (Chance(30)) outputs["artifacts"] = {{"model", {{"artifactType", Type("system.Model")}}}};
    json::object component{{"executorLabel", "exec-" + name}, {"outputDefinitions", outputs}};
    if (!definitions.empty()) component["inputDefinitions"] = definitions;
    return component;
  }

  void AddLoop(Scope& scope, int depth) {
    const uint64_t limit = Pick(3);
    const std::string name = Name("loop") + "-p" + std::to_string(limit);
    json::object task = Call(name);
    std::vector<Source> taken = Some(scope, 1);
    const std::optional<Source> list = Chance(60) ? OneOf(scope, "LIST") : std::nullopt;
    if (list) taken.push_back(*list);
    json::object declared;
    std::vector<Source> inner;
    json::object parameters = Take(scope, taken, &task, &declared, &inner);
    const std::string list_input = "x" + std::to_string(taken.size() - 1);
    static constexpr const char* kLists[] = {"[]", "[\"a\"]", "[\"a\",\"b\",\"c\"]"};
    json::object items;
    if (list) {
      items = {{"inputParameter", list_input}};
    } else {
      items = {{"raw", kLists[Pick(3)]}};
    }
    task["parameterIterator"] = {{"itemInput", "item"}, {"items", items}};
    if (limit > 0) task["iteratorPolicy"] = {{"parallelismLimit", limit}};
    declared["item"] = {{"parameterType", "STRING"}};
    inner.push_back({"STRING", {{"componentInputParameter", "item"}}, ""});
    MayRetry(task, 15);
    task["inputs"] = {{"parameters", parameters}};
    json::object outputs;
    json::object component = Dag(depth + 1, inner, &outputs);
    component["inputDefinitions"] = {{"parameters", declared}};
    component["outputDefinitions"] = {{"parameters", {{"all", {{"parameterType", "LIST"}}}}}};
    Keep(scope, name, std::move(task), std::move(component));
    scope.sources.push_back({"LIST", FromTask(name, "all"), name});
  }

  void AddCondition(Scope& scope, int depth) {
    const std::optional<Source> decides = OneOf(scope, "STRING");
    if (!decides) return;
    const std::string name = Name("cond");
    json::object task = Call(name);
    json::object declared;
    std::vector<Source> inner;
    const json::object parameters = Take(scope, {*decides}, &task, &declared, &inner);
    task["inputs"] = {{"parameters", parameters}};
    task["triggerPolicy"] = {{"condition", "inputs.parameter_values['x0'] == '" +
                                               std::string(Chance(50) ? "h" : "t") + "'"}};
    json::object component = Dag(depth + 1, inner);
    component["inputDefinitions"] = {{"parameters", declared}};
    Keep(scope, name, std::move(task), std::move(component));
  }

  // A sub-pipeline and a step that follows it whatever became of it.
  void AddHandler(Scope& scope, int depth) {
    const std::string name = Name("handler");
    json::object task = Call(name);
    json::object declared;
    std::vector<Source> inner;
    const json::object parameters = Take(scope, Some(scope, 1), &task, &declared, &inner);
    task["inputs"] = {{"parameters", parameters}};
    MayRetry(task, 30);
    json::object component = Dag(depth + 1, inner);
    if (!declared.empty()) component["inputDefinitions"] = {{"parameters", declared}};
    Keep(scope, name, std::move(task), std::move(component));

    const std::string exit = Name("exit");
    json::object exit_task = Call(exit);
    exit_task["dependentTasks"] = json::array{json::value(name)};
    exit_task["triggerPolicy"] = {{"strategy", "ALL_UPSTREAM_TASKS_COMPLETED"}};
    exit_task["inputs"] = {
        {"parameters", {{"status", {{"taskFinalStatus", {{"producerTask", name}}}}}}}};
    const json::object definitions{
        {"parameters", {{"status", {{"parameterType", "TASK_FINAL_STATUS"}}}}}};
    Keep(scope, exit, std::move(exit_task), Leaf(exit, definitions));
  }

  void AddImport(Scope& scope) {
    const std::string name = Name("import");
    const std::string uri = "minio://bucket/data-" + std::to_string(Pick(3));
    json::object task = Call(name);
    task["inputs"] = {{"parameters", {{"uri", {{"runtimeValue", {{"constant", uri}}}}}}}};
    executors_["exec-" + name] = {{"importer",
                                   {{"artifactUri", {{"constant", uri}}},
                                    {"reimport", Chance(30)},
                                    {"typeSchema", Type("system.Dataset")}}}};
    Keep(scope, name, std::move(task),
         {{"executorLabel", "exec-" + name},
          {"inputDefinitions", {{"parameters", {{"uri", {{"parameterType", "STRING"}}}}}}},
          {"outputDefinitions",
           {{"artifacts", {{"artifact", {{"artifactType", Type("system.Dataset")}}}}}}}});
    AddStep(
        scope,
        {{"data",
          {{"taskOutputArtifact", {{"producerTask", name}, {"outputArtifactKey", "artifact"}}}}}});
  }

  std::mt19937_64 random_;
  json::object components_;
  json::object executors_;
  json::object platform_;
  int count_ = 0;
};

}  // namespace

std::string RandomPipelineText(uint64_t seed) { return Generator(seed).Text(); }

std::optional<v1::AttemptOutcome> RunStep(const v1::AttemptSpec& spec) {
  const auto& command = spec.container().command();
  if (command.at(0) == "hang") return std::nullopt;
  if (command.at(0) == "fail-first" && spec.retry_index() < std::stoi(command.at(1))) {
    v1::AttemptOutcome failed;
    failed.set_result(v1::AttemptOutcome::FAILED);
    failed.set_exit_code(3);
    failed.set_error_code("EXIT");
    failed.set_error("exit code 3");
    return failed;
  }
  std::string facts = spec.container().image();
  std::map<std::string, google::protobuf::Value> inputs(spec.parameters().begin(),
                                                        spec.parameters().end());
  inputs.erase("status");  // names the run
  for (const auto& [name, value] : inputs) facts += "\n" + name + wire::ValueToGoJson(value);
  const std::string digest = base::Sha256Hex(facts);
  v1::AttemptOutcome outcome = executor::FakeExecutor::DefaultOutcome(spec);
  const int64_t number = std::stoll(digest.substr(0, 6), nullptr, 16);
  (*outcome.mutable_parameters())["Output"].set_string_value(number % 2 == 0 ? "h" : "t");
  auto& items = *(*outcome.mutable_parameters())["items"].mutable_list_value();
  for (int64_t i = 0; i < number / 2 % 4; ++i) {
    items.add_values()->set_string_value("item-" + std::to_string(number / 8 % 16 + i));
  }
  return outcome;
}

}  // namespace caudal::orchestrator
