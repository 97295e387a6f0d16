#include "store/rows.h"

#include "store/internal/columns.h"
#include "store/internal/lineage.h"

namespace caudal::store {
namespace {

using base::Result;
using base::Status;
using std::string_view;

// A broken uniqueness, told in terms of the thing.
Status Named(Status status, const std::string& message) {
  if (status.code() == base::Code::kAlreadyExists) return base::AlreadyExists(message);
  return status;
}

Status ExpectOne(sql::Database& database, const std::string& what, const std::string& id) {
  if (database.Changes() > 0) return {};
  return base::NotFound(what + " " + id + " not found");
}

template <typename T>
Result<T> One(sql::Database& database, const std::string& sql, const sql::Params& params,
              T (*read)(const sql::Row&), const std::string& missing) {
  bool found = false;
  T value;
  CAUDAL_TRY(database.Query(sql, params, [&](const sql::Row& row) {
    found = true;
    value = read(row);
  }));
  if (!found) return base::NotFound(missing + " not found");
  return value;
}

}  // namespace

Experiment ReadExperiment(const sql::Row& row) {
  Experiment e;
  e.key = row.Int(0);
  e.id = row.Text(1);
  e.name_space = row.Text(2);
  e.name = row.Text(3);
  e.description = row.Text(4);
  e.created_at = row.Int(5);
  e.last_run_created_at = row.Int(6);
  e.storage_state = row.Text(7);
  e.created_by = row.Text(8);
  return e;
}

Pipeline ReadPipeline(const sql::Row& row) {
  Pipeline p;
  p.key = row.Int(0);
  p.id = row.Text(1);
  p.name_space = row.Text(2);
  p.name = row.Text(3);
  p.display_name = row.Text(4);
  p.description = row.Text(5);
  p.created_at = row.Int(6);
  p.tags = row.Text(7);
  p.created_by = row.Text(8);
  return p;
}

PipelineVersion ReadVersion(const sql::Row& row) {
  PipelineVersion v;
  v.key = row.Int(0);
  v.id = row.Text(1);
  v.pipeline_key = row.Int(2);
  v.name = row.Text(3);
  v.display_name = row.Text(4);
  v.description = row.Text(5);
  v.created_at = row.Int(6);
  v.code_source_url = row.Text(7);
  v.tags = row.Text(8);
  v.spec = row.Text(9);
  v.created_by = row.Text(10);
  v.pipeline_id = row.Text(11);
  v.name_space = row.Text(12);
  return v;
}

Run ReadRun(const sql::Row& row) {
  Run r;
  r.key = row.Int(0);
  r.id = row.Text(1);
  r.name_space = row.Text(2);
  r.experiment_id = row.Text(3);
  r.display_name = row.Text(4);
  r.description = row.Text(5);
  r.storage_state = row.Text(6);
  r.service_account = row.Text(7);
  r.pipeline_id = row.Text(8);
  r.pipeline_version_id = row.Text(9);
  r.spec = row.Text(10);
  r.is_inline = row.Int(11) != 0;
  r.runtime_config = row.Text(12);
  r.created_at = row.Int(13);
  r.scheduled_at = row.Int(14);
  r.finished_at = row.Int(15);
  r.state = row.Text(16);
  r.phase = static_cast<int>(row.Int(17));
  r.error = row.Text(18);
  r.recurring_run_id = row.Text(19);
  r.state_history = row.Text(20);
  r.created_by = row.Text(21);
  r.client = row.Text(22);
  r.seq = row.Int(23);
  r.generation = static_cast<int>(row.Int(24));
  return r;
}

Status InsertExperiment(sql::Database& database, Experiment* row) {
  CAUDAL_TRY(
      Named(database.Execute(
                "INSERT INTO experiment(id, namespace, name, description, created_at,"
                " last_run_created_at, storage_state, created_by) VALUES($1,$2,$3,$4,$5,$6,$7,$8)",
                {string_view(row->id), string_view(row->name_space), string_view(row->name),
                 string_view(row->description), row->created_at, row->last_run_created_at,
                 string_view(row->storage_state), string_view(row->created_by)}),
            "experiment '" + row->name + "' already exists. Please specify a new name"));
  row->key = database.LastInsertKey();
  return {};
}

Result<Experiment> GetExperiment(sql::Database& database, const std::string& id) {
  return One(database, std::string("SELECT ") + kExperimentColumns + " FROM experiment WHERE id=$1",
             {string_view(id)}, ReadExperiment, "experiment " + id);
}

Status SetExperimentStorageState(sql::Database& database, const std::string& id,
                                 const std::string& state) {
  CAUDAL_TRY(database.Execute("UPDATE experiment SET storage_state=$1 WHERE id=$2",
                              {string_view(state), string_view(id)}));
  CAUDAL_TRY(ExpectOne(database, "experiment", id));
  if (state != kArchived) return {};
  return database.Execute("UPDATE run SET storage_state=$1 WHERE experiment_id=$2",
                          {string_view(state), string_view(id)});
}

Status DeleteExperiment(sql::Database& database, const std::string& id) {
  CAUDAL_TRY(database.Execute("DELETE FROM experiment WHERE id=$1", {string_view(id)}));
  return ExpectOne(database, "experiment", id);
}

Status InsertPipeline(sql::Database& database, Pipeline* row) {
  CAUDAL_TRY(Named(
      database.Execute(
          "INSERT INTO pipeline(id, namespace, name, display_name, description, created_at, tags,"
          " created_by) VALUES($1,$2,$3,$4,$5,$6,$7,$8)",
          {string_view(row->id), string_view(row->name_space), string_view(row->name),
           string_view(row->display_name), string_view(row->description), row->created_at,
           string_view(row->tags), string_view(row->created_by)}),
      "pipeline '" + row->name + "' already exists. Please specify a new name"));
  row->key = database.LastInsertKey();
  return {};
}

Result<Pipeline> GetPipeline(sql::Database& database, const std::string& id) {
  return One(database, std::string("SELECT ") + kPipelineColumns + " FROM pipeline WHERE id=$1",
             {string_view(id)}, ReadPipeline, "pipeline " + id);
}

Result<Pipeline> GetPipelineByName(sql::Database& database, const std::string& name) {
  return One(database,
             std::string("SELECT ") + kPipelineColumns +
                 " FROM pipeline WHERE name=$1 ORDER BY created_at DESC, id DESC LIMIT 1",
             {string_view(name)}, ReadPipeline, "pipeline '" + name + "'");
}

Status DeletePipeline(sql::Database& database, int64_t key) {
  return database.Execute("DELETE FROM pipeline WHERE key=$1", {key});
}

Status InsertVersion(sql::Database& database, PipelineVersion* row) {
  Status inserted = database.Execute(
      "INSERT INTO pipeline_version(id, pipeline_key, name, display_name, description,"
      " created_at, code_source_url, tags, spec, created_by)"
      " VALUES($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)",
      {string_view(row->id), row->pipeline_key, string_view(row->name),
       string_view(row->display_name), string_view(row->description), row->created_at,
       string_view(row->code_source_url), string_view(row->tags), string_view(row->spec),
       string_view(row->created_by)});
  // The pipeline may have been deleted since the caller saw it.
  if (inserted.code() == base::Code::kFailedPrecondition) {
    return base::NotFound("pipeline " + row->pipeline_id + " not found");
  }
  CAUDAL_TRY(Named(std::move(inserted), "pipeline version '" + row->name +
                                            "' already exists. Please specify a new name"));
  row->key = database.LastInsertKey();
  return {};
}

Result<PipelineVersion> GetVersion(sql::Database& database, const std::string& id) {
  return One(database,
             std::string("SELECT ") + kVersionColumns + " FROM pipeline_version WHERE id=$1",
             {string_view(id)}, ReadVersion, "pipeline version " + id);
}

Result<PipelineVersion> GetLatestVersion(sql::Database& database, int64_t pipeline_key) {
  return One(database,
             std::string("SELECT ") + kVersionColumns +
                 " FROM pipeline_version WHERE pipeline_key=$1"
                 " ORDER BY created_at DESC, id DESC LIMIT 1",
             {pipeline_key}, ReadVersion, "a version of the pipeline was");
}

Result<int64_t> CountVersions(sql::Database& database, int64_t pipeline_key) {
  int64_t count = 0;
  CAUDAL_TRY(database.Query("SELECT count(*) FROM pipeline_version WHERE pipeline_key=$1",
                            {pipeline_key}, [&](const sql::Row& row) { count = row.Int(0); }));
  return count;
}

Status DeleteVersions(sql::Database& database, int64_t pipeline_key) {
  return database.Execute("DELETE FROM pipeline_version WHERE pipeline_key=$1", {pipeline_key});
}

Status DeleteVersion(sql::Database& database, const std::string& id) {
  CAUDAL_TRY(database.Execute("DELETE FROM pipeline_version WHERE id=$1", {string_view(id)}));
  return ExpectOne(database, "pipeline version", id);
}

Status InsertRun(sql::Database& database, Run* row) {
  CAUDAL_TRY(Named(
      database.Execute(
          "INSERT INTO run(id, namespace, experiment_id, display_name, description, storage_state,"
          " service_account, pipeline_id, pipeline_version_id, is_inline,"
          " created_at, scheduled_at, finished_at, state, phase, error, recurring_run_id,"
          " state_history, created_by, client, seq, generation)"
          " VALUES($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18,$19,$20,$21,$22)",
          {string_view(row->id),
           string_view(row->name_space),
           string_view(row->experiment_id),
           string_view(row->display_name),
           string_view(row->description),
           string_view(row->storage_state),
           string_view(row->service_account),
           string_view(row->pipeline_id),
           string_view(row->pipeline_version_id),
           int64_t{row->is_inline},
           row->created_at,
           row->scheduled_at,
           row->finished_at,
           string_view(row->state),
           int64_t{row->phase},
           string_view(row->error),
           string_view(row->recurring_run_id),
           string_view(row->state_history),
           string_view(row->created_by),
           string_view(row->client),
           row->seq,
           int64_t{row->generation}}),
      "run " + row->id + " already exists"));
  row->key = database.LastInsertKey();
  const std::string origin = row->submission.origin.SerializeAsString();
  const std::string settings = row->submission.settings.SerializeAsString();
  CAUDAL_TRY(
      database.Execute("INSERT INTO run_source(run_key, spec, runtime_config, origin, settings)"
                       " VALUES($1,$2,$3,$4,$5)",
                       {row->key, string_view(row->spec), string_view(row->runtime_config),
                        sql::Blob{origin}, sql::Blob{settings}}));
  for (const v1::CodeSnapshot& code : row->submission.settings.code()) {
    CAUDAL_TRY(database.Execute(
        "INSERT INTO run_code(sha256, run_key) VALUES($1,$2) ON CONFLICT DO NOTHING",
        {string_view(code.sha256()), row->key}));
  }
  return database.Execute("UPDATE experiment SET last_run_created_at=$1 WHERE id=$2",
                          {row->created_at, string_view(row->experiment_id)});
}

Result<Run> GetRun(sql::Database& database, const std::string& id) {
  return One(database, std::string("SELECT ") + kRunColumns + " FROM run WHERE id=$1",
             {string_view(id)}, ReadRun, "run " + id);
}

Result<Submission> GetSubmission(sql::Database& database, int64_t run_key) {
  bool found = false;
  bool is_read = false;
  Submission submission;
  CAUDAL_TRY(database.Query("SELECT origin, settings FROM run_source WHERE run_key=$1", {run_key},
                            [&](const sql::Row& row) {
                              found = true;
                              is_read = submission.origin.ParseFromString(row.Text(0)) &&
                                        submission.settings.ParseFromString(row.Text(1));
                            }));
  const std::string what = "the origin of run with key " + std::to_string(run_key);
  if (!found) return base::NotFound(what + " not found");
  if (!is_read) return base::Status(base::Code::kDataLoss, what + " cannot be read");
  return submission;
}

Result<bool> IsCodeUsed(sql::Database& database, const std::string& sha256) {
  bool found = false;
  CAUDAL_TRY(database.Query("SELECT 1 FROM run_code WHERE sha256=$1 LIMIT 1", {string_view(sha256)},
                            [&](const sql::Row&) { found = true; }));
  return found;
}

Result<Run> GetRunByKey(sql::Database& database, int64_t key) {
  return One(database, std::string("SELECT ") + kRunColumns + " FROM run WHERE key=$1", {key},
             ReadRun, "run with key " + std::to_string(key));
}

Status SetRunStorageState(sql::Database& database, const std::string& id,
                          const std::string& state) {
  CAUDAL_TRY(database.Execute("UPDATE run SET storage_state=$1 WHERE id=$2",
                              {string_view(state), string_view(id)}));
  return ExpectOne(database, "run", id);
}

Status DeleteRun(sql::Database& database, int64_t key) {
  // Another run may have taken its outputs from the cache: those stay while that run does.
  CAUDAL_TRY(HandOnArtifacts(database, key));
  for (const char* table :
       {"run_source", "run_code", "run_state", "task", "task_data", "attempt", "artifact",
        "artifact_use", "object", "cache_entry", "event", "event_archive", "outbox"}) {
    CAUDAL_TRY(database.Execute(std::string("DELETE FROM ") + table + " WHERE run_key=$1", {key}));
  }
  return database.Execute("DELETE FROM run WHERE key=$1", {key});
}

}  // namespace caudal::store
