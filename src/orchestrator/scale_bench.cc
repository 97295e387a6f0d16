// What one very long run costs: a loop of CAUDAL_BENCH_ITERATIONS (default 100,000) steps that end
// at once, on a real database; the same ended halfway and retried; and CAUDAL_BENCH_CACHED (default
// 10,000) steps whose outputs come from the cache. Prints times, memory and the cost of an event.

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <unistd.h>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "executor/testing/fake_executor.h"
#include "orchestrator/orchestrator.h"

namespace caudal::orchestrator {
namespace {

using std::chrono::steady_clock;

/// Every step succeeds as soon as it is launched.
class AtOnce final : public executor::Executor {
 public:
  void Adopt(const std::vector<int64_t>& /*current*/, executor::Reporter* reporter) override {
    reporter_ = reporter;
  }
  void Launch(const v1::AttemptSpec& spec) override {
    ++launched;
    v1::AttemptOutcome outcome = executor::FakeExecutor::DefaultOutcome(spec);
    outcome.set_version(1);
    outcome.set_attempt_key(spec.attempt_key());
    outcome.set_token(spec.token());
    reporter_->Started(spec.attempt_key(), base::ToMicros(base::SystemClock().Now()));
    reporter_->Finished(outcome);
  }
  void Kill(int64_t attempt_key, const std::string& token, bool /*now*/) override {
    v1::AttemptOutcome outcome;
    outcome.set_result(v1::AttemptOutcome::KILLED);
    outcome.set_attempt_key(attempt_key);
    outcome.set_token(token);
    reporter_->Finished(outcome);
  }
  void Forget(int64_t /*attempt_key*/) override {}
  std::string Realm(const v1::AttemptSpec& /*spec*/) override { return "image"; }
  bool HasBlob(const std::string& /*blob*/) override { return true; }
  void Stop() override {}

  int64_t launched = 0;

 private:
  executor::Reporter* reporter_ = nullptr;
};

std::string LoopText(int iterations, bool is_cached) {
  std::string items;
  for (int i = 0; i < iterations; ++i) items += (i == 0 ? "" : ",") + std::to_string(i);
  const std::string caching = is_cached ? R"(,"cachingOptions":{"enableCache":true})" : "";
  return R"({"pipelineInfo":{"name":"long"},"schemaVersion":"2.1.0","root":{"dag":{"tasks":{"loop":{
    "taskInfo":{"name":"loop"},"componentRef":{"name":"comp-loop"},
    "parameterIterator":{"itemInput":"item","items":{"raw":"[)" +
         items + R"(]"}}}}}},"components":{"comp-loop":{
    "inputDefinitions":{"parameters":{"item":{"parameterType":"NUMBER_INTEGER"}}},
    "dag":{"tasks":{"step":{"taskInfo":{"name":"step"},"componentRef":{"name":"comp-step"},
      "inputs":{"parameters":{"n":{"componentInputParameter":"item"}}})" +
         caching + R"(}}}},"comp-step":{"executorLabel":"exec-step",
    "inputDefinitions":{"parameters":{"n":{"parameterType":"NUMBER_INTEGER"}}},
    "outputDefinitions":{"parameters":{"Output":{"parameterType":"STRING"}}}}},
  "deploymentSpec":{"executors":{"exec-step":{"container":{"image":"none","command":["true"]}}}}})";
}

