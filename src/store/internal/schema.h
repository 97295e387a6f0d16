#pragma once

/// The tables. SQL that SQLite and PostgreSQL both take, but for the key columns' type.

namespace caudal::store {

inline constexpr int kSchemaVersion = 1;

/// Keys are never reused (AUTOINCREMENT); public ids are text of up to 191 bytes; times are
/// microseconds since 1970, 0 for never; every user-visible row has its namespace and creator.
inline constexpr char kSchema[] = R"sql(
CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL);

CREATE TABLE experiment(
  key INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, namespace TEXT NOT NULL,
  name TEXT NOT NULL, description TEXT NOT NULL, created_at BIGINT NOT NULL,
  last_run_created_at BIGINT NOT NULL, storage_state TEXT NOT NULL, created_by TEXT NOT NULL,
  UNIQUE(namespace, name));
CREATE INDEX experiment_by_time ON experiment(namespace, created_at, id);

CREATE TABLE pipeline(
  key INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, namespace TEXT NOT NULL,
  name TEXT NOT NULL, display_name TEXT NOT NULL, description TEXT NOT NULL,
  created_at BIGINT NOT NULL, tags TEXT NOT NULL, created_by TEXT NOT NULL,
  UNIQUE(namespace, name));
CREATE INDEX pipeline_by_time ON pipeline(namespace, created_at, id);

CREATE TABLE pipeline_version(
  key INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
  pipeline_key BIGINT NOT NULL REFERENCES pipeline(key), name TEXT NOT NULL,
  display_name TEXT NOT NULL, description TEXT NOT NULL, created_at BIGINT NOT NULL,
  code_source_url TEXT NOT NULL, tags TEXT NOT NULL, spec TEXT NOT NULL, created_by TEXT NOT NULL,
  UNIQUE(pipeline_key, name));
CREATE INDEX version_by_time ON pipeline_version(pipeline_key, created_at, id);

-- seq is the sequence number of the last event, phase a caudal.v1.RunPhase, state the name of the
-- v2beta1 state; is_inline tells whether the client sent the spec with the run.
CREATE TABLE run(
  key INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, namespace TEXT NOT NULL,
  experiment_id TEXT NOT NULL, display_name TEXT NOT NULL, description TEXT NOT NULL,
  storage_state TEXT NOT NULL, service_account TEXT NOT NULL, pipeline_id TEXT NOT NULL,
  pipeline_version_id TEXT NOT NULL, is_inline INTEGER NOT NULL,
  created_at BIGINT NOT NULL, scheduled_at BIGINT NOT NULL,
  finished_at BIGINT NOT NULL, state TEXT NOT NULL, phase INTEGER NOT NULL, error TEXT NOT NULL,
  recurring_run_id TEXT NOT NULL, state_history TEXT NOT NULL, created_by TEXT NOT NULL,
  client TEXT NOT NULL, seq BIGINT NOT NULL, generation INTEGER NOT NULL);
CREATE INDEX run_by_time ON run(namespace, created_at, id);
CREATE INDEX run_by_name ON run(namespace, display_name, id);
CREATE INDEX run_by_end ON run(namespace, finished_at, id);
CREATE INDEX run_of_experiment ON run(experiment_id, created_at, id);
CREATE INDEX run_open ON run(phase) WHERE phase IN (1, 2, 5);

-- What a run executes: the stored text of the pipeline and the parameters as the client sent them.
-- Apart, because these never change and may be long, while the run's row is rewritten at every event.
-- origin and settings: caudal.v1.RunOrigin and RunSettings.
CREATE TABLE run_source(
  run_key BIGINT PRIMARY KEY, spec TEXT NOT NULL, runtime_config TEXT NOT NULL,
  origin BLOB NOT NULL, settings BLOB NOT NULL);

-- Which snapshots of code a run's steps get, so that the others can be swept.
CREATE TABLE run_code(
  sha256 TEXT NOT NULL, run_key BIGINT NOT NULL, PRIMARY KEY(sha256, run_key));
CREATE INDEX code_of_run ON run_code(run_key);

-- What the engine knows of a run as a whole (info: caudal.v1.RunInfo, body: caudal.v1.Run).
CREATE TABLE run_state(run_key BIGINT PRIMARY KEY, info BLOB NOT NULL, body BLOB NOT NULL);

-- Each task as it stands: together with run_state the state of the run. seq is the event that changed
-- it last, state a caudal.v1.TaskState. The caudal.v1.Task is in two parts: here what changes often, in
-- task_data what is set once and may be long.
CREATE TABLE task(
  run_key BIGINT NOT NULL, task_index INTEGER NOT NULL, task_id TEXT NOT NULL, seq BIGINT NOT NULL,
  state INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY(run_key, task_index));
