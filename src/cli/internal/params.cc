#include "cli/internal/params.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cctype>
#include <optional>

#include "base/file.h"
#include "cli/internal/arguments.h"
#include "cli/internal/wording.h"
#include "wire/json.h"

namespace caudal::cli {
namespace {

using google::protobuf::Value;
using ml_pipelines::ComponentInputsSpec;
using ml_pipelines::ParameterType;
using ml_pipelines::PrimitiveType;
using Type = ParameterType::ParameterTypeEnum;

const google::protobuf::Map<std::string, ComponentInputsSpec::ParameterSpec>& Declared(
    const spec::Plan& plan) {
  return plan.root().spec->input_definitions().parameters();
}

std::vector<std::string> Names(const spec::Plan& plan) {
  std::vector<std::string> names;
  for (const auto& [name, parameter] : Declared(plan)) names.push_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

// Old packages declare `type` only.
Type TypeOf(const ComponentInputsSpec::ParameterSpec& parameter) {
  if (parameter.parameter_type() != ParameterType::PARAMETER_TYPE_ENUM_UNSPECIFIED) {
    return parameter.parameter_type();
  }
  switch (parameter.type()) {
    case PrimitiveType::INT:
      return ParameterType::NUMBER_INTEGER;
    case PrimitiveType::DOUBLE:
      return ParameterType::NUMBER_DOUBLE;
    default:
      return ParameterType::STRING;
  }
}

std::string Trim(const std::string& text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

std::string_view Wanted(Type type) {
  switch (type) {
    case ParameterType::NUMBER_INTEGER:
      return "a whole number";
    case ParameterType::NUMBER_DOUBLE:
      return "a number";
    case ParameterType::BOOLEAN:
      return "true or false";
    case ParameterType::LIST:
      return "a JSON list such as [1, 2]";
    case ParameterType::STRUCT:
      return "a JSON object such as {\"a\": 1}";
    default:
      return "text";
  }
}

bool Fits(Type type, const Value& value) {
  switch (type) {
    case ParameterType::NUMBER_INTEGER:
      return value.kind_case() == Value::kNumberValue &&
             value.number_value() ==
                 static_cast<double>(static_cast<int64_t>(value.number_value()));
    case ParameterType::NUMBER_DOUBLE:
      return value.kind_case() == Value::kNumberValue;
    case ParameterType::BOOLEAN:
      return value.kind_case() == Value::kBoolValue;
    case ParameterType::LIST:
      return value.kind_case() == Value::kListValue;
    case ParameterType::STRUCT:
      return value.kind_case() == Value::kStructValue;
    default:
      return true;
  }
}

std::optional<Value> ParseJson(const std::string& text) {
  boost::system::error_code error;
  const boost::json::value json = boost::json::parse(text, error);
  if (error) return std::nullopt;
  return wire::ToValue(json);
}

// nullopt when the text is no value of the type.
std::optional<Value> FromText(Type type, const std::string& text) {
  Value value;
  if (type == ParameterType::STRING || type == ParameterType::PARAMETER_TYPE_ENUM_UNSPECIFIED) {
    value.set_string_value(text);
    return value;
  }
  std::string json = Trim(text);
  if (type == ParameterType::BOOLEAN) json = Lowercase(json);  // as Python writes it, too
  auto parsed = ParseJson(json);
  if (!parsed) return std::nullopt;
  if (parsed->kind_case() != Value::kNullValue && !Fits(type, *parsed)) return std::nullopt;
  return parsed;
}

std::string Shorten(const std::string& text) {
  constexpr size_t kMost = 80;
  return text.size() <= kMost ? text : text.substr(0, kMost) + "…";
}

class Converter {
 public:
  explicit Converter(const spec::Plan& plan) : plan_(plan) {}

  void TakeFile(const std::string& file_name, const std::string& text) {
    const auto object = ParseJson(text);
    if (!object || object->kind_case() != Value::kStructValue) {
      faults_.push_back({file_name, "is not a JSON object of parameters, as in {\"rate\": 0.1}"});
      return;
    }
    for (const auto& [name, value] : object->struct_value().fields()) {
      if (IsKnown(name)) values_[name] = value;
    }
  }

  void TakeAssignment(const std::string& assignment) {
    const size_t equals = assignment.find('=');
    if (equals == std::string::npos || equals == 0) {
      faults_.push_back(
          {"", "parameter \"" + Shorten(assignment) + "\" has no value: write -p name=value"});
      return;
    }
    const std::string name = assignment.substr(0, equals);
    std::string text = assignment.substr(equals + 1);
    if (!IsKnown(name)) return;
    if (text.rfind("@@", 0) == 0) {
      text.erase(0, 1);
    } else if (text.rfind('@', 0) == 0) {
      auto content = base::ReadFile(text.substr(1));
      if (!content.ok()) {
        faults_.push_back({"", "parameter '" + name + "': " + content.status().message() +
                                   " (write @@ for a value that begins with @)"});
        return;
      }
      text = *std::move(content);
    }
    const Type type = TypeOf(Declared(plan_).at(name));
    if (auto value = FromText(type, text)) {
      values_[name] = *std::move(value);
      return;
    }
    faults_.push_back({"", "parameter '" + name + "' wants " + std::string(Wanted(type)) + " (" +
                               spec::TypeName(type) + "), got \"" + Shorten(text) + "\""});
  }

  base::Result<spec::Values> Finish() {
    CAUDAL_TRY(base::FaultsToStatus(faults_));
    return std::move(values_);
  }

 private:
  bool IsKnown(const std::string& name) {
    if (Declared(plan_).count(name) > 0) return true;
    const std::vector<std::string> names = Names(plan_);
    std::string hint = DidYouMean(name, names);
    if (hint.empty()) hint = names.empty() ? ", it takes none" : ", it takes " + Join(names);
    faults_.push_back({"", "the pipeline has no parameter '" + name + "'" + hint});
    return false;
  }

  static std::string Join(const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
    return text;
  }

  const spec::Plan& plan_;
  spec::Values values_;
  std::vector<base::Fault> faults_;
};

}  // namespace

base::Result<spec::Values> ConvertParams(const spec::Plan& plan, const GivenParams& given) {
  Converter converter(plan);
  if (!given.file_name.empty()) converter.TakeFile(given.file_name, given.file_text);
  for (const std::string& assignment : given.assignments) converter.TakeAssignment(assignment);
  return converter.Finish();
}

}  // namespace caudal::cli
