// Plays pipelines on the engine alone, for the differential test: one JSON object per line in, one
// out. Everything around the engine is made up here: steps end at once, in an order that the seed
// decides; lookups in the cache miss; imports make a new artifact; the clock jumps to the next
// timer when nothing else can happen.
//
// In:  {"pipeline", "parameters", "seed", "chaos": bool, "terminate_after": events or -1,
//       "generations": [{path: {"fails", "outputs", "artifacts"}}]}: what steps do, generation by
//       generation; after the last one the run is not retried.
// Out: {"refused": text} or {"generations": [{"state", "outputs", "artifacts", "tasks",
// "launched"}],
//       "violations": [text]}.
//
// With chaos the state is written and read back, attempts are lost, reports come twice or late, and
// timers fire too early. Always checked: at most one live attempt per task, a loop's limit,
// counters of open children, and that the events, stepped again from nothing, give the same deltas.

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <boost/json.hpp>
#include <iostream>
#include <map>
#include <random>
#include <set>

#include "engine/attempt.h"
#include "engine/step.h"
#include "model/task.h"
#include "wire/json.h"

namespace caudal::engine {
namespace {

namespace json = boost::json;

constexpr int kMaxEvents = 100'000;
constexpr int kMaxLosses = 5;  // per task; the engine gives up at 20
constexpr int kLargeRun = 300;
constexpr size_t kCheckEvery = 100;

std::string Bytes(const google::protobuf::Message& message) {
  std::string text;
  {
    google::protobuf::io::StringOutputStream stream(&text);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializeToCodedStream(&coded);
  }
  return text;
}

struct Attempt {
  int task = 0;
  int64_t key = 0;
  std::string token;
  int failures_before = 0;  // of the task in this generation
  bool started = false;
  bool is_killed = false;
};

/// One run from its creation to the end of its last generation.
class Game {
 public:
  Game(std::shared_ptr<const spec::Plan> plan, const json::object& task)
      : plan_(std::move(plan)),
        task_(task),
        state_(plan_),
        random_(static_cast<uint64_t>(task.at("seed").to_number<int64_t>())),
        chaos_(task.at("chaos").as_bool()),
        terminate_after_(task.at("terminate_after").to_number<int>()) {}

  json::object Play() {
    json::array generations;
    const json::array& does = task_.at("generations").as_array();
    for (size_t i = 0; i < does.size(); ++i) {
      does_ = &does[i].as_object();
      failures_.clear();
      launched_.clear();
      i == 0 ? Create() : Retry();
      Finish();
      generations.push_back(Report());
      if (i == 0 && state_.run().phase() == v1::RUN_SUCCEEDED) break;
    }
    Replay();
    return {{"generations", generations}, {"violations", violations_}};
  }

 private:
  void Violate(const std::string& text) {
    if (violations_.size() < 20) violations_.emplace_back(text);
  }
  bool Chance(int percent) { return static_cast<int>(random_() % 100) < percent; }
  std::string Name(int task) const { return task == 0 ? "(root)" : PathOf(state_, task); }

  void Create() {
    v1::Event event;
    v1::RunInfo& info = *event.mutable_run_created()->mutable_info();
    info.set_run_id("3f0e3c1e-1d1f-4a53-8a0f-0d9b7b8d6a11");
    info.set_display_name("my run");
    info.set_pipeline_name("test");
    info.set_resource_name("p-abcde");
    info.set_pipeline_root("minio://bucket/root");
    info.set_created_at(now_);
    info.set_scheduled_at(now_);
    for (const auto& [name, value] : task_.at("parameters").as_object()) {
      (*info.mutable_parameters())[std::string(name)] = wire::ToValue(value);
    }
    Step(std::move(event));
  }

  void Retry() {
    v1::Event event;
    event.mutable_retry_requested()->set_by("ann");
    Step(std::move(event));
    if (model::IsFinal(state_.run().phase()) && state_.run().generation() != 2) {
      Violate("a retry of the run does nothing");
    }
  }

  // Until the run has ended and nothing is under way.
  void Finish() {
    while (!model::IsFinal(state_.run().phase()) || !live_.empty() || !late_.empty()) {
      if (++event_count_ > kMaxEvents) return Violate("the run does not end");
      now_ += 1000;
      if (event_count_ == terminate_after_ && state_.run().generation() == 1) Terminate();
      if (chaos_) Disturb();
      if (!late_.empty() && Chance(30)) {
        Step(TakeLate());
      } else if (const int due = DueTimer(now_); due >= 0) {
        Fire(due);
      } else if (!live_.empty()) {
        Advance(PickLive());
      } else if (!late_.empty()) {
        Step(TakeLate());
      } else if (!JumpToTimer()) {
        if (!model::IsFinal(state_.run().phase())) Violate("nothing moves any more");
        return;
      }
    }
  }

