#include "store/internal/lineage.h"

#include <charconv>
#include <string>

#include "model/store_uri.h"

namespace caudal::store {
namespace {

using base::Status;
using std::string_view;

// "02/258/model" to 258; 0 where there is no blob.
int64_t AttemptOf(const std::string& blob) {
  const size_t slash = blob.find('/');
  if (slash == std::string::npos) return 0;
  int64_t key = 0;
  std::from_chars(blob.data() + slash + 1, blob.data() + blob.size(), key);
  return key;
}

// One that is known already stays as it is; Database::Changes tells.
Status InsertArtifact(sql::Database& database, const RunChange& change, int task,
                      const std::string& name, const v1::Artifact& artifact) {
  const std::string type = TypeTitle(artifact);
  const std::string body = artifact.SerializeAsString();
  return database.Execute(
      "INSERT INTO artifact(key, id, namespace, pipeline, run_key, task_index, name, type, uri,"
      " attempt_key, created_at, created_by, body)"
      " SELECT $1,$2,namespace,$3,$4,$5,$6,$7,$8,$9,$10,created_by,$11 FROM run WHERE key=$12"
      " ON CONFLICT(key) DO NOTHING",
      {artifact.key(), string_view(artifact.id()),
       string_view(change.after->info().pipeline_name()), change.run_key, int64_t{task},
       string_view(name), string_view(type), string_view(artifact.uri()),
       AttemptOf(artifact.blob()), change.event.at(), sql::Blob{body}, change.run_key});
}

enum class Direction { kInput, kOutput };

// The same artifact may come again: after a retry of the run, or as a hit of the same entry.
Status InsertUse(sql::Database& database, const RunChange& change, int task,
                 const std::string& name, const v1::Artifact& artifact, Direction direction) {
  return database.Execute(
      "INSERT INTO artifact_use(artifact_key, run_key, task_index, is_output, name)"
      " VALUES($1,$2,$3,$4,$5) ON CONFLICT DO NOTHING",
      {artifact.key(), change.run_key, int64_t{task}, int64_t{direction == Direction::kOutput},
       string_view(name)});
}

// A task that is done again writes to the same place: what it no longer makes must not stay.
Status DeleteObjectsUnder(sql::Database& database, int64_t run_key, const std::string& uri) {
  const auto place = model::ParseStoreUri(uri);
  if (!place || place->key.empty()) return {};
  return database.Execute(
      "DELETE FROM object WHERE bucket=$1 AND (key=$2 OR (key>=$3 AND key<$4)) AND run_key=$5",
      {string_view(place->bucket), string_view(place->key), string_view(place->key + "/"),
       string_view(place->key + "0"), run_key});
}

Status SaveOutcome(sql::Database& database, const RunChange& change,
                   const v1::Event::AttemptFinished& finished) {
  const v1::AttemptOutcome& outcome = finished.outcome();
  const int task = finished.task();
  const bool may_repeat = change.after->run().generation() > 1;
  for (const auto& [name, list] : outcome.artifacts()) {
    for (const v1::Artifact& artifact : list.artifacts()) {
      CAUDAL_TRY(InsertArtifact(database, change, task, name, artifact));
      const bool is_new = database.Changes() > 0;  // else imported: its place is another task's
      CAUDAL_TRY(InsertUse(database, change, task, name, artifact, Direction::kOutput));
      if (may_repeat && is_new && !artifact.blob().empty()) {
        CAUDAL_TRY(DeleteObjectsUnder(database, change.run_key, artifact.uri()));
      }
    }
  }
  for (const v1::StoredObject& object : outcome.objects()) {
    // A URI is stable across attempts: the newest success owns it.
    CAUDAL_TRY(database.Execute(
        "INSERT INTO object(bucket, key, blob, size, sha256, run_key) VALUES($1,$2,$3,$4,$5,$6)"
        " ON CONFLICT(bucket, key) DO UPDATE SET blob=excluded.blob, size=excluded.size,"
        " sha256=excluded.sha256, run_key=excluded.run_key",
        {string_view(object.bucket()), string_view(object.key()), string_view(object.blob()),
         object.size(), string_view(object.sha256()), change.run_key}));
  }
  return {};
}

// Outputs that a task has without an attempt: of a cached task, of an importer.
Status SaveAnswer(sql::Database& database, const RunChange& change, int index, bool is_new) {
  for (const v1::Task& task : change.delta.tasks()) {
    if (task.index() != index) continue;
    for (const auto& [name, list] : task.output_artifacts()) {
      for (const v1::Artifact& artifact : list.artifacts()) {
        if (is_new) CAUDAL_TRY(InsertArtifact(database, change, index, name, artifact));
        CAUDAL_TRY(InsertUse(database, change, index, name, artifact, Direction::kOutput));
      }
    }
  }
  return {};
}

Status SaveInputs(sql::Database& database, const RunChange& change) {
  for (const v1::Task& task : change.delta.tasks()) {
    for (const auto& [name, list] : task.artifacts()) {
      for (const v1::Artifact& artifact : list.artifacts()) {
        CAUDAL_TRY(InsertUse(database, change, task.index(), name, artifact, Direction::kInput));
      }
    }
  }
  return {};
}

/// An artifact that outlives its run, and the run that has it from then on.
struct Heir {
  int64_t artifact_key = 0;
  int64_t run_key = 0;
  std::string blob;
};

}  // namespace

Status SaveLineage(sql::Database& database, const RunChange& change) {
  CAUDAL_TRY(SaveInputs(database, change));
  const v1::Event& event = change.event;
  if (event.has_attempt_finished()) {
    return SaveOutcome(database, change, event.attempt_finished());
  }
  if (event.has_cache_answered() && event.cache_answered().has_hit()) {
    return SaveAnswer(database, change, event.cache_answered().task(), false);
  }
  if (event.has_import_answered() && event.import_answered().has_artifact()) {
    return SaveAnswer(database, change, event.import_answered().task(),
                      !event.import_answered().is_known());
  }
  return {};
}

Status HandOnArtifacts(sql::Database& database, int64_t run_key) {
  std::vector<Heir> heirs;
  CAUDAL_TRY(
      database.Query("SELECT a.key, min(u.run_key), a.body FROM artifact a"
                     " JOIN artifact_use u ON u.artifact_key=a.key AND u.run_key<>$1"
                     " WHERE a.run_key=$1 GROUP BY a.key",
                     {run_key}, [&](const sql::Row& row) {
                       v1::Artifact artifact;
                       artifact.ParseFromString(row.Text(2));
                       heirs.push_back({row.Int(0), row.Int(1), artifact.blob()});
                     }));
  for (const Heir& heir : heirs) {
    CAUDAL_TRY(database.Execute(
        "UPDATE artifact SET run_key=$1, task_index="
        "(SELECT min(task_index) FROM artifact_use WHERE artifact_key=$2 AND run_key=$3)"
        " WHERE key=$4",
        {heir.run_key, heir.artifact_key, heir.run_key, heir.artifact_key}));
    if (heir.blob.empty()) continue;
    CAUDAL_TRY(database.Execute(
        "UPDATE object SET run_key=$1 WHERE run_key=$2 AND (blob=$3 OR (blob>=$4 AND blob<$5))",
        {heir.run_key, run_key, string_view(heir.blob), string_view(heir.blob + "/"),
         string_view(heir.blob + "0")}));
  }
  return {};
}

}  // namespace caudal::store