CREATE INDEX task_by_id ON task(run_key, task_id);
CREATE INDEX task_by_seq ON task(run_key, seq, state);
CREATE TABLE task_data(
  run_key BIGINT NOT NULL, task_index INTEGER NOT NULL, body BLOB NOT NULL,
  PRIMARY KEY(run_key, task_index));

CREATE TABLE attempt(
  key BIGINT PRIMARY KEY, run_key BIGINT NOT NULL, task_index INTEGER NOT NULL,
  number INTEGER NOT NULL, created_at BIGINT NOT NULL, started_at BIGINT NOT NULL,
  ended_at BIGINT NOT NULL, result INTEGER NOT NULL, exit_code INTEGER NOT NULL,
  error_code TEXT NOT NULL, error TEXT NOT NULL);
CREATE INDEX attempt_of_task ON attempt(run_key, task_index, number);

-- attempt_key: whose blob holds the bytes, 0 where none does.
CREATE TABLE artifact(
  key BIGINT PRIMARY KEY, id TEXT NOT NULL UNIQUE, namespace TEXT NOT NULL, pipeline TEXT NOT NULL,
  run_key BIGINT NOT NULL, task_index INTEGER NOT NULL, name TEXT NOT NULL, type TEXT NOT NULL,
  uri TEXT NOT NULL, attempt_key BIGINT NOT NULL, created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL, body BLOB NOT NULL);
CREATE INDEX artifact_of_run ON artifact(run_key, task_index);
CREATE INDEX artifact_of_attempt ON artifact(attempt_key) WHERE attempt_key<>0;
CREATE INDEX artifact_by_uri ON artifact(uri, key);

-- Lineage: which task read or wrote which artifact under which name.
CREATE TABLE artifact_use(
  artifact_key BIGINT NOT NULL, run_key BIGINT NOT NULL, task_index INTEGER NOT NULL,
  is_output INTEGER NOT NULL, name TEXT NOT NULL,
  PRIMARY KEY(run_key, task_index, is_output, name, artifact_key));
CREATE INDEX use_of_artifact ON artifact_use(artifact_key, run_key);

CREATE TABLE object(
  bucket TEXT NOT NULL, key TEXT NOT NULL, blob TEXT NOT NULL, size BIGINT NOT NULL,
  sha256 TEXT NOT NULL, run_key BIGINT NOT NULL, PRIMARY KEY(bucket, key));
CREATE INDEX object_of_run ON object(run_key, blob);

-- Which outputs may be used again: those of a task that ran and succeeded. Its key in parts is in the
-- task's own data; task_path is without iterations.
CREATE TABLE cache_entry(
  key INTEGER PRIMARY KEY AUTOINCREMENT, namespace TEXT NOT NULL, pipeline TEXT NOT NULL,
  fingerprint TEXT NOT NULL, realm TEXT NOT NULL, task_path TEXT NOT NULL,
  run_key BIGINT NOT NULL, task_index INTEGER NOT NULL, created_at BIGINT NOT NULL,
  last_hit_at BIGINT NOT NULL, hits BIGINT NOT NULL, pinned INTEGER NOT NULL);
CREATE INDEX cache_by_fingerprint ON cache_entry(namespace, pipeline, fingerprint, realm, key);
CREATE INDEX cache_by_task ON cache_entry(namespace, pipeline, task_path, key);
CREATE INDEX cache_of_task ON cache_entry(run_key, task_index);

-- The newest events of a run (body: caudal.v1.LogRecord, format 1). commit_seq is global.
CREATE TABLE event(
  run_key BIGINT NOT NULL, seq BIGINT NOT NULL, commit_seq BIGINT NOT NULL,
  engine_version INTEGER NOT NULL, format INTEGER NOT NULL, body BLOB NOT NULL,
  PRIMARY KEY(run_key, seq));
-- Earlier events, many in a row: size of the whole, then zlib over length-prefixed records.
CREATE TABLE event_archive(
  run_key BIGINT NOT NULL, first_seq BIGINT NOT NULL, last_seq BIGINT NOT NULL, body BLOB NOT NULL,
  PRIMARY KEY(run_key, first_seq));

-- Commands committed and not yet known to be carried out (body: caudal.v1.Command).
CREATE TABLE outbox(
  key INTEGER PRIMARY KEY AUTOINCREMENT, run_key BIGINT NOT NULL, attempt_key BIGINT NOT NULL,
  is_launch INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX outbox_of_attempt ON outbox(attempt_key);
)sql";

}  // namespace caudal::store
