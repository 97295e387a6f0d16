#include "expr/internal/scope.h"

#include <map>

#include "expr/internal/json.h"
#include "wire/json.h"

namespace caudal::expr {
namespace {

constexpr std::string_view kInputs = "ml_pipelines.ExecutorInput.Inputs";
constexpr std::string_view kOutputs = "ml_pipelines.ExecutorInput.Outputs";
constexpr std::string_view kOutputParameter = "ml_pipelines.ExecutorInput.OutputParameter";
constexpr std::string_view kArtifactList = "ml_pipelines.ArtifactList";
constexpr std::string_view kArtifact = "ml_pipelines.RuntimeArtifact";
constexpr std::string_view kArtifactType = "ml_pipelines.ArtifactTypeSchema";

Type RecordOf(std::string_view name) { return {TypeKind::kRecord, {}, name}; }

Environment MakeConditionEnvironment() {
  const Type text{TypeKind::kString, {}, {}};
  const auto by_name = [&](Type value) { return MapOf(text, std::move(value)); };
  Environment environment;
  environment.variables = {{"inputs", RecordOf(kInputs)}, {"outputs", RecordOf(kOutputs)}};
  environment.records = {
      {kInputs,
       {{"parameters", by_name({})},
        {"artifacts", by_name(RecordOf(kArtifactList))},
        {"parameter_values", by_name({})}}},
      {kOutputs,
       {{"parameters", by_name(RecordOf(kOutputParameter))},
        {"artifacts", by_name(RecordOf(kArtifactList))},
        {"output_file", text}}},
      {kOutputParameter, {{"output_file", text}}},
      {kArtifactList, {{"artifacts", ListOf(RecordOf(kArtifact))}}},
      {kArtifact,
       {{"name", text},
        {"type", RecordOf(kArtifactType)},
        {"uri", text},
        {"properties", by_name({})},
        {"custom_properties", by_name({})},
        {"metadata", by_name({})},
        {"custom_path", text}}},
      {kArtifactType,
       {{"schema_title", text},
        {"schema_uri", text},
        {"instance_schema", text},
        {"schema_version", text}}},
  };
  environment.result = {TypeKind::kBool, {}, {}};
  return environment;
}

/// A number is dyn, so that `number_value == 1` need not be written with a point.
Environment MakeSelectorEnvironment() {
  const Type text{TypeKind::kString, {}, {}};
  Environment environment;
  environment.variables = {{"null_value", {}},
                           {"number_value", {}},
                           {"string_value", text},
                           {"bool_value", {TypeKind::kBool, {}, {}}},
                           {"struct_value", MapOf(text, {})},
                           {"list_value", ListOf({})}};
  return environment;
}

Value RecordValue(std::string_view type, Record::Fields fields) {
  return Value(Value::Data(
      std::shared_ptr<const Record>(std::make_shared<Record>(type, std::move(fields)))));
}

template <typename T, typename... Arguments>
Value MapValue(const Arguments&... arguments) {
  return Value(Value::Data(std::shared_ptr<const Map>(std::make_shared<T>(arguments...))));
}

/// A map field of a message by string keys; elements are made when they are asked for.
template <typename Field, Value (*Made)(const typename Field::mapped_type&)>
class FieldView : public Map {
 public:
  explicit FieldView(const Field& field) : field_(field) {}
  size_t size() const override { return field_.size(); }
  std::optional<Value> Find(const Value& key) const override {
    if (!key.Is(Kind::kString)) return {};
    const auto found = field_.find(key.text());
    if (found == field_.end()) return {};
    return Made(found->second);
  }
  std::vector<Value> Keys() const override {
    std::map<std::string_view, const std::string*> sorted;
    for (const auto& entry : field_) sorted.emplace(entry.first, &entry.first);
    std::vector<Value> keys;
    for (const auto& [name, key] : sorted) keys.push_back(Value::Borrowed(*key));
    return keys;
  }

 private:
  const Field& field_;
};

Value EmptyMap() { return *MakeMap({}); }

Value ArtifactValue(const v1::Artifact& artifact) {
  const auto& type = artifact.type();
  return RecordValue(
      kArtifact,
      {{"name", Value::OfString(std::to_string(artifact.key()))},
       {"type",
        RecordValue(kArtifactType, {{"schema_title", Value::Borrowed(type.schema_title())},
                                    {"schema_uri", Value::Borrowed(type.schema_uri())},
                                    {"instance_schema", Value::Borrowed(type.instance_schema())},
                                    {"schema_version", Value::Borrowed(type.schema_version())}})},
       {"uri", Value::Borrowed(artifact.uri())},
       {"properties", EmptyMap()},
       {"custom_properties", EmptyMap()},
       {"metadata", Unwrapped(artifact.metadata())},
       {"custom_path", Value::OfString("")}});
}

class ArtifactsView : public List {
 public:
  explicit ArtifactsView(const v1::ArtifactList& list) : list_(list) {}
  size_t size() const override { return static_cast<size_t>(list_.artifacts_size()); }
  Value At(size_t index) const override {
    return ArtifactValue(list_.artifacts(static_cast<int>(index)));
  }

 private:
  const v1::ArtifactList& list_;
};

Value ArtifactListValue(const v1::ArtifactList& list) {
  return RecordValue(kArtifactList, {{"artifacts", Value(Value::Data(std::shared_ptr<const List>(
                                                       std::make_shared<ArtifactsView>(list))))}});
}

Value ParameterValue(const google::protobuf::Value& value) { return Unwrapped(value); }

/// The variable that stands for the field of `value` that is set.
std::string_view SetField(const google::protobuf::Value& value) {
  using Proto = google::protobuf::Value;
  switch (value.kind_case()) {
    case Proto::kNumberValue:
      return "number_value";
    case Proto::kStringValue:
      return "string_value";
    case Proto::kBoolValue:
      return "bool_value";
    case Proto::kStructValue:
      return "struct_value";
    case Proto::kListValue:
      return "list_value";
    default:
      return "null_value";
  }
}

}  // namespace

const Environment& EnvironmentOf(Scope scope) {
  static const Environment condition = MakeConditionEnvironment();
  static const Environment selector = MakeSelectorEnvironment();
  return scope == Scope::kCondition ? condition : selector;
}

Lookup ConditionVariables(const Parameters& parameters, const Artifacts& artifacts) {
  return [&](std::string_view name) -> std::optional<Value> {
    if (name == "inputs") {
      return RecordValue(
          kInputs,
          {{"parameters", EmptyMap()},
           {"artifacts", MapValue<FieldView<Artifacts, ArtifactListValue>>(artifacts)},
           {"parameter_values", MapValue<FieldView<Parameters, ParameterValue>>(parameters)}});
    }
    if (name == "outputs") {
      return RecordValue(kOutputs, {{"parameters", EmptyMap()},
                                    {"artifacts", EmptyMap()},
                                    {"output_file", Value::OfString("")}});
    }
    return {};
  };
}

Lookup SelectorVariables(const google::protobuf::Value& value) {
  return [&](std::string_view name) -> std::optional<Value> {
    if (name == SetField(value)) return Unwrapped(value);
    if (name == "string_value") return Value::OfString(wire::ValueText(value));
    return {};
  };
}

}  // namespace caudal::expr