  void Terminate() {
    v1::Event event;
    event.mutable_terminate_requested()->set_by("ann");
    event.mutable_terminate_requested()->set_grace_micros(300'000'000);
    was_terminated_ = !model::IsFinal(state_.run().phase());
    Step(std::move(event));
  }

  void Disturb() {
    if (Chance(4)) Crash();
    if (Chance(4) && !live_.empty()) {
      const Attempt attempt = live_.at(PickLive());
      if (losses_[attempt.task]++ < kMaxLosses) Report(attempt, v1::AttemptOutcome::LOST);
    }
    if (Chance(4)) {
      const int task = static_cast<int>(random_() % static_cast<uint64_t>(state_.task_count()));
      const int64_t wake_at = state_.task(task).wake_at();
      if (wake_at == 0 || wake_at > now_) MustDoNothing(Timer(task), "a timer that is not due");
    }
  }

  // As after `kill -9`: what was committed is read back, and live attempts are dispatched again.
  void Crash() {
    v1::Snapshot snapshot;
    const std::string before = Bytes(ToSnapshot(state_));
    snapshot.ParseFromString(before);
    state_ = FromSnapshot(plan_, std::move(snapshot));
    if (Bytes(ToSnapshot(state_)) != before) Violate("a snapshot does not read back");
    for (auto& [key, attempt] : live_) {
      attempt.started = false;
      if (state_.task(attempt.task).live_attempt() != key) {
        Violate("after a crash an attempt of " + Name(attempt.task) + " is forgotten");
      }
    }
  }

  static v1::Event Timer(int task) {
    v1::Event event;
    event.mutable_timer_fired()->set_task(task);
    return event;
  }

  int DueTimer(int64_t at) const {
    for (const v1::Task& task : state_.tasks()) {
      if (task.wake_at() != 0 && task.wake_at() <= at) return task.index();
    }
    return -1;
  }

  void Fire(int task) {
    const int64_t before = state_.task(task).wake_at();
    Step(Timer(task));
    if (state_.task(task).wake_at() == before) ++now_;  // a loop may ask to be woken at once again
  }

  bool JumpToTimer() {
    int64_t next = 0;
    for (const v1::Task& task : state_.tasks()) {
      if (task.wake_at() != 0 && (next == 0 || task.wake_at() < next)) next = task.wake_at();
    }
    if (next == 0) return false;
    now_ = std::max(now_, next);
    return true;
  }

  int64_t PickLive() {
    auto at = live_.begin();
    std::advance(at, static_cast<int64_t>(random_() % live_.size()));
    return at->first;
  }

  v1::Event TakeLate() {
    v1::Event event = std::move(late_.back());
    late_.pop_back();
    return event;
  }

  // A step starts, or ends; the report of its start may get lost or come too late.
  void Advance(int64_t key) {
    Attempt& attempt = live_.at(key);
    if (!attempt.started) {
      attempt.started = true;
      v1::Event event;
      event.mutable_attempt_started()->set_task(attempt.task);
      event.mutable_attempt_started()->set_attempt_key(key);
      if (chaos_ && Chance(20)) {
        late_.push_back(event);
        return;
      }
      return Step(std::move(event));
    }
    const Attempt copy = attempt;
    if (copy.is_killed && !Chance(20)) return Report(copy, v1::AttemptOutcome::KILLED);
    const json::object* does = Does(copy.task);
    const bool fails = does != nullptr && copy.failures_before < does->at("fails").to_number<int>();
    Report(copy, fails ? v1::AttemptOutcome::FAILED : v1::AttemptOutcome::SUCCEEDED);
  }

  const json::object* Does(int task) {
    const std::string path = PathOf(state_, task);
    const json::value* does = does_->if_contains(path);
    if (does == nullptr) Violate("nobody expected that " + path + " runs");
    return does == nullptr ? nullptr : &does->as_object();
  }

  void Report(const Attempt& attempt, v1::AttemptOutcome::Result result) {
    v1::Event event;
    event.mutable_attempt_finished()->set_task(attempt.task);
    v1::AttemptOutcome& outcome = *event.mutable_attempt_finished()->mutable_outcome();
    outcome.set_attempt_key(attempt.key);
    outcome.set_token(attempt.token);
    outcome.set_result(result);
    if (result == v1::AttemptOutcome::FAILED) {
      outcome.set_error_code("EXIT");
      outcome.set_error("exit 1");
      outcome.set_exit_code(1);
      ++failures_[attempt.task];
    } else if (result == v1::AttemptOutcome::SUCCEEDED) {
      FillOutputs(attempt.task, outcome);
    }
    live_.erase(attempt.key);
    if (chaos_ && Chance(20)) late_.push_back(event);
    Step(std::move(event));
  }

