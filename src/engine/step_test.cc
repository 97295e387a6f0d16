// Engine behaviour as data: tests/conformance/engine/<case>/ holds a pipeline (pipeline.yaml, or
// one line for the test builder in tasks.txt), script.txt (what happens) and want.trace.txt (what
// follows). CAUDAL_UPDATE_GOLDENS=1 rewrites the traces.
//
// Script lines: create [name=json …] | start TASK | succeed TASK [output=json … @artifact=uri …] |
// fail TASK TEXT | wait TASK TEXT | lose TASK | killed TASK | stale TASK | terminate | terminate
// now | retry | tick SECONDS (time passes, due timers fire) | hit TASK [output=json …] (answers the
// task's next question to the cache; without it nothing is found) | known TASK (the artifact it
// imports exists) | inputs TASK | outputs TASK | artifacts TASK

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "base/file.h"
#include "engine/attempt.h"
#include "engine/step.h"
#include "engine/testing/pipelines.h"
#include "model/task.h"
#include "wire/json.h"

namespace caudal::engine {
namespace {

namespace fs = std::filesystem;

const fs::path kCases = "tests/conformance/engine";

std::shared_ptr<const spec::Plan> LoadPlan(const fs::path& dir) {
  if (fs::exists(dir / "tasks.txt")) return PipelinePlan(*base::ReadFile(dir / "tasks.txt"));
  auto package = spec::LoadPackage(*base::ReadFile(dir / "pipeline.yaml"));
  CAUDAL_CHECK(package.ok(), package.status().message());
  auto plan = spec::MakePlan(*std::move(package));
  CAUDAL_CHECK(plan.ok(), plan.status().message());
  return *plan;
}

/// Plays a script and writes down what follows.
class Player {
 public:
  explicit Player(std::shared_ptr<const spec::Plan> plan) : state_(std::move(plan)) {}

  std::string Play(const std::string& script) {
    std::istringstream lines(script);
    std::string line;
    while (std::getline(lines, line)) {
      if (line.empty() || line[0] == '#') continue;
      trace_ << "> " << line << "\n";
      Do(line);
    }
    return trace_.str();
  }

 private:
  using Values = google::protobuf::Map<std::string, google::protobuf::Value>;

  void Do(const std::string& line) {
    std::istringstream words(line);
    std::string verb;
    std::string subject;
    words >> verb >> subject;
    if (verb == "inputs") return Show(state_.task(Find(subject)).parameters());
    if (verb == "outputs") return Show(state_.task(Find(subject)).output_parameters());
    if (verb == "artifacts") return ShowArtifacts(subject);
    if (verb == "tick") return Tick(std::stoll(subject));
    if (verb == "hit") {
      std::string rest;
      std::getline(words >> std::ws, rest);
      ReadValues(rest, &hits_[subject]);
      return;
    }
    if (verb == "known") {
      known_.insert(subject);
      return;
    }
    now_ += 1'000'000;
    v1::Event event;
    if (verb == "create") {
      FillCreate(line.substr(6), event.mutable_run_created()->mutable_info());
    } else if (verb == "terminate") {
      event.mutable_terminate_requested()->set_by("ann");
      event.mutable_terminate_requested()->set_now(subject == "now");
      event.mutable_terminate_requested()->set_grace_micros(300'000'000);
    } else if (verb == "retry") {
      event.mutable_retry_requested()->set_by("ann");
    } else if (verb == "wait") {
      std::string reason;
      std::getline(words >> std::ws, reason);
      event.mutable_attempt_waiting()->set_task(Find(subject));
      event.mutable_attempt_waiting()->set_attempt_key(state_.task(Find(subject)).live_attempt());
      event.mutable_attempt_waiting()->set_reason(reason);
    } else if (verb == "start") {
      event.mutable_attempt_started()->set_task(Find(subject));
      event.mutable_attempt_started()->set_attempt_key(state_.task(Find(subject)).live_attempt());
    } else {
      std::string rest;
      std::getline(words >> std::ws, rest);
      FillOutcome(verb, subject, rest, event.mutable_attempt_finished());
    }
    Step(event);
  }

