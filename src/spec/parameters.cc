#include "spec/parameters.h"

#include <algorithm>
#include <cmath>

#include "spec/internal/check.h"
#include "spec/internal/literals.h"
#include "spec/internal/macros.h"
#include "wire/json.h"

namespace caudal::spec {
namespace {

using base::Fault;
using google::protobuf::Value;
using ml_pipelines::ComponentInputsSpec;
using ml_pipelines::ParameterType;

/// What a type wants, for messages; empty when no value can be given.
std::string Wanted(internal::TypeEnum type) {
  switch (type) {
    case ParameterType::NUMBER_DOUBLE:
    case ParameterType::NUMBER_INTEGER:
      return "a number";
    case ParameterType::STRING:
      return "a string";
    case ParameterType::BOOLEAN:
      return "true or false";
    case ParameterType::LIST:
      return "a list";
    case ParameterType::STRUCT:
    case ParameterType::TASK_FINAL_STATUS:
    case ParameterType::TASK_CONFIG:
      return "an object";
    default:
      return "";
  }
}

bool IsOfType(internal::TypeEnum type, const Value& value) {
  switch (value.kind_case()) {
    case Value::kNumberValue:
      return (type == ParameterType::NUMBER_DOUBLE || type == ParameterType::NUMBER_INTEGER) &&
             std::isfinite(value.number_value());
    case Value::kStringValue:
      return type == ParameterType::STRING;
    case Value::kBoolValue:
      return type == ParameterType::BOOLEAN;
    case Value::kListValue:
      return type == ParameterType::LIST;
    case Value::kStructValue:
      return Wanted(type) == "an object";
    default:
      return false;
  }
}

std::string Described(const Value& value) {
  switch (value.kind_case()) {
    case Value::kListValue:
      return "a list";
    case Value::kStructValue:
      return "an object";
    case Value::kNumberValue:
      return wire::NumberText(value.number_value());
    case Value::kStringValue: {
      const bool is_long = value.string_value().size() > 60;
      return "\"" + value.string_value().substr(0, 60) + (is_long ? "…\"" : "\"");
    }
    default:
      return wire::ValueToGoJson(value);
  }
}

std::string TooDeep() {
  return "is nested deeper than " + std::to_string(wire::kMaxValueDepth) +
         " levels, give it as JSON text in a string";
}

/// Equal as messages: 1 and 1.0 are, "1" and 1 are not. The text is canonical, and no kind's text
/// is another's.
bool Equal(const Value& a, const Value& b) {
  return a.kind_case() == b.kind_case() && wire::ValueToGoJson(a) == wire::ValueToGoJson(b);
}

bool IsNumber(const Value& value, double number) {
  return value.kind_case() == Value::kNumberValue && value.number_value() == number;
}

/// Prepares the parameters of one run.
class Preparer {
 public:
  Preparer(const Plan& plan, const MacroSource& macros)
      : declared_(plan.root().spec->input_definitions().parameters()), macros_(macros) {}

  base::Result<Values> Run(const Values& given) {
    for (const auto& [name, value] : given) {
      if (declared_.contains(name)) continue;
      Report(name, "the pipeline has no such parameter" + faults_.DidYouMean(name, declared_));
    }
    for (const auto& [name, parameter] : declared_) {
      const auto value = given.find(name);
      if (value == given.end()) {
        FillDefault(name, parameter);
      } else {
        Accept(name, parameter, Expanded(value->second));
      }
    }
    std::vector<Fault> faults = faults_.list();
    std::sort(faults.begin(), faults.end(),
              [](const Fault& a, const Fault& b) { return a.path < b.path; });
    CAUDAL_TRY(base::FaultsToStatus(faults));
    return std::move(values_);
  }

 private:
  Value Expanded(Value value) const {
    if (value.kind_case() == Value::kStringValue) {
      value.set_string_value(internal::ExpandMacros(value.string_value(), macros_));
    }
    return value;
  }