  void FillOutputs(int task, v1::AttemptOutcome& outcome) {
    const json::object* does = Does(task);
    if (does == nullptr) return;
    for (const auto& [name, value] : does->at("outputs").as_object()) {
      (*outcome.mutable_parameters())[std::string(name)] = wire::ToValue(value);
    }
    for (const json::value& name : does->at("artifacts").as_array()) {
      v1::Artifact artifact;
      artifact.set_name(std::string(name.as_string()));
      artifact.set_uri("mem://" + PathOf(state_, task) + "/" + artifact.name());
      artifact.set_key(++artifact_key_);
      *(*outcome.mutable_artifacts())[artifact.name()].add_artifacts() = artifact;
    }
  }

  void MustDoNothing(v1::Event event, const std::string& what) {
    const auto delta = engine::Step(state_, Stamp(event));
    if (!delta.ok() || !IsEmpty(*delta)) Violate(what + " changes something");
  }

  v1::Event& Stamp(v1::Event& event) {
    event.set_at(now_);
    event.set_first_key(next_key_);
    event.set_salt(std::to_string(random_()));
    return event;
  }

  void Step(v1::Event event) {
    Stamp(event);
    const bool is_stale = IsStale(event);
    const auto delta = engine::Step(state_, event);
    if (!delta.ok()) {
      Violate("refused: " + delta.status().message() + ": " + event.ShortDebugString());
      return;
    }
    if (is_stale && !IsEmpty(*delta)) Violate("a stale report changes something");
    next_key_ += delta->keys_used();
    Apply(state_, event, *delta);
    log_.emplace_back(event, Bytes(*delta));
    for (const v1::Command& command : delta->commands()) Obey(command);
    // Looks at every task: of a large run only now and then.
    if (state_.task_count() < kLargeRun || log_.size() % kCheckEvery == 0) CheckInvariants();
    for (const v1::Query& query : delta->queries()) Answer(query);
  }

  bool IsStale(const v1::Event& event) const {
    if (!event.has_attempt_finished()) return false;
    const v1::Event::AttemptFinished& finished = event.attempt_finished();
    return state_.task(finished.task()).live_attempt() != finished.outcome().attempt_key();
  }

  void Obey(const v1::Command& command) {
    if (command.has_kill()) {
      const auto found = live_.find(command.kill().attempt_key());
      if (found != live_.end()) found->second.is_killed = true;
      return;
    }
    const v1::Command::Launch& launch = command.launch();
    for (const auto& [key, attempt] : live_) {
      if (attempt.task == launch.task()) Violate("two live attempts of " + Name(launch.task()));
    }
    const auto spec = MakeAttemptSpec(state_, launch);
    if (!spec.ok()) Violate("no spec for " + Name(launch.task()) + ": " + spec.status().message());
    Attempt attempt;
    attempt.task = launch.task();
    attempt.key = launch.attempt_key();
    attempt.token = launch.token();
    attempt.failures_before = failures_[launch.task()];
    live_[attempt.key] = attempt;
    launched_.insert(PathOf(state_, launch.task()));
    if (was_terminated_ && !IsOfExitTask(launch.task()) && state_.run().generation() == 1) {
      Violate(Name(launch.task()) + " starts after the run was asked to end");
    }
  }

  bool IsOfExitTask(int task) const {
    for (int i = task; i > 0; i = state_.task(i).parent()) {
      if (state_.task(i).has_iteration_index()) continue;
      const int dag = ComponentOf(state_, state_.task(i).parent());
      const spec::Component& component = plan_->components[static_cast<size_t>(dag)];
      if (component.tasks[static_cast<size_t>(state_.task(i).position())].runs_always) return true;
    }
    return false;
  }

  void Answer(const v1::Query& query) {
    v1::Event event;
    if (query.has_cache_lookup()) {
      event.mutable_cache_answered()->set_task(query.cache_lookup().task());
      event.mutable_cache_answered()->set_miss("nothing is known");
    } else {
      event.mutable_import_answered()->set_task(query.import().task());
      *event.mutable_import_answered()->mutable_artifact() = query.import().artifact();
      event.mutable_import_answered()->mutable_artifact()->set_key(++artifact_key_);
    }
    Step(std::move(event));
  }

