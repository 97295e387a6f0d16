#include "store/run_log.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "engine/testing/pipelines.h"
#include "store/internal/task_rows.h"
#include "store/recorded_run_test.h"

namespace caudal::store {
namespace {

using base::Status;

// The same bytes for the same message, whatever order its maps were filled in.
std::string Bytes(const google::protobuf::Message& message) {
  std::string text;
  google::protobuf::io::StringOutputStream stream(&text);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&coded);
  coded.Trim();
  return text;
}

std::string Bytes(const engine::State& state) { return Bytes(engine::ToSnapshot(state)); }

v1::Event EventOf(const std::string& reason) {
  v1::Event event;
  event.mutable_attempt_waiting()->set_reason(reason);
  return event;
}

v1::Delta TaskDelta(int index, const std::string& reason) {
  v1::Delta delta;
  v1::Task& task = *delta.add_tasks();
  task.set_index(index);
  task.set_reason(reason);
  return delta;
}

class RunLogTest : public testing::Test {
 protected:
  RunLogTest() : store_(*Store::Open(":memory:")) {}

  base::Result<LoadedRun> Load(const RecordedRun& run, std::shared_ptr<const spec::Plan> plan) {
    base::Result<LoadedRun> loaded = base::NotFound("not read");
    const Status read = store_->Read([&](sql::Database& database) {
      loaded = LoadRun(database, run.row.key, plan);
      return Status();
    });
    EXPECT_TRUE(read.ok());
    return loaded;
  }

  std::vector<v1::LogRecord> Log(const RecordedRun& run) {
    return Found(*store_, [&](sql::Database& database) { return ReadLog(database, run.row.key); });
  }

  // That rows, log and engine agree about the run.
  void CheckAgreement(const RecordedRun& run, std::shared_ptr<const spec::Plan> plan) {
    const auto loaded = Load(run, plan);
    ASSERT_TRUE(loaded.ok()) << loaded.status().ToString();
    EXPECT_EQ(loaded->seq, run.seq);
    EXPECT_TRUE(Bytes(loaded->state) == Bytes(run.state));
    engine::State applied(plan);
    engine::State decided(plan);
    const auto log = Log(run);
    EXPECT_EQ(static_cast<int64_t>(log.size()), run.seq);
    for (const v1::LogRecord& record : log) {
      engine::Apply(applied, record.event(), record.delta());
      const auto delta = engine::Step(decided, record.event());
      ASSERT_TRUE(delta.ok()) << delta.status().ToString();
      EXPECT_TRUE(Bytes(*delta) == Bytes(record.delta())) << record.event().ShortDebugString();
      engine::Apply(decided, record.event(), *delta);
    }
    EXPECT_TRUE(Bytes(applied) == Bytes(loaded->state));
    EXPECT_TRUE(Bytes(decided) == Bytes(loaded->state));
  }

