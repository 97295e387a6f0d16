#include "orchestrator/internal/answers.h"

#include <optional>
#include <string>

#include "base/clock.h"
#include "base/uuid.h"
#include "engine/attempt.h"
#include "store/artifacts.h"
#include "store/cache.h"

namespace caudal::orchestrator {
namespace {

using base::Result;

// Entries to try when artifacts of the newest are gone.
constexpr int kCandidates = 8;

// Why the outputs of an earlier task cannot be used, or nothing.
std::optional<std::string> WhyUnusable(executor::Executor& executor, const v1::AttemptSpec& spec,
                                       const v1::Event::CacheAnswered::Hit& hit) {
  for (const auto& [name, declared] : spec.component().output_definitions().artifacts()) {
    if (hit.artifacts().count(name) == 0) {
      return "run " + hit.run_id() + " made no artifact '" + name + "'";
    }
  }
  for (const auto& [name, list] : hit.artifacts()) {
    for (const v1::Artifact& artifact : list.artifacts()) {
      if (!artifact.blob().empty() && !executor.HasBlob(artifact.blob())) {
        return "outputs of run " + hit.run_id() + " are gone";
      }
    }
  }
  return std::nullopt;
}

}  // namespace

Result<v1::Event::CacheAnswered> AnswerCacheLookup(sql::Database& database,
                                                   executor::Executor& executor,
                                                   const engine::State& state, int task,
                                                   int64_t now) {
  v1::Event::CacheAnswered answer;
  answer.set_task(task);
  v1::Command::Launch launch;
  launch.set_task(task);
  const Result<v1::AttemptSpec> spec = engine::MakeAttemptSpec(state, launch);
  if (!spec.ok()) {  // its launch will say the same
    answer.set_miss(spec.status().message());
    return answer;
  }
  answer.set_realm(executor.Realm(*spec));

  store::CacheQuestion question;
  question.name_space = state.info().namespace_();
  question.pipeline_name = state.info().pipeline_name();
  question.task_path = store::WithoutIterations(spec->task_path());
  question.record = state.task(task).cache();
  question.record.set_realm(answer.realm());
  CAUDAL_ASSIGN(const std::vector<store::CachedTask> found,
                store::FindCached(database, question, kCandidates));
  std::optional<std::string> why_not;  // of the newest
  for (const store::CachedTask& candidate : found) {
    std::optional<std::string> flaw = WhyUnusable(executor, *spec, candidate.hit);
    if (!flaw) {
      CAUDAL_TRY(store::TouchCacheEntry(database, candidate.entry, now));
      *answer.mutable_hit() = candidate.hit;
      return answer;
    }
    if (!why_not) why_not = std::move(flaw);
  }
  if (!why_not) {
    CAUDAL_ASSIGN(why_not, store::ExplainMiss(database, question));
  }
  answer.set_miss(*why_not);
  return answer;
}

Result<v1::Event::ImportAnswered> AnswerImport(sql::Database& database, const v1::RunInfo& info,
                                               const v1::Query::Import& query, int64_t new_key,
                                               int64_t now) {
  v1::Event::ImportAnswered answer;
  answer.set_task(query.task());
  if (!query.reimport()) {
    CAUDAL_ASSIGN(
        const std::optional<v1::Artifact> known,
        store::FindImportable(database, info.namespace_(), info.pipeline_name(), query.artifact()));
    if (known) {
      answer.set_is_known(true);
      *answer.mutable_artifact() = *known;
      // Another component may have given it under another name.
      answer.mutable_artifact()->set_name(query.artifact().name());
      return answer;
    }
  }
  v1::Artifact& artifact = *answer.mutable_artifact();
  artifact = query.artifact();
  artifact.set_key(new_key);
  artifact.set_id(base::NewUuid7(base::TimeFromMicros(now)));
  CAUDAL_ASSIGN(const std::optional<store::StoredPlace> place,
                store::FindObject(database, artifact.uri()));
  if (place) {
    artifact.set_blob(place->blob);
    artifact.set_is_directory(place->is_directory);
    artifact.set_size_bytes(place->size);
  }
  return answer;
}

}  // namespace caudal::orchestrator
