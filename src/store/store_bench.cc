// What the store costs on this disk: store_bench [iterations] (default 100,000).
//
// One run with a loop whose iterations hold one cached step each: per iteration one event that adds
// the iteration and its step with inputs, key and outputs, and moves the counters of the loop.
// Turns of 10,000 events are committed as one transaction each.

#include <stdlib.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "base/file.h"
#include "engine/testing/pipelines.h"
#include "store/run_log.h"
#include "store/store.h"

namespace caudal::store {
namespace {

constexpr int kTurn = 10'000;
constexpr size_t kBatch = 1000;

double Seconds(const std::function<base::Status()>& work) {
  const auto start = std::chrono::steady_clock::now();
  const base::Status done = work();
  CAUDAL_CHECK(done.ok(), done.ToString());
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

long PeakMegabytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss / 1024;
}

v1::Task NewTask(int index, int parent, v1::TaskState state) {
  v1::Task task;
  task.set_index(index);
  task.set_parent(parent);
  task.set_state(state);
  task.set_created_at(1'767'322'800'000'000);
  task.set_started_at(1'767'322'800'000'000);
  task.set_ended_at(1'767'322'800'000'000);
  task.set_execution_key(index);
  return task;
}

void AddIteration(int i, v1::Event* event, v1::Delta* delta) {
  const int iteration = 2 + 2 * i;
  event->set_at(1'767'322'800'000'000 + i);
  event->set_salt("0123456789abcdef0123456789abcdef");
  auto& answer = *event->mutable_cache_answered();
  answer.set_task(iteration + 1);
  answer.set_realm("0123456789abcdef");
  answer.mutable_hit()->set_run_id("3f0e3c1e-1d1f-4a53-8a0f-0d9b7b8d6a11");
  (*answer.mutable_hit()->mutable_parameters())["Output"].set_number_value(i);
  v1::Artifact& artifact = *(*answer.mutable_hit()->mutable_artifacts())["log"].add_artifacts();
  artifact.set_key(i + 1);
  artifact.set_uri("minio://mlpipeline/v2/artifacts/p/3f0e3c1e-1d1f-4a53-8a0f/train/log");

  v1::Task& head = *delta->add_tasks();
  head.set_index(1);
  head.set_iterations_opened(i + 1);
  v1::Task& body = *delta->add_tasks() = NewTask(iteration, 1, v1::SUCCEEDED);
  body.set_iteration_index(i);
  (*body.mutable_parameters())["item"].set_number_value(i);
  v1::Task& step = *delta->add_tasks() = NewTask(iteration + 1, iteration, v1::CACHED);
  step.set_name("train");
  (*step.mutable_parameters())["item"].set_number_value(i);
  step.mutable_cache()->set_fingerprint(std::string(64, 'f'));
  for (int part = 0; part < 6; ++part) {
    auto& added = *step.mutable_cache()->add_parts();
    added.set_name("input 'x" + std::to_string(part) + "'");
    added.set_digest(std::string(64, 'd'));
    added.set_shown("value of the part");
  }
  *step.mutable_output_parameters() = answer.hit().parameters();
  *step.mutable_output_artifacts() = answer.hit().artifacts();
}

class Bench {
 public:
  explicit Bench(Store& store) : store_(store) {}

  void Run(int iterations) {
    Create(iterations);
    double total = 0;
    for (int i = 0; i < iterations; i += kTurn) total += Turn(i, std::min(i + kTurn, iterations));
    std::printf("commit      %8.0f events/s, %.0f task rows/s (%d events in turns of %d)\n",
                iterations / total, 2 * iterations / total, iterations, kTurn);
    Time("end (fold)", [&](sql::Database& database) {
      v1::Event event;
      v1::Delta delta;
      delta.mutable_run()->set_phase(v1::RUN_SUCCEEDED);
      Apply(event, delta);
      const base::Status committed = CommitRunChanges(database, changes_);
      changes_.clear();
      return committed;
    });
    state_ = engine::State(plan_);
    Time("load", [&](sql::Database& database) -> base::Status {
      CAUDAL_ASSIGN(LoadedRun loaded, LoadRun(database, row_.key, plan_));
      std::printf("            %d tasks\n", loaded.state.task_count());
      return {};
    });
    Time("count", [&](sql::Database& database) { return CountTasks(database, row_.key).status(); });
    Time("since", [&](sql::Database& database) {
      return ListTasksSince(database, row_.key, seq_ - 1000, 10'000).status();
    });
    Time("delete", [&](sql::Database& database) { return DeleteRun(database, row_.key); });
    std::printf("peak memory %8ld MB\n", PeakMegabytes());
  }

 private:
  void Create(int iterations) {
    row_.id = "run";
    v1::Event event;
    event.mutable_run_created()->mutable_info()->set_run_id(row_.id);
    v1::Delta delta;
    delta.mutable_run()->set_phase(v1::RUN_RUNNING);
    *delta.add_tasks() = NewTask(0, 0, v1::RUNNING);
    v1::Task& loop = *delta.add_tasks() = NewTask(1, 0, v1::RUNNING);
    loop.set_name("loop");
    for (int i = 0; i < iterations; ++i) loop.mutable_items()->add_values()->set_number_value(i);
    const base::Status created = store_.Write([&](sql::Database& database) {
      CAUDAL_TRY(InsertRun(database, &row_));
      Apply(event, delta);
      return Commit(database);
    });
    CAUDAL_CHECK(created.ok(), created.ToString());
  }

  double Turn(int from, int to) {
    return Seconds([&] {
      return store_.Write([&](sql::Database& database) -> base::Status {
        for (int i = from; i < to; ++i) {
          v1::Event event;
          v1::Delta delta;
          AddIteration(i, &event, &delta);
          Apply(std::move(event), std::move(delta));
          if (changes_.size() == kBatch) CAUDAL_TRY(Commit(database));
        }
        return Commit(database);
      });
    });
  }

  void Apply(v1::Event event, v1::Delta delta) {
    engine::Apply(state_, event, delta);
    changes_.push_back({row_.key, ++seq_, std::move(event), std::move(delta), &state_});
  }

  base::Status Commit(sql::Database& database) {
    const base::Status committed = CommitRunChanges(database, changes_);
    changes_.clear();
    return committed;
  }

  void Time(const char* what, const Unit& unit) {
    const double seconds = Seconds([&] { return store_.Write(unit); });
    std::printf("%-11s %8.0f ms\n", what, 1000 * seconds);
  }

  Store& store_;
  std::shared_ptr<const spec::Plan> plan_ = engine::PipelinePlan("loop");
  engine::State state_{plan_};
  store::Run row_{};
  std::vector<RunChange> changes_;
  int64_t seq_ = 0;
};

int Main(int iterations) {
  char name[] = "/tmp/caudal_store_bench_XXXXXX";
  const std::string dir = mkdtemp(name);
  {
    auto store = Store::Open(dir + "/db");
    CAUDAL_CHECK(store.ok(), store.status().ToString());
    Bench(**store).Run(iterations);
  }
  return base::RemoveTree(dir).ok() ? 0 : 1;
}

}  // namespace
}  // namespace caudal::store

int main(int argc, char** argv) {
  return caudal::store::Main(argc > 1 ? std::atoi(argv[1]) : 100'000);
}
