#pragma once

/// Protobuf messages to and from JSON, strictly, with faults that say where they stand.
///
/// Format: proto3 JSON mapping. Reading accepts lowerCamelCase and snake_case names; unknown names
/// are faults unless told otherwise. Integral doubles are written without decimals ("3", not
/// "3.0"), and map keys are sorted, so equal messages give equal text.

#include <google/protobuf/message.h>
#include <google/protobuf/struct.pb.h>

#include <boost/json/fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace caudal::wire {

enum class UnknownFields { kReject, kIgnore };
enum class FieldNames { kSnakeCase, kCamelCase };

/// Bounds on JSON text, so that no input exhausts stack or memory.
struct JsonLimits {
  size_t depth = 200;
  size_t nodes = 10'000'000;
};

/// Strict JSON text to a value: unlike Boost.JSON's own parser it reads every number exactly and
/// refuses an object that has a key twice. Errors: kInvalidArgument with the place.
base::Result<boost::json::value> ParseJson(std::string_view text, const JsonLimits& limits = {});

/// Reads `json` into `message` (which is cleared first). Every fault is collected; its path starts
/// with `path` and goes on with the names as written: "root.dag.tasks.say.taskInf".
std::vector<base::Fault> FromJson(const boost::json::value& json,
                                  google::protobuf::Message* message,
                                  UnknownFields unknown = UnknownFields::kReject,
                                  const std::string& path = "");

/// The same from text. Errors: kInvalidArgument with one line per fault, or the place of the syntax
/// error.
base::Status FromJsonText(std::string_view text, google::protobuf::Message* message,
                          UnknownFields unknown = UnknownFields::kReject);

/// Compact JSON. Fields with default values are left out, set messages never.
std::string ToJson(const google::protobuf::Message& message, FieldNames names);

/// Compact JSON of a Value as Go's encoder writes it: keys sorted, `<`, `>`, `&`, U+2028 and U+2029
/// escaped. This is the text form of lists and objects everywhere (placeholders, STRING
/// conversion).
std::string ValueToGoJson(const google::protobuf::Value& value);

/// Levels of lists and objects in a value: 0 for a string, 1 for [1].
int ValueDepth(const google::protobuf::Value& value);

/// What a value to be stored or sent may have. Protobuf reads no message nested deeper than 100, an
/// object in a Value takes three levels of that, and what holds the value takes some: anything
/// deeper could be written and never be read back.
constexpr int kMaxValueDepth = 25;

google::protobuf::Value ToValue(const boost::json::value& json);
boost::json::value FromValue(const google::protobuf::Value& value);

/// Text of a number: shortest decimal without exponent and without ".0" ("1", "0.1",
/// "100000000000000000000").
std::string NumberText(double number);

/// Text form of any parameter value: string as is, null empty, number by NumberText, bool, lists
/// and objects by ValueToGoJson.
std::string ValueText(const google::protobuf::Value& value);

}  // namespace caudal::wire
