#include "orchestrator/testing/simulated_world.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <gtest/gtest.h>

#include <set>

#include "engine/step.h"
#include "model/task.h"
#include "orchestrator/testing/random_pipeline.h"
#include "store/run_log.h"
#include "wire/json.h"

namespace caudal::orchestrator {
namespace {

using base::Status;

constexpr auto kGrace = std::chrono::minutes(5);

std::shared_ptr<const spec::Plan> PlanOfText(const std::string& text) {
  auto package = spec::LoadPackage(text);
  CAUDAL_CHECK(package.ok(), package.status().message() + "\n" + text);
  auto plan = spec::MakePlan(*std::move(package));
  CAUDAL_CHECK(plan.ok(), plan.status().message() + "\n" + text);
  return *plan;
}

// The same bytes for equal messages, maps included.
std::string Bytes(const google::protobuf::Message& message) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializeToCodedStream(&coded);
  }
  return bytes;
}

bool HasEnded(const store::Run& row) {
  return model::IsFinal(static_cast<v1::RunPhase>(row.phase));
}

}  // namespace

World::World(const Scenario& scenario, uint64_t seed)
    : scenario_(scenario),
      plan_(PlanOfText(scenario.text)),
      random_(seed),
      store_(*store::Store::Open(":memory:")) {
  executor_.SetProgram([](const v1::AttemptSpec& spec) {
    // Scenarios by hand have steps that say nothing of what they do.
    return spec.container().image() == "none" ? executor::FakeExecutor::DefaultOutcome(spec)
                                              : RunStep(spec);
  });
  for (const std::string& task : scenario.failing) executor_.ScriptFailure(task);
  Boot();
}

World::~World() { StopFailing(); }

void World::Boot() {
  orchestrator_ = std::make_unique<Orchestrator>(
      *store_, executor_, clock_, [this] { return std::to_string(random_()); }, Options{kGrace});
  const Status recovered = orchestrator_->Recover();
  ASSERT_TRUE(recovered.ok()) << recovered.ToString();
}

void World::FailAtStatement(int n) {
  store_->writer_for_test().SetFaultHookForTest([this, n](std::string_view) mutable {
    if (!is_down_ && --n > 0) return Status();
    is_down_ = true;
    return base::Unavailable("the power is gone");
  });
}

void World::StopFailing() { store_->writer_for_test().SetFaultHookForTest(nullptr); }

void World::RequestRun(const std::string& id) {
  NewRun run;
  run.row.id = id;
  run.row.display_name = id;
  run.row.spec = scenario_.text;
  run.row.phase = v1::RUN_PENDING;
  run.plan = plan_;
  run.info.set_run_id(id);
  run.info.set_pipeline_name("test");
  run.info.set_pipeline_root("minio://bucket/root");
  orchestrator_->PostCreate(std::move(run), [this, id](base::Result<int64_t> key) {
    if (key.ok()) keys_[id] = *key;
    if (key.status().code() != base::Code::kAlreadyExists) return;
    // An earlier request was carried out, but its answer was lost.
    store_->writer_for_test()
        .Query("SELECT key FROM run WHERE id=$1", {std::string_view(id)},
               [&](const sql::Row& row) { keys_[id] = row.Int(0); })
        .ok();
  });
}

void World::RequestEnd(const std::string& id, bool now) {
  if (!IsAcknowledged(id)) return;
  orchestrator_->PostTerminate(keys_[id], "somebody", now, [](Status) {});
}

int World::RetryRuns(const Ending& expected) {
  std::vector<int64_t> wrong;
  const Status read = store_->Read([&](sql::Database& database) -> Status {
    for (const auto& [id, key] : keys_) {
      CAUDAL_ASSIGN(const store::Run row, store::GetRunByKey(database, key));
      const bool is_failed = row.phase == v1::RUN_FAILED && generations_ == 1 && Pick(4) == 0;
      if (row.phase != expected.phase || is_failed) wrong.push_back(key);
    }
    return {};
  });
  EXPECT_TRUE(read.ok()) << read.ToString();
  for (const int64_t key : wrong) {
    orchestrator_->PostRetry(key, "somebody", [](Status) {});
  }
  if (!wrong.empty()) ++generations_;
  return static_cast<int>(wrong.size());
}

