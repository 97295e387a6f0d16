#pragma once

/// Rows to API messages.

#include <map>
#include <string>
#include <vector>

#include "backend/api/v2beta1/experiment.pb.h"
#include "backend/api/v2beta1/pipeline.pb.h"
#include "backend/api/v2beta1/run.pb.h"
#include "base/status.h"
#include "caudal/v1/engine.pb.h"
#include "spec/plan.h"
#include "store/rows.h"

namespace caudal::service {

namespace v2beta1 = kubeflow::pipelines::backend::api::v2beta1;

v2beta1::Experiment ToProto(const store::Experiment& row);
v2beta1::Pipeline ToProto(const store::Pipeline& row);
v2beta1::PipelineVersion ToProto(const store::PipelineVersion& row);
/// Without run_details.
v2beta1::Run ToProto(const store::Run& row);

/// The tasks of a run below its root: one entry for each, iterations as well. `tasks` begin with
/// the root; the list may be cut off.
v2beta1::RunDetails ToRunDetails(const store::Run& row, const std::vector<v1::Task>& tasks,
                                 const spec::Plan& plan);

/// {"a": "b"} → map. Errors: kInvalidArgument for anything that is no object of strings, and for
/// the limits of api.md 5.3.
base::Result<std::map<std::string, std::string>> ParseTags(const std::string& json);
std::string TagsToJson(const google::protobuf::Map<std::string, std::string>& tags);
base::Status CheckTags(const google::protobuf::Map<std::string, std::string>& tags);

}  // namespace caudal::service
