#pragma once

/// A backend that notes what it is asked and answers without doing anything.

#include <google/protobuf/struct.pb.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "api/gateway.h"
#include "backend/api/v2beta1/experiment.pb.h"
#include "backend/api/v2beta1/run.pb.h"
#include "caudal/v1/run_service.pb.h"
#include "wire/json.h"

namespace caudal::api::testing {

/// The last call as "RunService.GetRun {"run_id":"x"}", or empty. A request that holds "fail-N"
/// fails with code N; GetRun answers with a run, the rest with an empty message. Logs: run "r" with
/// nodes "done" and "live"; set their sources before use.
struct FakeBackend {
  std::string last_call;
  std::string last_client;
  std::string failure_ending;  ///< of the message of every failure
  service::LogSource done_log;
  service::LogSource live_log;

  Backend Make();

 private:
  base::Status Note(const service::Caller& caller, const std::string& name,
                    const std::string& request) {
    last_call = name + " " + request;
    last_client = caller.client;
    const size_t at = request.find("fail-");
    if (at == std::string::npos) return {};
    const int code = std::atoi(request.c_str() + at + 5);
    return base::Status(static_cast<base::Code>(code), "thing <x> was not found" + failure_ending);
  }

  service::Method MakeMethod(const google::protobuf::MethodDescriptor* descriptor) {
    const auto call =
        [this, descriptor](
            const service::Caller& caller,
            const google::protobuf::Message& request) -> base::Result<service::Reply> {
      const std::string name = descriptor->service()->name() + "." + descriptor->name();
      CAUDAL_TRY(Note(caller, name, wire::ToJson(request, wire::FieldNames::kSnakeCase)));
      service::Reply reply(google::protobuf::MessageFactory::generated_factory()
                               ->GetPrototype(descriptor->output_type())
                               ->New());
      if (auto* run = google::protobuf::DynamicCastToGenerated<v2beta1::Run>(reply.get())) {
        run->set_run_id("r");
        run->set_state(v2beta1::SUCCEEDED);
        run->mutable_finished_at();
      }
      return reply;
    };
    return {descriptor, {}, call};
  }

  static std::string ToJson(const service::Upload& upload);
};

inline std::string FakeBackend::ToJson(const service::Upload& upload) {
  google::protobuf::Struct fields;
  const auto set = [&fields](const char* name, const std::string& value) {
    if (!value.empty()) (*fields.mutable_fields())[name].set_string_value(value);
  };
  set("file_name", upload.file_name);
  set("content", upload.content);
  set("name", upload.name);
  set("display_name", upload.display_name);
  set("description", upload.description);
  set("namespace", upload.name_space);
  set("tags", upload.tags_json);
  set("code_source_url", upload.code_source_url);
  set("pipeline_id", upload.pipeline_id);
  return wire::ToJson(fields, wire::FieldNames::kSnakeCase);
}

inline Backend FakeBackend::Make() {
  Backend backend;
  backend.version = "1.2.3";
  const google::protobuf::FileDescriptor* files[] = {
      v2beta1::Experiment::descriptor()->file(), v2beta1::Pipeline::descriptor()->file(),
      v2beta1::Run::descriptor()->file(), v1::RunReport::descriptor()->file()};
  for (const auto* file : files) {
    for (int s = 0; s < file->service_count(); ++s) {
      for (int m = 0; m < file->service(s)->method_count(); ++m) {
        backend.methods.push_back(MakeMethod(file->service(s)->method(m)));
      }
    }
  }
  backend.upload_pipeline = [this](
                                const service::Caller& caller,
                                const service::Upload& upload) -> base::Result<v2beta1::Pipeline> {
    CAUDAL_TRY(Note(caller, "upload_pipeline", ToJson(upload)));
    v2beta1::Pipeline pipeline;
    pipeline.set_pipeline_id("p");
    return pipeline;
  };
  backend.upload_pipeline_version =
      [this](const service::Caller& caller,
             const service::Upload& upload) -> base::Result<v2beta1::PipelineVersion> {
    CAUDAL_TRY(Note(caller, "upload_pipeline_version", ToJson(upload)));
    v2beta1::PipelineVersion version;
    version.set_pipeline_version_id("v");
    return version;
  };
  backend.has_code = [this](const service::Caller& caller, const std::string& sha256) {
    CAUDAL_TRY(Note(caller, "has_code", sha256));
    return sha256 == "known" ? base::OkStatus() : base::NotFound("code " + sha256 + " not found");
  };
  backend.add_code = [this](const service::Caller& caller, const std::string& sha256,
                            const std::string& content) {
    return Note(caller, "add_code", sha256 + " " + content);
  };
  backend.open_log = [this](const service::Caller& caller, const std::string& run,
                            const std::string& node,
                            int64_t attempt) -> base::Result<service::LogSource> {
    CAUDAL_TRY(Note(caller, "open_log",
                    run + " " + node + (attempt == 0 ? "" : " " + std::to_string(attempt))));
    if (run == "r" && node == "done") return done_log;
    if (run == "r" && node == "live") return live_log;
    return base::NotFound("task '" + node + "' of run '" + run + "' not found");
  };
  return backend;
}

}  // namespace caudal::api::testing