void World::Tick() {
  clock_.Advance(std::chrono::milliseconds(7));
  switch (Pick(9)) {
    case 0:
    case 1:
      Each(executor_.Queued(), [&](int64_t key) { executor_.Start(key); });
      break;
    case 2:
    case 3:
      Each(executor_.Live(), [&](int64_t key) { executor_.Finish(key); });
      break;
    case 4:
      if (Pick(6) == 0) Each(executor_.Live(), [&](int64_t key) { executor_.Lose(key); });
      break;
    case 5:
      executor_.Deliver();
      break;
    case 6:
      if (Pick(4) == 0) clock_.Advance(std::chrono::seconds(Pick(40)));
      break;
    default:
      Pump();
  }
  CheckParallelism();
}

void World::Crash() {
  ++crash_count_;
  executor_.Disconnect();
  orchestrator_.reset();
  StopFailing();
  is_down_ = false;
  Boot();
}

void World::RunToEnd() {
  constexpr int kMostRounds = 100'000;
  for (int round = 0; round < kMostRounds; ++round) {
    bool moved = false;
    for (const int64_t key : executor_.Queued()) {
      executor_.Start(key);
      moved = true;
    }
    CheckParallelism();
    for (const int64_t key : executor_.Live()) moved = executor_.Finish(key) || moved;
    moved = executor_.Deliver() || moved;
    moved = Pump() || moved;
    if (moved) continue;
    const auto next = orchestrator_->NextTimer();
    if (!next) return;
    if (*next > clock_.Now()) clock_.Advance(*next - clock_.Now());
  }
  FAIL() << "the runs do not come to an end";
}

bool World::Pump() {
  const auto turned = orchestrator_->Pump();
  if (!turned.ok()) {
    EXPECT_TRUE(is_down_) << turned.status().ToString();
    Crash();
    return true;
  }
  return *turned;
}

// A loop with limit n, "loop3-pn", never has steps of more than n iterations at the same time.
void World::CheckParallelism() {
  std::map<std::string, std::set<std::string>> iterations;  // by run and path of their loop
  for (const int64_t key : executor_.Live()) {
    const v1::AttemptSpec spec = executor_.SpecOf(key);
    const std::string& path = spec.task_path();
    for (size_t at = path.find('['); at != std::string::npos; at = path.find('[', at + 1)) {
      const std::string loop = spec.run_id() + "/" + path.substr(0, at);
      iterations[loop].insert(path.substr(at, path.find(']', at) - at));
    }
  }
  for (const auto& [loop, open] : iterations) {
    const int limit = loop.back() - '0';
    if (limit > 0) {
      EXPECT_LE(static_cast<int>(open.size()), limit) << loop;
    }
  }
}

void World::CheckInvariants(const Ending& expected, Seen* seen) {
  std::map<std::string, int> successes;
  for (const auto& [attempt, record] : executor_.Ledger()) {
    successes[attempt.first] += record.successes;
    EXPECT_LE(record.starts, 1) << "an attempt started twice";
  }
  for (const auto& [task, count] : successes) {
    EXPECT_LE(count, generations_) << "a success ran again: " << task;
  }
  EXPECT_LE(executor_.MaxLivePerTask(), 1) << "two live attempts of one task";
  EXPECT_TRUE(executor_.Live().empty() && executor_.Queued().empty()) << "an orphan remains";

  const Status checked = store_->Read([&](sql::Database& database) -> Status {
    for (const auto& [id, key] : keys_) {
      CAUDAL_ASSIGN(const store::Run row, store::GetRun(database, id));
      EXPECT_EQ(row.key, key);
      CAUDAL_ASSIGN(const Ending ending, ReadEnding(database, row));
      EXPECT_EQ(ending.phase, expected.phase) << row.error;
      for (const auto& [path, state] : expected.tasks) {
        const auto task = ending.tasks.find(path);
        EXPECT_EQ(task == ending.tasks.end() ? "missing" : task->second, state) << path;
      }
      EXPECT_EQ(ending.tasks.size(), expected.tasks.size());
      CheckReplay(database, row, seen);
    }
    CAUDAL_ASSIGN(const auto outbox, store::ListOutbox(database));
    EXPECT_TRUE(outbox.empty()) << "a command was never done";
    return {};
  });
  EXPECT_TRUE(checked.ok()) << "an acknowledged run is lost: " << checked.ToString();
}