  void FillCreate(const std::string& values, v1::RunInfo* info) {
    info->set_run_id("3f0e3c1e-1d1f-4a53-8a0f-0d9b7b8d6a11");
    info->set_display_name("my run");
    info->set_pipeline_name("p");
    info->set_resource_name("p-abcde");
    info->set_pipeline_root("minio://bucket/root/?endpoint=x");
    info->set_created_at(1'767'322'800'000'000);
    info->set_scheduled_at(info->created_at());
    ReadValues(values, info->mutable_parameters());
  }

  void FillOutcome(const std::string& verb, const std::string& task, const std::string& rest,
                   v1::Event::AttemptFinished* finished) {
    const v1::Task& of = state_.task(Find(task));
    finished->set_task(of.index());
    v1::AttemptOutcome& outcome = *finished->mutable_outcome();
    outcome.set_attempt_key(of.live_attempt());
    outcome.set_token(verb == "stale" ? "of another attempt" : of.live_token());
    outcome.set_error(rest);
    if (verb == "succeed" || verb == "stale") {
      outcome.set_result(v1::AttemptOutcome::SUCCEEDED);
      outcome.clear_error();
      ReadOutputs(rest, &outcome);
    } else if (verb == "fail") {
      outcome.set_result(v1::AttemptOutcome::FAILED);
      outcome.set_error_code("EXIT");
    } else {
      CAUDAL_CHECK(verb == "lose" || verb == "killed", "unknown verb " + verb);
      outcome.set_result(verb == "lose" ? v1::AttemptOutcome::LOST : v1::AttemptOutcome::KILLED);
    }
  }

  // Values, and artifacts as "@model=minio://x".
  void ReadOutputs(const std::string& text, v1::AttemptOutcome* outcome) {
    std::istringstream words(text);
    std::string word;
    std::string values;
    while (words >> word) {
      if (word[0] != '@') {
        values += word + " ";
        continue;
      }
      const size_t equals = word.find('=');
      const std::string name = word.substr(1, equals - 1);
      v1::Artifact& artifact = *(*outcome->mutable_artifacts())[name].add_artifacts();
      artifact.set_name(name);
      artifact.set_uri(word.substr(equals + 1));
      artifact.set_key(next_key_++);
    }
    ReadValues(values, outcome->mutable_parameters());
  }

  // "a=1 b={"x":2}": values hold no blanks.
  static void ReadValues(const std::string& text,
                         google::protobuf::Map<std::string, google::protobuf::Value>* values) {
    std::istringstream words(text);
    std::string word;
    while (words >> word) {
      const size_t equals = word.find('=');
      const auto read =
          wire::FromJsonText(word.substr(equals + 1), &(*values)[word.substr(0, equals)]);
      CAUDAL_CHECK(read.ok(), read.message());
    }
  }

  // Fires what is due on the way, each at its time.
  void Tick(int64_t seconds) {
    const int64_t until = now_ + seconds * 1'000'000;
    while (true) {
      const v1::Task* next = nullptr;
      for (const v1::Task& task : state_.tasks()) {
        const bool is_due = task.wake_at() > 0 && task.wake_at() <= until;
        if (is_due && (next == nullptr || task.wake_at() < next->wake_at())) next = &task;
      }
      if (next == nullptr) break;
      now_ = std::max(now_, next->wake_at());
      v1::Event event;
      event.mutable_timer_fired()->set_task(next->index());
      trace_ << "  timer of " << Name(next->index()) << " at " << now_ / 1'000'000 << " s\n";
      Step(event);
    }
    now_ = until;
  }

  void Step(v1::Event event) {
    event.set_at(now_);
    event.set_first_key(next_key_);
    event.set_salt("salt" + std::to_string(++events_));
    const auto delta = engine::Step(state_, event);
    if (!delta.ok()) {
      trace_ << "  refused: " << delta.status().message() << "\n";
      return;
    }
    if (IsEmpty(*delta)) trace_ << "  nothing\n";
    next_key_ += delta->keys_used();
    Apply(state_, event, *delta);
    for (const v1::Task& task : delta->tasks()) {
      if (!task.has_state() && !task.has_reason()) continue;
      const v1::Task& now = state_.task(task.index());
      trace_ << "  " << Name(task.index()) << " " << model::StateName(now.state());
      if (!now.reason().empty()) trace_ << "  " << now.reason();
      trace_ << "\n";
    }
    for (const v1::Command& command : delta->commands()) Show(command);
    if (delta->run().has_phase()) {
      trace_ << "  run " << v1::RunPhase_Name(delta->run().phase()).substr(4);
      if (!state_.run().error().empty()) trace_ << "  " << state_.run().error();
      trace_ << "\n";
      if (model::IsFinal(delta->run().phase())) ShowOutputs();
    }
    for (const v1::Query& query : delta->queries()) Answer(query);
  }

  void Answer(const v1::Query& query) {
    v1::Event event;
    if (query.has_import()) {
      const std::string path = PathOf(state_, query.import().task());
      auto& answer = *event.mutable_import_answered();
      answer.set_task(query.import().task());
      *answer.mutable_artifact() = query.import().artifact();
      answer.set_is_known(known_.count(path) > 0 && !query.import().reimport());
      answer.mutable_artifact()->set_key(answer.is_known() ? 7 : next_key_++);
      google::protobuf::Value metadata;
      *metadata.mutable_struct_value() = answer.artifact().metadata();
      trace_ << "  imports " << path << " from " << answer.artifact().uri() << " with "
             << wire::ValueToGoJson(metadata) << "\n";
      return Step(event);
    }
    const std::string path = PathOf(state_, query.cache_lookup().task());
    auto& answer = *event.mutable_cache_answered();
    answer.set_task(query.cache_lookup().task());
    answer.set_realm("host");
    const auto hit = hits_.find(path);
    trace_ << "  looks up " << path << ": " << (hit == hits_.end() ? "nothing" : "found") << "\n";
    if (hit == hits_.end()) {
      answer.set_miss("nothing was kept of it yet");
    } else {
      answer.mutable_hit()->set_run_id("an-earlier-run");
      answer.mutable_hit()->set_task_id("its-task");
      *answer.mutable_hit()->mutable_parameters() = hit->second;
    }
    Step(event);
  }

  void Show(const v1::Command& command) {
    if (command.has_launch()) {
      trace_ << "  launch " << PathOf(state_, command.launch().task()) << "#"
             << command.launch().attempt_number() << "\n";
      const auto spec = MakeAttemptSpec(state_, command.launch());
      if (!spec.ok()) trace_ << "  no spec: " << spec.status().message() << "\n";
    } else {
      trace_ << "  kill " << PathOf(state_, command.kill().task())
             << (command.kill().now() ? " now" : "") << "\n";
    }
  }

  void Show(const Values& values, const std::string& what = "") {
    const std::map<std::string, google::protobuf::Value> sorted(values.begin(), values.end());
    for (const auto& [name, value] : sorted) {
      trace_ << "  " << what << name << "=" << wire::ValueToGoJson(value) << "\n";
    }
  }

  // Inputs and outputs as lists of keys and URIs.
  void ShowArtifacts(const std::string& task) {
    const v1::Task& of = state_.task(Find(task));
    const auto show = [&](const char* what, const auto& artifacts) {
      const std::map<std::string, v1::ArtifactList> sorted(artifacts.begin(), artifacts.end());
      for (const auto& [name, list] : sorted) {
        trace_ << "  " << what << " " << name << ":";
        for (const v1::Artifact& artifact : list.artifacts()) trace_ << " " << artifact.uri();
        trace_ << "\n";
      }
    };
    show("in", of.artifacts());
    show("out", of.output_artifacts());
  }

  void ShowOutputs() { Show(state_.task(0).output_parameters(), "output "); }

  std::string Name(int index) const { return index == 0 ? "(root)" : PathOf(state_, index); }

  int Find(const std::string& path) const {
    for (int i = 0; i < state_.task_count(); ++i) {
      if (PathOf(state_, i) == path) return i;
    }
    CAUDAL_CHECK(false, "no task " + path);
  }

  State state_;
  std::ostringstream trace_;
  std::map<std::string, Values> hits_;  // by task path
  std::set<std::string> known_;         // paths of importers whose artifact exists
  int64_t now_ = 0;                     // microseconds
  int64_t events_ = 0;
  int64_t next_key_ = 100;
};

class EngineCase : public testing::Test {
 public:
  explicit EngineCase(fs::path dir) : dir_(std::move(dir)) {}
  void TestBody() override {
    const std::string trace = Player(LoadPlan(dir_)).Play(*base::ReadFile(dir_ / "script.txt"));
    if (std::getenv("CAUDAL_UPDATE_GOLDENS") != nullptr) {
      std::ofstream(dir_ / "want.trace.txt") << trace;
      return;
    }
    EXPECT_EQ(trace, *base::ReadFile(dir_ / "want.trace.txt"));
  }

