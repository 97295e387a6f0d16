#pragma once

/// Column lists and row readers, shared by point reads and lists.

#include "sql/database.h"
#include "store/rows.h"

namespace caudal::store {

inline constexpr char kExperimentColumns[] =
    "key, id, namespace, name, description, created_at, last_run_created_at, storage_state,"
    " created_by";
inline constexpr char kPipelineColumns[] =
    "key, id, namespace, name, display_name, description, created_at, tags, created_by";
inline constexpr char kVersionColumns[] =
    "key, id, pipeline_key, name, display_name, description, created_at, code_source_url, tags,"
    " spec, created_by,"
    " (SELECT p.id FROM pipeline p WHERE p.key=pipeline_key),"
    " (SELECT p.namespace FROM pipeline p WHERE p.key=pipeline_key)";
inline constexpr char kRunColumns[] =
    "key, id, namespace, experiment_id, display_name, description, storage_state, service_account,"
    " pipeline_id, pipeline_version_id,"
    " (SELECT s.spec FROM run_source s WHERE s.run_key=run.key), is_inline,"
    " (SELECT s.runtime_config FROM run_source s WHERE s.run_key=run.key), created_at, "
    "scheduled_at,"
    " finished_at, state, phase, error, recurring_run_id, state_history, created_by, client, seq,"
    " generation";

Experiment ReadExperiment(const sql::Row& row);
Pipeline ReadPipeline(const sql::Row& row);
PipelineVersion ReadVersion(const sql::Row& row);
Run ReadRun(const sql::Row& row);

}  // namespace caudal::store
