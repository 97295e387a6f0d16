#pragma once

/// Rows of the catalogue: experiments, pipelines, versions, runs. Plain values; functions that take
/// a `sql::Database&` run within a unit or a reader of `Store`.
///
/// Errors everywhere: kNotFound naming the id, kAlreadyExists naming the name.

#include <cstdint>
#include <string>

#include "base/status.h"
#include "caudal/v1/origin.pb.h"
#include "sql/database.h"

namespace caudal::store {

inline constexpr char kAvailable[] = "AVAILABLE";
inline constexpr char kArchived[] = "ARCHIVED";

struct Experiment {
  int64_t key = 0;
  std::string id;
  std::string name_space;
  std::string name;
  std::string description;
  int64_t created_at = 0;
  int64_t last_run_created_at = 0;
  std::string storage_state = kAvailable;
  std::string created_by;
};

struct Pipeline {
  int64_t key = 0;
  std::string id;
  std::string name_space;
  std::string name;
  std::string display_name;
  std::string description;
  int64_t created_at = 0;
  std::string tags = "{}";  ///< JSON object of strings
  std::string created_by;
};

struct PipelineVersion {
  int64_t key = 0;
  std::string id;
  int64_t pipeline_key = 0;
  std::string pipeline_id;  ///< read only: of the pipeline
  std::string name_space;   ///< read only: of the pipeline
  std::string name;
  std::string display_name;
  std::string description;
  int64_t created_at = 0;
  std::string code_source_url;
  std::string tags = "{}";
  std::string spec;  ///< spec::StoredText
  std::string created_by;
};

/// Where a run came from and what its steps get beyond the pipeline.
struct Submission {
  v1::RunOrigin origin{};
  v1::RunSettings settings{};
};

struct Run {
  int64_t key = 0;
  std::string id;
  std::string name_space;
  std::string experiment_id;
  std::string display_name;
  std::string description;
  std::string storage_state = kAvailable;
  std::string service_account;
  std::string pipeline_id;
  std::string pipeline_version_id;
  std::string spec;  ///< spec::StoredText of what it executes
  bool is_inline = false;
  std::string runtime_config;  ///< JSON as the client sent it; empty when it sent none
  int64_t created_at = 0;
  int64_t scheduled_at = 0;
  int64_t finished_at = 0;
  std::string state = "PENDING";  ///< v2beta1 name
  int phase = 0;                  ///< v1::RunPhase
  std::string error;
  std::string recurring_run_id;
  std::string state_history;  ///< "micros:STATE;micros:STATE"
  std::string created_by;
  std::string client;
  int64_t seq = 0;
  int generation = 1;
  Submission submission{};  ///< write only: GetSubmission reads it
};

base::Status InsertExperiment(sql::Database& database, Experiment* row);
base::Result<Experiment> GetExperiment(sql::Database& database, const std::string& id);
base::Status SetExperimentStorageState(sql::Database& database, const std::string& id,
                                       const std::string& state);
base::Status DeleteExperiment(sql::Database& database, const std::string& id);

base::Status InsertPipeline(sql::Database& database, Pipeline* row);
base::Result<Pipeline> GetPipeline(sql::Database& database, const std::string& id);
/// The newest of that name in any namespace (single-user mode has one).
base::Result<Pipeline> GetPipelineByName(sql::Database& database, const std::string& name);
base::Status DeletePipeline(sql::Database& database, int64_t key);

base::Status InsertVersion(sql::Database& database, PipelineVersion* row);
base::Result<PipelineVersion> GetVersion(sql::Database& database, const std::string& id);
/// Greatest created_at, ties by greatest id.
base::Result<PipelineVersion> GetLatestVersion(sql::Database& database, int64_t pipeline_key);
base::Result<int64_t> CountVersions(sql::Database& database, int64_t pipeline_key);
base::Status DeleteVersions(sql::Database& database, int64_t pipeline_key);
base::Status DeleteVersion(sql::Database& database, const std::string& id);

/// Inserts and sets `row->key`; also moves the experiment's last_run_created_at.
base::Status InsertRun(sql::Database& database, Run* row);
base::Result<Run> GetRun(sql::Database& database, const std::string& id);
/// Errors: kNotFound, kDataLoss.
base::Result<Submission> GetSubmission(sql::Database& database, int64_t run_key);
/// Whether any run's steps get this snapshot of code.
base::Result<bool> IsCodeUsed(sql::Database& database, const std::string& sha256);
base::Result<Run> GetRunByKey(sql::Database& database, int64_t key);
base::Status SetRunStorageState(sql::Database& database, const std::string& id,
                                const std::string& state);
/// Removes the run and everything that belongs to it but its files, and artifacts that other runs
/// use: those belong to one of them from then on.
base::Status DeleteRun(sql::Database& database, int64_t key);

}  // namespace caudal::store
