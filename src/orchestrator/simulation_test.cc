// Drives the real orchestrator, engine and store with a fake clock, a fake executor and a database
// that fails at its n-th statement, and checks what must hold whatever happens.
// row: E150-E154, E156-E157, E162-E165

#include <gtest/gtest.h>

#include <cstdlib>

#include "caudal/v1/engine.pb.h"
#include "engine/testing/pipelines.h"
#include "orchestrator/testing/random_pipeline.h"
#include "orchestrator/testing/simulated_world.h"

namespace caudal::orchestrator {
namespace {

// What comes out when nothing goes wrong.
Ending EndingInPeace(const Scenario& scenario) {
  World world(scenario, 1);
  world.RequestRun("run");
  world.RunToEnd();
  return world.EndingOf("run");
}

class Simulation : public testing::TestWithParam<Scenario> {};

TEST_P(Simulation, SurvivesAFailureAtEveryStatement) {
  const Scenario& scenario = GetParam();
  const Ending expected = EndingInPeace(scenario);
  EXPECT_EQ(expected.phase, scenario.failing.empty() ? v1::RUN_SUCCEEDED : v1::RUN_FAILED);
  Seen seen;
  bool was_reached = true;
  int n = 1;
  for (; was_reached; ++n) {
    SCOPED_TRACE("statement " + std::to_string(n));
    World world(scenario, static_cast<uint64_t>(n));
    world.FailAtStatement(n);
    while (!world.IsAcknowledged("run")) {
      world.RequestRun("run");
      world.Pump();
    }
    world.RunToEnd();
    world.StopFailing();
    world.CheckInvariants(expected, &seen);
    was_reached = world.crash_count() > 0;  // if not, every statement has had its turn
    if (HasFailure()) return;
  }
  EXPECT_GT(n, 50) << "the hook is not being asked";
}

// Runs of one pipeline among crashes, losses and requests to end; what was ended is then retried.
// In the end everything is as if nothing had happened.
void SurviveChaos(const Scenario& scenario, const Ending& expected, uint64_t seed, Seen* seen) {
  World world(scenario, seed);
  for (int i = 0; i < 120; ++i) {
    const std::string id = "run-" + std::to_string(i / 30);
    if (i % 10 == 0 && !world.IsAcknowledged(id)) world.RequestRun(id);
    if (world.Pick(25) == 0) world.FailAtStatement(1 + static_cast<int>(world.Pick(40)));
    if (world.Pick(40) == 0) world.Crash();
    if (world.Pick(60) == 0) {
      world.RequestEnd("run-" + std::to_string(world.Pick(4)), world.Pick(2) == 0);
    }
    world.Tick();
  }
  world.Crash();
  world.RunToEnd();
  for (int round = 0; world.RetryRuns(expected) > 0; ++round) {
    ASSERT_LT(round, 20) << "retried runs do not end as they should";
    if (world.Pick(2) == 0) world.FailAtStatement(1 + static_cast<int>(world.Pick(60)));
    world.RunToEnd();
    world.Crash();
    world.RunToEnd();
  }
  world.CheckInvariants(expected, seen);
}

int Seeds(int otherwise) {
  const char* asked = std::getenv("CAUDAL_SIMULATION_SEEDS");
  return asked != nullptr ? std::atoi(asked) : otherwise;
}

TEST_P(Simulation, SurvivesRandomCrashesAndLosses) {
  const Ending expected = EndingInPeace(GetParam());
  Seen seen;
  for (int seed = 1; seed <= Seeds(40); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    SurviveChaos(GetParam(), expected, static_cast<uint64_t>(seed), &seen);
    if (HasFailure()) return;
  }
}

const Scenario kScenarios[] = {
    {"Chain", engine::PipelineText("a b:a c:b d:c"), {}},
    {"FanOutAndJoin", engine::PipelineText("a b:a c:a d:a e:a f:b,c,d,e"), {}},
    {"Nested", engine::PipelineText("a outer:a{x inner:x{p q:p} y:inner} z:outer"), {}},
    {"FailureBeside", engine::PipelineText("a b:a c:a,b other late:other"), {"b"}},
};

INSTANTIATE_TEST_SUITE_P(All, Simulation, testing::ValuesIn(kScenarios),
                         [](const auto& scenario) { return scenario.param.name; });

TEST(SimulationOfRandomPipelines, EndAsInPeace) {
  Seen seen;
  const char* only = std::getenv("CAUDAL_SIMULATION_SEED");
  const int seeds = Seeds(50);
  const int first = only != nullptr ? std::atoi(only) : 1;
  for (int seed = first; seed <= (only != nullptr ? first : seeds); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed) + " (CAUDAL_SIMULATION_SEED runs it alone)");
    const Scenario scenario{"random", RandomPipelineText(static_cast<uint64_t>(seed)), {}};
    const Ending expected = EndingInPeace(scenario);
    SurviveChaos(scenario, expected, static_cast<uint64_t>(seed), &seen);
    if (HasFailure()) {
      ADD_FAILURE() << scenario.text;
      return;
    }
  }
  RecordProperty("events", std::to_string(seen.events));
  RecordProperty("cached", seen.cached);
  RecordProperty("retried", seen.retried);
  RecordProperty("timed out", seen.timed_out);
  RecordProperty("iterations", seen.iterations);
  RecordProperty("imported", seen.imported);
  RecordProperty("known imports", seen.known_imports);
  RecordProperty("skipped", seen.skipped);
  RecordProperty("generations", seen.generations);
  if (seeds < 50 || only != nullptr) return;
  EXPECT_GT(seen.cached, 0);
  EXPECT_GT(seen.retried, 0);
  EXPECT_GT(seen.timed_out, 0);
  EXPECT_GT(seen.iterations, 0);
  EXPECT_GT(seen.imported, seen.known_imports);
  EXPECT_GT(seen.known_imports, 0);
  EXPECT_GT(seen.skipped, 0);
  EXPECT_GT(seen.generations, 0);
}

}  // namespace
}  // namespace caudal::orchestrator