Ending World::EndingOf(const std::string& id) {
  Ending ending;
  const Status read = store_->Read([&](sql::Database& database) -> Status {
    CAUDAL_ASSIGN(const store::Run row, store::GetRun(database, id));
    CAUDAL_ASSIGN(ending, ReadEnding(database, row));
    return {};
  });
  EXPECT_TRUE(read.ok()) << read.ToString();
  return ending;
}

base::Result<Ending> World::ReadEnding(sql::Database& database, const store::Run& row) {
  EXPECT_TRUE(HasEnded(row)) << row.state;
  CAUDAL_ASSIGN(const store::LoadedRun loaded, store::LoadRun(database, row.key, plan_));
  EXPECT_EQ(loaded.seq, row.seq);
  Ending ending;
  ending.phase = row.phase;
  for (const v1::Task& task : loaded.state.tasks()) {
    const std::string path = engine::PathOf(loaded.state, task.index());
    EXPECT_TRUE(model::IsFinal(task.state())) << path;
    EXPECT_EQ(task.open_children(), 0) << path;
    EXPECT_EQ(task.wake_at(), 0) << path;
    EXPECT_EQ(task.live_attempt(), 0) << path;
    std::string text(model::StateName(task.state() == v1::CACHED ? v1::SUCCEEDED : task.state()));
    std::map<std::string, google::protobuf::Value> outputs(task.output_parameters().begin(),
                                                           task.output_parameters().end());
    for (const auto& [name, value] : outputs) {
      text += " " + name + "=" + wire::ValueToGoJson(value);
    }
    for (const auto& [name, list] : std::map<std::string, v1::ArtifactList>(
             task.output_artifacts().begin(), task.output_artifacts().end())) {
      text += " " + name + "*" + std::to_string(list.artifacts_size());
    }
    ending.tasks[path] = text + " " + task.error_code();
  }
  return ending;
}

// The stored log, run through Step again, gives the same deltas byte for byte and the same end; on
// the way no task leaves a final state but for a new generation.
void World::CheckReplay(sql::Database& database, const store::Run& row, Seen* seen) {
  const auto log = store::ReadLog(database, row.key);
  ASSERT_TRUE(log.ok()) << log.status().ToString();
  EXPECT_EQ(static_cast<int64_t>(log->size()), row.seq);
  seen->events += row.seq;
  seen->generations += row.generation - 1;
  engine::State state(plan_);
  for (const v1::LogRecord& record : *log) {
    const auto delta = engine::Step(state, record.event());
    ASSERT_TRUE(delta.ok()) << delta.status().ToString() << record.event().DebugString();
    ASSERT_EQ(Bytes(*delta), Bytes(record.delta()))
        << delta->DebugString() << "\nrecorded: " << record.DebugString();
    for (const v1::Task& change : record.delta().tasks()) {
      const bool is_new = change.index() >= state.task_count();
      const bool was_final = !is_new && model::IsFinal(state.task(change.index()).state());
      if (was_final && change.has_state() && !record.event().has_retry_requested()) {
        EXPECT_TRUE(change.fresh() || change.state() == state.task(change.index()).state() ||
                    row.generation > 1)
            << "task " << change.index() << " left its end\n"
            << record.DebugString();
      }
    }
    if (record.event().has_import_answered()) {
      ++seen->imported;
      if (record.event().import_answered().is_known()) ++seen->known_imports;
    }
    engine::Apply(state, record.event(), record.delta());
  }
  const auto loaded = store::LoadRun(database, row.key, plan_);
  ASSERT_TRUE(loaded.ok()) << loaded.status().ToString();
  ASSERT_EQ(state.task_count(), loaded->state.task_count());
  EXPECT_EQ(Bytes(state.run()), Bytes(loaded->state.run()));
  EXPECT_EQ(Bytes(state.info()), Bytes(loaded->state.info()));
  for (const v1::Task& task : state.tasks()) {
    const v1::Task& stored = loaded->state.task(task.index());
    EXPECT_EQ(Bytes(task), Bytes(stored))
        << task.DebugString() << "\nstored: " << stored.DebugString();
    if (task.state() == v1::CACHED) ++seen->cached;
    if (task.state() == v1::SKIPPED) ++seen->skipped;
    if (task.retry_index() > 0) ++seen->retried;
    if (task.error_code() == "TIMEOUT") ++seen->timed_out;
    if (task.has_iteration_index()) ++seen->iterations;
  }
}

}  // namespace caudal::orchestrator