 private:
  fs::path dir_;
};

const bool kRegistered = [] {
  for (const auto& entry : fs::directory_iterator(kCases)) {
    const fs::path dir = entry.path();
    testing::RegisterTest("Engine", dir.filename().c_str(), nullptr, nullptr, __FILE__, __LINE__,
                          [dir]() -> testing::Test* { return new EngineCase(dir); });
  }
  return true;
}();

TEST(Apply, ProvenanceIsOfTheLastAttempt) {
  State state(PipelinePlan("a"));
  v1::Delta delta;
  v1::Task& task = *delta.add_tasks();
  task.set_index(0);
  task.mutable_provenance()->add_notes("a stand-in");
  Apply(state, {}, delta);
  Apply(state, {}, delta);
  EXPECT_EQ(state.task(0).provenance().notes_size(), 1);
}

TEST(Step, AFailedTaskKeepsItsTraceback) {
  State state(PipelinePlan("a"));
  const auto step = [&](v1::Event event) {
    event.set_at(1);
    event.set_first_key(100);
    event.set_salt("salt");
    const auto delta = engine::Step(state, event);
    ASSERT_TRUE(delta.ok()) << delta.status().message();
    Apply(state, event, *delta);
  };
  v1::Event created;
  created.mutable_run_created()->mutable_info()->set_run_id("r");
  step(created);
  v1::Event ended;
  v1::AttemptOutcome& outcome = *ended.mutable_attempt_finished()->mutable_outcome();
  ended.mutable_attempt_finished()->set_task(1);
  outcome.set_attempt_key(state.task(1).live_attempt());
  outcome.set_token(state.task(1).live_token());
  outcome.set_result(v1::AttemptOutcome::FAILED);
  outcome.mutable_traceback()->set_exception("KeyError: 'a'");
  outcome.mutable_traceback()->set_line(7);
  step(ended);
  EXPECT_EQ(state.task(1).traceback().exception(), "KeyError: 'a'");
  EXPECT_EQ(state.task(1).traceback().line(), 7);
}

TEST(Apply, ATracebackReplacesTheOneBefore) {
  State state(PipelinePlan("a"));
  v1::Delta delta;
  v1::Task& task = *delta.add_tasks();
  task.set_index(0);
  task.mutable_traceback()->set_line(7);
  Apply(state, {}, delta);
  task.mutable_traceback()->Clear();
  Apply(state, {}, delta);
  EXPECT_EQ(state.task(0).traceback().line(), 0);
}

TEST(EngineCases, AreFound) { EXPECT_TRUE(kRegistered); }

}  // namespace
}  // namespace caudal::engine
