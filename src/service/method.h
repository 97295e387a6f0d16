#pragma once

/// The service layer as a table of methods: every transport (REST now, gRPC next) calls through it.

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "auth/authorize.h"
#include "base/status.h"

namespace caudal::service {

/// Who calls, and through what.
struct Caller {
  auth::Principal principal;
  std::string client;  ///< User-Agent, for provenance
};

using Reply = std::unique_ptr<google::protobuf::Message>;

/// One unary method of a proto service.
struct Method {
  const google::protobuf::MethodDescriptor* descriptor = nullptr;
  auth::Permission permission;  ///< what `call` asks auth::Authorize for, on the owning object
  std::function<base::Result<Reply>(const Caller&, const google::protobuf::Message&)> call;
  bool takes_secrets = false;  ///< nothing of a request is ever quoted, in no error and no log
};

using MethodTable = std::vector<Method>;

/// An uploaded package (api.md section 2). Fields come from the query string; `*_given` tells
/// absent from empty where it matters.
struct Upload {
  std::string file_name;
  std::string content;
  std::string name;
  std::string display_name;
  std::string description;
  std::string name_space;
  std::string tags_json;
  std::string code_source_url;
  std::string pipeline_id;  ///< of upload_version
};

/// Where a task's log lies, for streaming.
struct LogSource {
  std::string path;                   ///< host path; may not exist yet
  std::function<bool()> is_complete;  ///< true once no more will be written. Thread-safe
};

}  // namespace caudal::service
