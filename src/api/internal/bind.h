#pragma once

/// Fills a request message from the pieces of an HTTP request.

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace caudal::api::internal {

/// Errors: kInternal unless `path` ("run_id", "pipeline.pipeline_id") names a string or int64
/// field.
base::Status CheckPathField(const google::protobuf::Descriptor& message, const std::string& path);
/// Errors: kInternal unless `name` names a single message field.
base::Status CheckBodyField(const google::protobuf::Descriptor& message, const std::string& name);

/// Sets a field that CheckPathField has accepted. Errors: kInvalidArgument for a word where a
/// number is wanted.
base::Status SetPathField(google::protobuf::Message* message, const std::string& path,
                          const std::string& value);

/// Reads JSON into the whole message ("*") or into one field. Empty text sets nothing. Errors:
/// kInvalidArgument.
base::Status BindBody(const std::string& field, std::string_view json,
                      google::protobuf::Message* message);

/// Sets fields from a query string; keys may be dotted, in snake_case or camelCase. Keys that name
/// no field, or one in or under `reserved` (bound by path or body), are skipped. Errors:
/// kInvalidArgument.
base::Status BindQuery(std::string_view query, const std::vector<std::string>& reserved,
                       google::protobuf::Message* message);

/// The spellings of booleans in query strings. False when `text` is none of them.
bool ParseBool(std::string_view text, bool* value);

}  // namespace caudal::api::internal