  std::unique_ptr<Store> store_;
};

TEST_F(RunLogTest, RowsLogAndEngineAgree) {
  const auto plan = engine::PipelinePlan("a b:a sub:b{x y:x} c:sub");
  RecordedRun run(*store_, plan, "run");
  v1::Event created;
  *created.mutable_run_created()->mutable_info() = run.info;
  ASSERT_TRUE(run.Step(created).ok());
  ASSERT_TRUE(run.RunAttempts(v1::AttemptOutcome::SUCCEEDED).ok());
  CheckAgreement(run, plan);
  ASSERT_TRUE(run.RunAttempts(v1::AttemptOutcome::FAILED).ok());
  ASSERT_EQ(run.state.run().phase(), v1::RUN_FAILED);
  CheckAgreement(run, plan);

  v1::Event again;
  again.mutable_retry_requested()->set_by("ann");
  ASSERT_TRUE(run.Step(again).ok());
  CheckAgreement(run, plan);
  while (run.state.run().phase() == v1::RUN_RUNNING) {
    ASSERT_TRUE(run.RunAttempts(v1::AttemptOutcome::SUCCEEDED).ok());
  }
  EXPECT_EQ(run.state.run().phase(), v1::RUN_SUCCEEDED);
  CheckAgreement(run, plan);
}

// Every field lies in one of the two parts, so that one added later is not lost.
TEST_F(RunLogTest, BodyAndDataTogetherAreTheTask) {
  v1::Task task;
  const auto* reflection = v1::Task::GetReflection();
  const auto* descriptor = v1::Task::GetDescriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const auto* field = descriptor->field(i);
    using Field = google::protobuf::FieldDescriptor;
    if (field->is_repeated()) {
      reflection->AddMessage(&task, field);
    } else if (field->cpp_type() == Field::CPPTYPE_INT32) {
      reflection->SetInt32(&task, field, 7);
    } else if (field->cpp_type() == Field::CPPTYPE_INT64) {
      reflection->SetInt64(&task, field, 7);
    } else if (field->cpp_type() == Field::CPPTYPE_BOOL) {
      reflection->SetBool(&task, field, true);
    } else if (field->cpp_type() == Field::CPPTYPE_ENUM) {
      reflection->SetEnumValue(&task, field, 3);
    } else if (field->cpp_type() == Field::CPPTYPE_STRING) {
      reflection->SetString(&task, field, "text");
    } else {
      reflection->MutableMessage(&task, field);
    }
  }
  v1::Task read = BodyOf(task);
  read.MergeFrom(DataOf(task));
  EXPECT_TRUE(Bytes(read) == Bytes(task)) << read.DebugString();
}

TEST_F(RunLogTest, EventsFoldByTheThousandAndAtTheEnd) {
  const auto plan = engine::PipelinePlan("a");
  RecordedRun run(*store_, plan, "run");
  run.Create({"a"});
  for (int i = 0; i < 2499; ++i) {
    ASSERT_TRUE(run.Commit(EventOf("x"), TaskDelta(1, "reason " + std::to_string(i))).ok());
  }
  EXPECT_EQ(CountRows(*store_, "event_archive"), 2);
  EXPECT_EQ(CountRows(*store_, "event"), 500);
  v1::Delta end;
  end.mutable_run()->set_phase(v1::RUN_FAILED);
  ASSERT_TRUE(run.Commit(EventOf("end"), end).ok());
  EXPECT_EQ(CountRows(*store_, "event"), 0);

  // A retry goes on after the end, and ends again.
  v1::Delta again;
  again.mutable_run()->set_phase(v1::RUN_RUNNING);
  ASSERT_TRUE(run.Commit(EventOf("again"), again).ok());
  EXPECT_EQ(CountRows(*store_, "event"), 1);
  ASSERT_TRUE(run.Commit(EventOf("end"), end).ok());
  EXPECT_EQ(CountRows(*store_, "event"), 0);

  const auto log = Log(run);
  ASSERT_EQ(log.size(), 2503u);
  engine::State state(plan);
  for (const v1::LogRecord& record : log) engine::Apply(state, record.event(), record.delta());
  EXPECT_TRUE(Bytes(state) == Bytes(run.state));
}

TEST_F(RunLogTest, OneLargeTurnIsTheSameAsManySmallOnes) {
  const auto plan = engine::PipelinePlan("a b");
  RecordedRun small(*store_, plan, "small");
  small.Create({"a", "b"});
  std::vector<RunChange> changes;
  RecordedRun large(*store_, plan, "large");
  large.Create({"a", "b"});
  for (int i = 0; i < 1500; ++i) {
    const v1::Delta delta = TaskDelta(1 + i % 2, "reason " + std::to_string(i));
    ASSERT_TRUE(small.Commit(EventOf("x"), delta).ok());
    v1::Event event = EventOf("x");
    event.set_at(large.now += 1'000'000);
    engine::Apply(large.state, event, delta);
    changes.push_back({large.row.key, ++large.seq, event, delta, &large.state});
  }
  ASSERT_TRUE(
      store_->Write([&](sql::Database& database) { return CommitRunChanges(database, changes); })
          .ok());
  EXPECT_EQ(Log(large).size(), 1501u);
  const auto one = Load(small, plan);
  const auto other = Load(large, plan);
  ASSERT_TRUE(one.ok() && other.ok());
  EXPECT_EQ(one->seq, other->seq);
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(Bytes(one->state.task(i)) == Bytes(other->state.task(i))) << i;
  }
}

