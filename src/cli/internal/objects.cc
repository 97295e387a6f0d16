#include "cli/internal/objects.h"

#include <algorithm>
#include <boost/json.hpp>

#include "base/clock.h"
#include "cli/internal/arguments.h"
#include "cli/internal/report.h"
#include "cli/internal/text.h"
#include "cli/internal/wording.h"
#include "wire/json.h"

namespace caudal::cli {
namespace {

using base::Code;
using base::Result;

constexpr size_t kMostCandidates = 20;
constexpr size_t kFarthestRun = 10'000;  // of "@N"

// Objects whose id starts with `given`, then those called so.
ListQuery ByPrefix(const std::string& id_key, const std::string& given) {
  ListQuery query;
  Where(id_key, v2beta1::Predicate::GREATER_THAN_EQUALS, given, &query.filter);
  Where(id_key, v2beta1::Predicate::LESS_THAN, given + "\U0010FFFF", &query.filter);
  query.limit = kMostCandidates;
  return query;
}

ListQuery ByName(const std::string& given) {
  ListQuery query;
  Where("display_name", v2beta1::Predicate::EQUALS, given, &query.filter);
  query.limit = kMostCandidates;
  return query;
}

std::string AgeOf(const google::protobuf::Timestamp& time) {
  return AgeText(MicrosOf(time), NowMicros());
}

Candidate ToCandidate(const v2beta1::Run& run) {
  return {run.run_id(), run.display_name(), RunStateWord(run) + ", " + AgeOf(run.created_at())};
}
Candidate ToCandidate(const v2beta1::Pipeline& pipeline) {
  return {pipeline.pipeline_id(), pipeline.display_name(), AgeOf(pipeline.created_at())};
}
Candidate ToCandidate(const v2beta1::Experiment& experiment) {
  return {experiment.experiment_id(), experiment.display_name(), AgeOf(experiment.created_at())};
}

// What the three kinds of objects have in common: by id, else by name or prefix.
template <typename T, typename Get, typename List>
Result<T> FindObject(std::string_view thing, const std::string& id_key, const std::string& given,
                     const std::string& list_command, Get get, List list) {
  if (given.empty()) {
    return base::InvalidArgument("no " + std::string(thing) + " is given: see '" + list_command +
                                 "'");
  }
  Result<T> exact = get(given);
  if (exact.ok() || exact.status().code() != Code::kNotFound) return exact;
  CAUDAL_ASSIGN(std::vector<T> found, list(ByName(given)));
  if (found.empty()) {
    CAUDAL_ASSIGN(found, list(ByPrefix(id_key, given)));
  }
  std::vector<Candidate> candidates;
  for (const T& object : found) candidates.push_back(ToCandidate(object));
  CAUDAL_ASSIGN(const size_t index, PickCandidate(thing, given, candidates, list_command));
  return std::move(found[index]);
}

}  // namespace

Result<size_t> PickCandidate(std::string_view thing, const std::string& given,
                             const std::vector<Candidate>& candidates,
                             const std::string& list_command) {
  std::vector<size_t> fitting;
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (candidates[i].name == given) fitting.push_back(i);
  }
  const bool is_by_name = !fitting.empty();
  for (size_t i = 0; i < candidates.size() && !is_by_name; ++i) {
    if (candidates[i].id.rfind(given, 0) == 0) fitting.push_back(i);
  }
  if (fitting.size() == 1) return fitting[0];
  const std::string kind(thing);
  if (fitting.empty()) {
    return base::NotFound("no " + kind + " is called '" + given + "', and no id starts so: see '" +
                          list_command + "'");
  }
  std::string text =
      "'" + given + "' is " + (is_by_name ? "the name of" : "the beginning of the ids of") + " " +
      CountText(static_cast<int64_t>(fitting.size()), kind) + ", name one by its id:";
  for (const size_t i : fitting) {
    text += "\n  " + candidates[i].id + "  " + Printable(candidates[i].name) + "  (" +
            candidates[i].remark + ")";
  }
  return base::InvalidArgument(text);
}

Result<v2beta1::Run> Finder::NthRun(const std::string& given, size_t number) {
  const std::string list_command = "caudal run list" + target_words_;
  ListQuery query;
  Where("storage_state", v2beta1::Predicate::NOT_EQUALS, "ARCHIVED", &query.filter);
  query.limit = number;
  CAUDAL_ASSIGN(std::vector<v2beta1::Run> runs, api_.ListRuns(query));
  if (runs.size() >= number) return std::move(runs[number - 1]);
  if (runs.empty()) return base::NotFound("there is no run yet: see 'caudal run --help'");
  return base::NotFound("there is no run " + given + ", there are only " +
                        std::to_string(runs.size()) + ": see '" + list_command + "'");
}

Result<v2beta1::Run> Finder::Run(const std::string& given) {
  const std::string list_command = "caudal run list" + target_words_;
  if (given.empty()) return NthRun("@1", 1);
  if (given[0] == '@') {
    const auto number = ParseInteger(given.substr(1), 1, kFarthestRun);
    if (number.ok()) return NthRun(given, static_cast<size_t>(*number));
    return base::InvalidArgument("'" + given + "' is no run, @1 is the last one: see '" +
                                 list_command + "'");
  }
  return FindObject<v2beta1::Run>(
      "run", "run_id", given, list_command, [this](const auto& id) { return api_.GetRun(id); },
      [this](const auto& query) { return api_.ListRuns(query); });
}

Result<v2beta1::Pipeline> Finder::Pipeline(const std::string& given) {
  return FindObject<v2beta1::Pipeline>(
      "pipeline", "pipeline_id", given, "caudal pipeline list" + target_words_,
      [this](const auto& id) { return api_.GetPipeline(id); },
      [this](const auto& query) { return api_.ListPipelines(query); });
}

Result<v2beta1::Experiment> Finder::Experiment(const std::string& given) {
  return FindObject<v2beta1::Experiment>(
      "experiment", "experiment_id", given, "caudal experiment list" + target_words_,
      [this](const auto& id) { return api_.GetExperiment(id); },
      [this](const auto& query) { return api_.ListExperiments(query); });
}

std::string RunStateWord(const v2beta1::Run& run) {
  const auto& history = run.state_history();
  const bool was_canceled = std::any_of(history.begin(), history.end(), [](const auto& entry) {
    return entry.state() == v2beta1::CANCELING;
  });
  if (run.state() == v2beta1::FAILED && was_canceled) return "canceled";
  if (run.state() == v2beta1::RUNTIME_STATE_UNSPECIFIED) return "pending";
  return Lowercase(v2beta1::RuntimeState_Name(run.state()));
}

bool HasEnded(const v2beta1::Run& run) {
  return run.state() == v2beta1::SUCCEEDED || run.state() == v2beta1::FAILED ||
         run.state() == v2beta1::SKIPPED || run.state() == v2beta1::CANCELED;
}

std::string_view StateDress(std::string_view word) {
  if (word == "succeeded") return kGreen;
  if (word == "failed") return kRed;
  if (word == "running") return kCyan;
  if (word == "canceled" || word == "canceling") return kYellow;
  return "";
}

int64_t MicrosOf(const google::protobuf::Timestamp& time) {
  return time.seconds() * 1'000'000 + time.nanos() / 1000;
}

int64_t NowMicros() { return base::ToMicros(base::SystemClock().Now()); }

boost::json::value ToJsonValue(const google::protobuf::Message& message) {
  const auto json = wire::ParseJson(wire::ToJson(message, wire::FieldNames::kSnakeCase));
  return json.ok() ? *json : boost::json::value();
}

}  // namespace caudal::cli
