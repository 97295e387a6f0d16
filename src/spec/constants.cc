#include "spec/internal/check.h"
#include "spec/internal/literals.h"
#include "spec/parameters.h"

namespace caudal::spec::internal {
namespace {

using google::protobuf::Value;
using ml_pipelines::ParameterType;

bool HasPlaceholder(const Value& value) {
  return value.kind_case() == Value::kStringValue &&
         value.string_value().find("{{$") != std::string::npos;
}

}  // namespace

void CheckConstant(const Value& constant,
                   const ml_pipelines::ComponentInputsSpec::ParameterSpec& declared, bool converts,
                   const std::string& path, Faults* faults) {
  if (HasPlaceholder(constant)) return;
  if (!IsAllowed(declared, constant)) {
    return faults->Report(path, WrongLiteral(declared, constant));
  }
  const TypeEnum type = declared.parameter_type();
  if (!converts || type == ParameterType::PARAMETER_TYPE_ENUM_UNSPECIFIED) return;
  if (constant.kind_case() == Value::kNullValue) {
    if (!declared.is_optional()) faults->Report(path, "is null, but the input is not optional");
    return;
  }
  const auto converted = ConvertParameter(type, constant);
  if (!converted.ok()) faults->Report(path, converted.status().message());
}

}  // namespace caudal::spec::internal