TEST_F(RunLogTest, WhatIsDamagedIsNotTakenForTheRun) {
  const auto plan = engine::PipelinePlan("a b");
  RecordedRun run(*store_, plan, "run");
  run.Create({"a", "b"});
  ASSERT_TRUE(run.Commit(EventOf("x"), TaskDelta(1, "x")).ok());
  sql::Database& database = store_->writer_for_test();
  ASSERT_TRUE(database.Execute("DELETE FROM event WHERE seq=1").ok());
  EXPECT_EQ(ReadLog(database, run.row.key).status().code(), base::Code::kDataLoss);
  ASSERT_TRUE(database.Execute("DELETE FROM task WHERE task_index=1").ok());
  EXPECT_EQ(Load(run, plan).status().code(), base::Code::kDataLoss);
  EXPECT_EQ(LoadRun(database, 77, plan).status().code(), base::Code::kNotFound);
  v1::Delta delta = TaskDelta(2, "x");
  --run.seq;
  EXPECT_EQ(run.Commit(EventOf("x"), delta).code(), base::Code::kAborted);
}

// row: E164
TEST_F(RunLogTest, ARetriedRunIsOpenAgain) {
  const auto plan = engine::PipelinePlan("a");
  RecordedRun run(*store_, plan, "run");
  v1::Event created;
  *created.mutable_run_created()->mutable_info() = run.info;
  ASSERT_TRUE(run.Step(created).ok());
  ASSERT_TRUE(run.RunAttempts(v1::AttemptOutcome::FAILED).ok());
  const auto row = [&] {
    return Found(*store_, [&](sql::Database& database) { return GetRun(database, "run"); });
  };
  EXPECT_EQ(row().state, "FAILED");
  EXPECT_NE(row().finished_at, 0);
  v1::Event again;
  again.mutable_retry_requested()->set_by("ann");
  ASSERT_TRUE(run.Step(again).ok());
  const store::Run open = row();
  EXPECT_EQ(open.state, "RUNNING");
  EXPECT_EQ(open.phase, v1::RUN_RUNNING);
  EXPECT_EQ(open.finished_at, 0);
  EXPECT_EQ(open.error, "");
  EXPECT_EQ(open.generation, 2);
  EXPECT_EQ(open.seq, run.seq);
  EXPECT_TRUE(open.state_history.ends_with(":RUNNING")) << open.state_history;
  EXPECT_NE(open.state_history.find(":FAILED;"), std::string::npos) << open.state_history;
  const auto keys = Found(*store_, ListOpenRuns);
  EXPECT_EQ(keys, std::vector<int64_t>{run.row.key});
  ASSERT_EQ(Found(*store_, ListOutbox).size(), 1u);
  ASSERT_TRUE(run.RunAttempts(v1::AttemptOutcome::SUCCEEDED).ok());
  EXPECT_EQ(row().state, "SUCCEEDED");
  EXPECT_EQ(CountRows(*store_, "attempt WHERE task_index=1 AND number IN (0, 1)"), 2);
  EXPECT_EQ(CountRows(*store_, "attempt"), 2);
  EXPECT_EQ(CountRows(*store_, "outbox"), 0);
}

