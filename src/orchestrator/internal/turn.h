#pragma once

/// What one turn has gathered, until it is committed or rolled back.

#include <deque>
#include <functional>
#include <set>
#include <utility>
#include <vector>

#include "orchestrator/orchestrator.h"
#include "store/run_log.h"

namespace caudal::orchestrator {

struct Orchestrator::Turn {
  sql::Database* database = nullptr;  // within the turn's transaction
  int64_t next_key = 0;
  std::vector<Timer> due;
  size_t fired = 0;    // of `due`
  size_t handled = 0;  // of the messages
  int events = 0;

  std::vector<store::RunChange> unwritten;
  bool hides_from_queries = false;  // `unwritten` has what a query might look for
  std::deque<v1::Query> queries;    // of the run being stepped, unanswered
  base::Status failure;             // of the database; nothing is committed then

  // To be done once it is committed.
  std::set<int64_t> touched;  // run keys whose memory is ahead of the disk
  std::vector<std::pair<int64_t, v1::Command>> commands;  // with their run keys
  std::vector<Timer> timers;
  std::vector<int64_t> deleted;  // run keys, removed after all changes of the turn
  std::vector<int64_t> finished_attempts;
  std::vector<std::function<void(const base::Status& committed)>> answers;

  base::Status Fail(base::Status why) { return failure = std::move(why); }
};

}  // namespace caudal::orchestrator