  void CheckInvariants() {
    std::map<int, int> open;
    for (const v1::Task& task : state_.tasks()) {
      if (task.index() > 0 && !model::IsFinal(task.state())) ++open[task.parent()];
      if (task.live_attempt() != 0 && live_.count(task.live_attempt()) == 0) {
        Violate("the live attempt of " + Name(task.index()) + " was never launched");
      }
    }
    for (const v1::Task& task : state_.tasks()) {
      const int count = open.count(task.index()) > 0 ? open[task.index()] : 0;
      if (model::IsFinal(task.state()) && count > 0) {
        Violate(Name(task.index()) + " has ended with open children");
      } else if (task.open_children() != count && !model::IsFinal(task.state())) {
        Violate(Name(task.index()) + " counts " + std::to_string(task.open_children()) +
                " open children of " + std::to_string(count));
      }
      const int limit = Limit(task.index());
      if (limit > 0 && count > limit) Violate(Name(task.index()) + " exceeds its parallelism");
    }
    if (model::IsFinal(state_.run().phase()) != model::IsFinal(state_.task(0).state())) {
      Violate("run and root do not agree");
    }
  }

  int Limit(int task) const {
    if (task == 0 || state_.task(task).has_iteration_index()) return 0;
    const int dag = ComponentOf(state_, state_.task(task).parent());
    const auto& plan = plan_->components[static_cast<size_t>(dag)]
                           .tasks[static_cast<size_t>(state_.task(task).position())];
    return plan.loop == nullptr ? 0 : plan.loop->parallelism;
  }

  void Replay() {
    engine::State state(plan_);
    for (const auto& [event, bytes] : log_) {
      const auto delta = engine::Step(state, event);
      if (!delta.ok() || Bytes(*delta) != bytes) {
        return Violate("stepped again, this gives another delta: " + event.ShortDebugString());
      }
      Apply(state, event, *delta);
    }
    if (Bytes(ToSnapshot(state)) != Bytes(ToSnapshot(state_))) Violate("replay ends elsewhere");
  }

  static json::object Values(
      const google::protobuf::Map<std::string, google::protobuf::Value>& values) {
    json::object object;
    for (const auto& [name, value] : values) object[name] = wire::FromValue(value);
    return object;
  }

  static json::object Uris(const google::protobuf::Map<std::string, v1::ArtifactList>& lists) {
    json::object object;
    for (const auto& [name, list] : lists) {
      json::array uris;
      for (const v1::Artifact& artifact : list.artifacts()) uris.emplace_back(artifact.uri());
      object[name] = uris;
    }
    return object;
  }

  json::object Report() const {
    json::object tasks;
    for (const v1::Task& task : state_.tasks()) {
      if (task.index() == 0) continue;
      tasks[PathOf(state_, task.index())] = {{"state", model::StateName(task.state())},
                                             {"attempts", task.attempts() - task.lost_attempts()},
                                             {"inputs", Values(task.parameters())},
                                             {"input_artifacts", Uris(task.artifacts())},
                                             {"outputs", Values(task.output_parameters())},
                                             {"artifacts", Uris(task.output_artifacts())},
                                             {"reason", task.reason()}};
    }
    json::array launched;
    for (const std::string& path : launched_) launched.emplace_back(path);
    return {{"state", v1::RunPhase_Name(state_.run().phase()).substr(4)},
            {"outputs", Values(state_.task(0).output_parameters())},
            {"artifacts", Uris(state_.task(0).output_artifacts())},
            {"tasks", tasks},
            {"launched", launched}};
  }

  std::shared_ptr<const spec::Plan> plan_;
  const json::object& task_;
  State state_;
  std::mt19937_64 random_;
  bool chaos_;
  int terminate_after_;
  bool was_terminated_ = false;
  const json::object* does_ = nullptr;
  std::map<int64_t, Attempt> live_;  // by key
  std::map<int, int> failures_;      // by task
  std::map<int, int> losses_;
  std::vector<v1::Event> late_;  // reports that come once more, or late
  std::set<std::string> launched_;
  std::vector<std::pair<v1::Event, std::string>> log_;  // with the bytes of the delta
  json::array violations_;
  int64_t now_ = 1'767'322'800'000'000;
  int64_t next_key_ = 100;
  int64_t artifact_key_ = 1000;
  int event_count_ = 0;
};

json::object PlayLine(const std::string& line) {
  const json::object task = json::parse(line).as_object();
  auto package = spec::LoadPackage(json::serialize(task.at("pipeline")));
  if (!package.ok()) return {{"refused", package.status().message()}};
  auto plan = spec::MakePlan(*std::move(package));
  if (!plan.ok()) return {{"refused", plan.status().message()}};
  return Game(*std::move(plan), task).Play();
}

}  // namespace
}  // namespace caudal::engine

int main() {
  std::string line;
  while (std::getline(std::cin, line)) {
    std::cout << boost::json::serialize(caudal::engine::PlayLine(line)) << std::endl;
  }
}