TEST_F(RunLogTest, ReportsCanAskForWhatChanged) {
  const auto plan = engine::PipelinePlan("a b c");
  RecordedRun run(*store_, plan, "run");
  run.Create({"a", "b", "c"});
  v1::Delta delta = TaskDelta(3, "was last");
  ASSERT_TRUE(run.Commit(EventOf("x"), delta).ok());
  delta = TaskDelta(2, "was next to last");
  delta.mutable_tasks(0)->set_state(v1::RUNNING);
  (*delta.mutable_tasks(0)->mutable_parameters())["x"].set_number_value(1);
  ASSERT_TRUE(run.Commit(EventOf("x"), delta).ok());
  const auto since = [&](int64_t seq, int limit) {
    return Found(*store_, [&](sql::Database& database) {
      return ListTasksSince(database, run.row.key, seq, limit);
    });
  };
  EXPECT_EQ(since(0, 10).size(), 4u);
  ASSERT_EQ(since(1, 10).size(), 2u);
  EXPECT_EQ(since(1, 10)[0].index(), 2);
  EXPECT_EQ(since(1, 10)[0].parameters().count("x"), 1u);
  EXPECT_EQ(since(1, 1)[0].index(), 3);
  EXPECT_TRUE(since(3, 10).empty());
  const auto counts =
      Found(*store_, [&](sql::Database& database) { return CountTasks(database, run.row.key); });
  const std::map<v1::TaskState, int64_t> want{
      {v1::TASK_STATE_UNSPECIFIED, 1}, {v1::PENDING, 2}, {v1::RUNNING, 1}};
  EXPECT_EQ(counts, want);
}

TEST_F(RunLogTest, AFreshRecordHasNoDataLeft) {
  const auto plan = engine::PipelinePlan("a");
  RecordedRun run(*store_, plan, "run");
  run.Create({"a"});
  v1::Delta delta = TaskDelta(1, "");
  (*delta.mutable_tasks(0)->mutable_output_parameters())["x"].set_number_value(1);
  ASSERT_TRUE(run.Commit(EventOf("x"), delta).ok());
  EXPECT_EQ(CountRows(*store_, "task_data"), 1);
  delta = TaskDelta(1, "again");
  delta.mutable_tasks(0)->set_fresh(true);
  ASSERT_TRUE(run.Commit(EventOf("x"), delta).ok());
  EXPECT_EQ(CountRows(*store_, "task_data"), 0);
  const auto loaded = Load(run, plan);
  ASSERT_TRUE(loaded.ok());
  EXPECT_TRUE(Bytes(loaded->state) == Bytes(run.state));
}

// A loop's head counts its iterations at every event; its items are written once.
TEST(RunLogOnDisk, WhatALoopWritesDoesNotGrowWithItsItems) {
  char name[] = "/tmp/caudal_run_log_XXXXXX";
  const std::string dir = mkdtemp(name);
  auto store = *Store::Open(dir + "/db");
  RecordedRun run(*store, engine::PipelinePlan("a"), "run");
  run.Create({"a"});
  v1::Delta delta = TaskDelta(1, "");
  for (int i = 0; i < 100'000; ++i) {
    delta.mutable_tasks(0)->mutable_items()->add_values()->set_string_value("item " +
                                                                            std::to_string(i));
  }
  ASSERT_TRUE(run.Commit(EventOf("x"), delta).ok());
  const auto written = [&] {
    struct stat status {};
    return stat((dir + "/db-wal").c_str(), &status) == 0 ? status.st_size : 0;
  };
  const auto before = written();
  ASSERT_GT(before, 1'500'000);
  for (int i = 0; i < 20; ++i) {
    delta = TaskDelta(1, "");
    delta.mutable_tasks(0)->set_iterations_opened(i);
    ASSERT_TRUE(run.Commit(EventOf("x"), delta).ok());
  }
  EXPECT_LT(written() - before, 1'500'000);
  ASSERT_TRUE(base::RemoveTree(dir).ok());
}

}  // namespace
}  // namespace caudal::store