  void FillDefault(const std::string& name, const ComponentInputsSpec::ParameterSpec& parameter) {
    if (wire::ValueDepth(parameter.default_value()) > wire::kMaxValueDepth) {
      Report(name, "has a default that " + TooDeep());
    } else if (parameter.has_default_value()) {
      values_[name] = parameter.default_value();
    } else if (parameter.is_optional()) {
      values_[name].set_null_value(google::protobuf::NULL_VALUE);
    } else {
      Report(name, "is required and has no default, give it a value");
    }
  }

  void Accept(const std::string& name, const ComponentInputsSpec::ParameterSpec& parameter,
              Value value) {
    const auto type = parameter.parameter_type();
    if (type == ParameterType::TASK_FINAL_STATUS || type == ParameterType::TASK_CONFIG) {
      return Report(name, "is " + TypeName(type) + ", which cannot be given to a pipeline");
    }
    if (Wanted(type).empty()) {
      return Report(name,
                    "has no parameterType, so that no value fits; compile the pipeline with "
                    "kfp 2");
    }
    if (value.kind_case() == Value::kNullValue || value.kind_case() == Value::KIND_NOT_SET) {
      return Report(name, "wants " + Wanted(type) + ", got null; leave it out instead");
    }
    if (!IsOfType(type, value)) {
      return Report(name, "wants " + Wanted(type) + ", got " + Described(value));
    }
    if (wire::ValueDepth(value) > wire::kMaxValueDepth) return Report(name, TooDeep());
    if (!internal::IsAllowed(parameter, value)) {
      return Report(name, internal::WrongLiteral(parameter, value));
    }
    values_[name] = std::move(value);
  }

  void Report(const std::string& name, std::string message) {
    faults_.Report("parameters." + name, std::move(message));
  }

  const google::protobuf::Map<std::string, ComponentInputsSpec::ParameterSpec>& declared_;
  const MacroSource& macros_;
  Values values_;
  internal::Faults faults_;
};

}  // namespace

bool internal::IsAllowed(const ComponentInputsSpec::ParameterSpec& declared, const Value& value) {
  if (declared.literals().empty()) return true;
  for (const Value& literal : declared.literals()) {
    if (Equal(literal, value)) return true;
  }
  return false;
}

std::string internal::WrongLiteral(const ComponentInputsSpec::ParameterSpec& declared,
                                   const Value& value) {
  std::string text;
  for (const Value& literal : declared.literals()) {
    text += (text.empty() ? "" : ", ") + Described(literal);
  }
  return "wants one of " + text + ", got " + Described(value);
}

base::Result<Values> PrepareParameters(const Plan& plan, const Values& given,
                                       const MacroSource& macros) {
  return Preparer(plan, macros).Run(given);
}

base::Result<Value> ConvertParameter(internal::TypeEnum type, const Value& value) {
  if (type == ParameterType::STRING) {
    Value text;
    text.set_string_value(wire::ValueText(value));
    return text;
  }
  if (wire::ValueDepth(value) > wire::kMaxValueDepth) return base::InvalidArgument(TooDeep());
  if (IsOfType(type, value)) return value;
  // SDKs before 2.0.0 write True as 1.0.
  if (type == ParameterType::BOOLEAN && (IsNumber(value, 0) || IsNumber(value, 1))) {
    Value flag;
    flag.set_bool_value(IsNumber(value, 1));
    return flag;
  }
  if (Wanted(type).empty()) return base::InvalidArgument("has no parameterType, no value fits");
  return base::InvalidArgument("wants " + Wanted(type) + ", got " + Described(value));
}

std::string TypeName(internal::TypeEnum type) {
  const std::string& name = ParameterType::ParameterTypeEnum_Name(type);
  return name.empty() ? "PARAMETER_TYPE_ENUM_UNSPECIFIED" : name;
}

}  // namespace caudal::spec
