#pragma once

/// A run of tests: its changes, decided by the engine or made by hand, are committed one by one.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "engine/step.h"
#include "store/cache.h"
#include "store/run_log.h"
#include "store/store.h"

namespace caudal::store {

/// What a reader of `store` finds; the test fails when it finds an error.
template <typename F>
auto Found(Store& store, F find) {
  using Value = std::decay_t<decltype(*find(std::declval<sql::Database&>()))>;
  Value value{};
  const base::Status read = store.Read([&](sql::Database& database) -> base::Status {
    CAUDAL_ASSIGN(value, find(database));
    return {};
  });
  EXPECT_TRUE(read.ok()) << read.ToString();
  return value;
}

/// What counting rows gives: "task WHERE run_key=1".
inline int64_t CountRows(Store& store, const std::string& rows) {
  return Found(store, [&](sql::Database& database) -> base::Result<int64_t> {
    int64_t count = 0;
    CAUDAL_TRY(database.Query("SELECT count(*) FROM " + rows, {},
                              [&](const sql::Row& row) { count = row.Int(0); }));
    return count;
  });
}

class RecordedRun {
 public:
  RecordedRun(Store& store, std::shared_ptr<const spec::Plan> plan, const std::string& id)
      : state(plan), store_(store) {
    row.id = id;
    const base::Status inserted =
        store.Write([&](sql::Database& database) { return InsertRun(database, &row); });
    EXPECT_TRUE(inserted.ok()) << inserted.ToString();
    info.set_run_id(id);
    info.set_pipeline_name("p");
    info.set_pipeline_root("minio://bucket/root");
  }

  /// What must follow from `event`, whatever the engine thinks.
  base::Status Commit(v1::Event event, v1::Delta delta) {
    now += 1'000'000;
    event.set_at(now);
    engine::Apply(state, event, delta);
    ++seq;
    const RunChange change{row.key, seq, std::move(event), std::move(delta), &state};
    return store_.Write([&](sql::Database& database) { return CommitRunChange(database, change); });
  }

  /// Root and one task for each name, with nothing decided about them.
  void Create(const std::vector<std::string>& names) {
    v1::Event event;
    *event.mutable_run_created()->mutable_info() = info;
    v1::Delta delta;
    delta.mutable_run()->set_phase(v1::RUN_RUNNING);
    delta.mutable_run()->set_generation(1);
    delta.add_tasks()->set_created_at(1);
    for (const std::string& name : names) {
      v1::Task& task = *delta.add_tasks();
      task.set_index(delta.tasks_size() - 1);
      task.set_parent(0);
      task.set_name(name);
      task.set_position(task.index() - 1);
      task.set_state(v1::PENDING);
      task.set_created_at(1);
    }
    ASSERT_TRUE(Commit(event, delta).ok());
  }

  /// Lets the engine decide, and answers what it asks.
  base::Status Step(v1::Event event) {
    now += 1'000'000;
    event.set_at(now);
    event.set_first_key(next_key);
    event.set_salt("salt" + std::to_string(seq));
    CAUDAL_ASSIGN(v1::Delta delta, engine::Step(state, event));
    if (engine::IsEmpty(delta)) return {};
    next_key += delta.keys_used();
    const auto queries = delta.queries();
    now -= 1'000'000;
    CAUDAL_TRY(Commit(std::move(event), std::move(delta)));
    for (const v1::Query& query : queries) {
      v1::Event answer;
      answer.mutable_cache_answered()->set_task(query.cache_lookup().task());
      answer.mutable_cache_answered()->set_realm("host");
      answer.mutable_cache_answered()->set_miss("no earlier success of this task");
      CAUDAL_TRY(Step(std::move(answer)));
    }
    return {};
  }

  /// Runs every attempt to its end: `Output` is the name of its task, `model` an artifact of it.
  base::Status RunAttempts(v1::AttemptOutcome::Result result) {
    for (int i = 0; i < state.task_count(); ++i) {
      if (state.task(i).live_attempt() == 0) continue;
      v1::Event start;
      start.mutable_attempt_started()->set_task(i);
      start.mutable_attempt_started()->set_attempt_key(state.task(i).live_attempt());
      CAUDAL_TRY(Step(start));
      v1::Event end;
      end.mutable_attempt_finished()->set_task(i);
      v1::AttemptOutcome& outcome = *end.mutable_attempt_finished()->mutable_outcome();
      outcome.set_result(result);
      outcome.set_attempt_key(state.task(i).live_attempt());
      outcome.set_token(state.task(i).live_token());
      if (result == v1::AttemptOutcome::SUCCEEDED) {
        (*outcome.mutable_parameters())["Output"].set_string_value(state.task(i).name());
        v1::Artifact& artifact = *(*outcome.mutable_artifacts())["model"].add_artifacts();
        artifact.set_key(next_key++);
        artifact.set_id("artifact-" + std::to_string(artifact.key()));
      }
      CAUDAL_TRY(Step(end));
    }
    return {};
  }

  store::Run row{};
  v1::RunInfo info{};
  engine::State state;
  int64_t seq = 0;
  int64_t now = 1'000'000'000;
  int64_t next_key = 1;

 private:
  Store& store_;
};

}  // namespace caudal::store