double Seconds(steady_clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

double PeakMegabytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

class Bench {
 public:
  explicit Bench(const std::string& folder)
      : store_(*store::Store::Open(folder + "/caudal.db")),
        orchestrator_(*store_, executor_, clock_, [this] { return std::to_string(++events_); }) {
    CAUDAL_CHECK(orchestrator_.Recover().ok(), "an empty store is not recovered");
  }

  int64_t Create(const std::string& id, const std::string& text) {
    NewRun run;
    run.row.id = id;
    run.row.spec = text;
    run.row.phase = v1::RUN_PENDING;
    run.plan = *spec::MakePlan(*spec::LoadPackage(text));
    run.info.set_run_id(id);
    run.info.set_pipeline_name("long");
    run.info.set_pipeline_root("minio://bucket/root");
    int64_t key = 0;
    orchestrator_.PostCreate(std::move(run), [&](base::Result<int64_t> made) {
      CAUDAL_CHECK(made.ok(), made.status().ToString());
      key = *made;
    });
    Turn();
    return key;
  }

  void RunToEnd() {
    while (Turn()) {
    }
  }
  void RunUntilLaunched(int64_t count) {
    const int64_t goal = executor_.launched + count;
    while (executor_.launched < goal && Turn()) {
    }
  }

  void Terminate(int64_t run_key) {
    orchestrator_.PostTerminate(run_key, "bench", true, [](base::Status) {});
  }
  void Retry(int64_t run_key) {
    orchestrator_.PostRetry(run_key, "bench", [](base::Status status) {
      CAUDAL_CHECK(status.ok(), status.ToString());
    });
  }

  // Prints what happened since the last report.
  void Report(const std::string& what) {
    int64_t events = 0;
    steady_clock::duration spent{};
    double longest = 0;
    std::vector<std::pair<double, int64_t>> costs;  // microseconds per event, events
    for (const auto& [duration, count] : turns_) {
      events += count;
      spent += duration;
      longest = std::max(longest, Seconds(duration));
      if (count > 0)
        costs.emplace_back(Seconds(duration) * 1e6 / static_cast<double>(count), count);
    }
    const auto tenth = [&](size_t from, size_t to) {
      double seconds = 0;
      int64_t n = 0;
      for (size_t i = from; i < to; ++i) {
        seconds += Seconds(turns_[i].first);
        n += turns_[i].second;
      }
      return n == 0 ? 0 : seconds * 1e6 / static_cast<double>(n);
    };
    const size_t step = turns_.size() / 10;
    const double first = tenth(0, step);
    const double last = tenth(turns_.size() - step, turns_.size());
    std::sort(costs.begin(), costs.end());
    const auto quantile = [&](double q) {
      int64_t left = static_cast<int64_t>(q * static_cast<double>(events));
      for (const auto& [cost, count] : costs) {
        if ((left -= count) <= 0) return cost;
      }
      return costs.empty() ? 0 : costs.back().first;
    };
    std::printf(
        "%-28s %8.2f s %8lld events %6.0f us/event (p50 %.0f, p99 %.0f; first tenth %.0f, last "
        "%.0f), longest turn %.0f ms, peak %.0f MB\n",
        what.c_str(), Seconds(spent), static_cast<long long>(events),
        events == 0 ? 0 : Seconds(spent) * 1e6 / static_cast<double>(events), quantile(0.5),
        quantile(0.99), first, last, longest * 1000, PeakMegabytes());
    std::fflush(stdout);
    turns_.clear();
  }

 private:
  bool Turn() {
    const int64_t before = events_;
    const auto start = steady_clock::now();
    const auto turned = orchestrator_.Pump();
    CAUDAL_CHECK(turned.ok(), turned.status().ToString());
    turns_.emplace_back(steady_clock::now() - start, events_ - before);
    return *turned;
  }

  base::SystemClock clock_;
  AtOnce executor_;
  int64_t events_ = 0;  // each asks for salt once
  std::vector<std::pair<steady_clock::duration, int64_t>> turns_;
  std::unique_ptr<store::Store> store_;
  Orchestrator orchestrator_;
};

int FromEnvironment(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::atoi(text) : otherwise;
}

void TimeCache(Bench& bench) {
  const std::string text = LoopText(FromEnvironment("CAUDAL_BENCH_CACHED", 10'000), true);
  bench.Create("first", text);
  bench.RunToEnd();
  bench.Report("cache filled");
  bench.Create("second", text);
  bench.RunToEnd();
  bench.Report("cached steps");
}

void TimeLoop(Bench& bench) {
  bench.Create("long", LoopText(FromEnvironment("CAUDAL_BENCH_ITERATIONS", 100'000), false));
  bench.RunToEnd();
  bench.Report("loop");
}

void TimeRetry(Bench& bench) {
  const int iterations = FromEnvironment("CAUDAL_BENCH_ITERATIONS", 100'000);
  const int64_t run = bench.Create("halved", LoopText(iterations, false));
  bench.RunUntilLaunched(iterations / 2);
  bench.Report("half a loop");
  bench.Terminate(run);
  bench.RunToEnd();
  bench.Report("terminated");
  bench.Retry(run);
  bench.RunToEnd();
  bench.Report("retried to the end");
}

// In a process of its own, so that the peak of memory is this one's.
bool RunAlone(void (*part)(Bench&)) {
  const pid_t child = fork();
  if (child == 0) {
    std::string folder = (std::filesystem::temp_directory_path() / "caudal-bench-XXXXXX").string();
    if (mkdtemp(folder.data()) == nullptr) _exit(1);
    {
      Bench bench(folder);
      part(bench);
    }
    std::filesystem::remove_all(folder);
    _exit(0);
  }
  int status = 0;
  return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

}  // namespace
}  // namespace caudal::orchestrator

int main() {
  using namespace caudal::orchestrator;  // NOLINT: the program is all of it
  bool ok = true;
  for (const auto part : {TimeCache, TimeLoop, TimeRetry}) ok = RunAlone(part) && ok;
  return ok ? 0 : 1;
}
