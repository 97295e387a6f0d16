#include "engine/internal/settings.h"

#include <algorithm>

#include "base/quantity.h"
#include "engine/internal/inputs.h"
#include "engine/internal/values.h"
#include "expr/expr.h"
#include "wire/json.h"

namespace caudal::engine {
namespace {

using base::InvalidArgument;
using base::Result;
using base::Status;
using google::protobuf::Value;

constexpr size_t kMaxNameBytes = 253;

// Names of Kubernetes objects; ours become names of files and folders.
bool IsObjectName(std::string_view name) {
  const auto is_plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !name.empty() && name.size() <= kMaxNameBytes && is_plain(name.front()) &&
         is_plain(name.back()) && name.find("..") == name.npos &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return is_plain(c) || c == '-' || c == '.'; });
}

bool HasDotDot(std::string_view path) {
  const std::string framed = "/" + std::string(path) + "/";
  return framed.find("/../") != std::string::npos;
}

}  // namespace

Result<std::optional<Value>> SettingValue(const Draft& draft, int task, const SettingSource& source,
                                          const std::string& field) {
  std::string where;
  std::optional<Value> value = ValueOfSource(draft, task, source, &where);
  if (!value || value->kind_case() == Value::kNullValue) {
    // A parameter that was not given is no request; an output that should be there is a fault.
    if (source.has_task_output_parameter()) {
      return InvalidArgument(field + " has no value: " + where);
    }
    return std::optional<Value>();
  }
  const std::string& selector = source.parameter_expression_selector();
  if (selector.empty()) return value;
  const auto program = expr::Compile(selector, expr::Scope::kSelector);
  if (!program.ok()) return Status(program.status()).With(field);
  auto selected = expr::EvaluateSelector(**program, *value);
  if (!selected.ok()) return Status(selected.status()).With(field);
  return std::optional<Value>(*std::move(selected));
}

Result<std::string> SettingName(const Draft& draft, int task, const SettingSource* source,
                                const std::string& fixed, const std::string& field) {
  std::string name = fixed;
  if (source != nullptr) {
    CAUDAL_ASSIGN(const std::optional<Value> value, SettingValue(draft, task, *source, field));
    if (!value) return std::string();
    if (value->kind_case() != Value::kStringValue) {
      return InvalidArgument(field + " is " + wire::ValueToGoJson(*value) +
                             ", which is no name; give it a text");
    }
    name = value->string_value();
  }
  if (!IsObjectName(name)) {
    return InvalidArgument(field + " is \"" + name +
                           "\", which is no name; use lower-case letters, digits, '-' and '.'");
  }
  return name;
}

Status CheckMountPath(const std::string& path, const std::string& field) {
  const std::string remedy = "; give it an absolute path such as \"/mnt/data\"";
  if (path.empty()) return InvalidArgument(field + " is missing" + remedy);
  if (path.front() != '/' || HasDotDot(path) || path.find('\0') != path.npos) {
    return InvalidArgument(field + " is \"" + path + "\"" + remedy);
  }
  // "/", "//" and "/./" all hide everything the step needs.
  if (path.find_first_not_of("/.") == path.npos) {
    return InvalidArgument(field + " is \"" + path + "\", which would hide the whole system" +
                           remedy);
  }
  return {};
}

Status CheckSize(const std::string& size, const std::string& field) {
  if (size.empty() || base::ParseQuantity(size, 1)) return {};
  return InvalidArgument(field + " \"" + size + "\" is no quantity; write for example \"2Gi\"");
}

namespace {

void SetText(Value* object, const std::string& name, const std::string& text) {
  if (!text.empty()) Field(object, name).set_string_value(text);
}

template <typename Map>
void SetMap(Value* object, const std::string& name, const Map& map) {
  if (map.empty()) return;
  for (const auto& [key, text] : map) Field(&Field(object, name), key).set_string_value(text);
}

void SetTexts(Value* object, const std::string& name, const auto& texts) {
  for (const std::string& text : texts) {
    Field(object, name).mutable_list_value()->add_values()->set_string_value(text);
  }
}

void SetRequirements(Value* object, const std::string& name, const auto& requirements) {
  for (const auto& requirement : requirements) {
    Value* entry = Field(object, name).mutable_list_value()->add_values();
    SetText(entry, "key", requirement.key());
    SetText(entry, "operator", requirement.operator_());
    SetTexts(entry, "values", requirement.values());
  }
}

bool IsEmpty(const Value& value) {
  return value.struct_value().fields().empty() && value.list_value().values().empty();
}

/// Puts a Placement together from one task's settings.
class PlacementReader {
 public:
  PlacementReader(const Draft& draft, int task,
                  const kfp_kubernetes::KubernetesExecutorConfig& config)
      : draft_(draft), task_(task), config_(config) {}

  Result<Placement> Read() {
    CAUDAL_TRY(ReadNodeSelector());
    for (int i = 0; i < config_.tolerations_size(); ++i) CAUDAL_TRY(ReadToleration(i));
    for (int i = 0; i < config_.node_affinity_size(); ++i) CAUDAL_TRY(ReadNodeAffinity(i));
    for (const auto& term : config_.pod_affinity()) ReadPodAffinity(term);
    return std::move(placement_);
  }

 private:
  static Status WrongKind(const std::string& field, const Value& value, std::string_view wanted) {
    return InvalidArgument(field + " is " + wire::ValueToGoJson(value) + ", it wants " +
                           std::string(wanted));
  }

  Status ReadNodeSelector() {
    const auto& selector = config_.node_selector();
    if (!selector.has_node_selector_json()) {
      if (!selector.labels().empty()) {
        for (const auto& [key, label] : selector.labels()) {
          Field(&placement_.node_selector, key).set_string_value(label);
        }
      }
      return {};
    }
    const std::string field = "nodeSelector.nodeSelectorJson";
    CAUDAL_ASSIGN(const std::optional<Value> value,
                  SettingValue(draft_, task_, selector.node_selector_json(), field));
    if (!value) return {};
    if (!value->has_struct_value()) return WrongKind(field, *value, "an object of texts");
    for (const auto& [key, label] : value->struct_value().fields()) {
      if (label.kind_case() != Value::kStringValue) {
        return WrongKind(field + "['" + key + "']", label, "a text");
      }
    }
    if (!IsEmpty(*value)) placement_.node_selector = *value;
    return {};
  }

  Status ReadToleration(int i) {
    const auto& given = config_.tolerations(i);
    auto& list = placement_.tolerations;
    if (!given.has_toleration_json()) {
      Value* toleration = list.mutable_list_value()->add_values();
      toleration->mutable_struct_value();
      SetText(toleration, "key", given.key());
      SetText(toleration, "operator", given.operator_());
      SetText(toleration, "value", given.value());
      SetText(toleration, "effect", given.effect());
      if (given.has_toleration_seconds()) {
        Field(toleration, "tolerationSeconds")
            .set_number_value(static_cast<double>(given.toleration_seconds()));
      }
      return {};
    }
    const std::string field = "tolerations[" + std::to_string(i) + "].tolerationJson";
    CAUDAL_ASSIGN(const std::optional<Value> value,
                  SettingValue(draft_, task_, given.toleration_json(), field));
    if (!value) return {};
    if (!value->has_struct_value() && !value->has_list_value()) {
      return WrongKind(field, *value, "an object or a list of objects");
    }
    if (value->has_struct_value() && !IsEmpty(*value)) {
      *list.mutable_list_value()->add_values() = *value;
    }
    for (const Value& item : value->list_value().values()) {
      if (!item.has_struct_value()) return WrongKind(field, *value, "a list of objects");
      *list.mutable_list_value()->add_values() = item;
    }
    return {};
  }

  static Value* Required(Value* affinity) {
    return Field(&Field(affinity, "requiredDuringSchedulingIgnoredDuringExecution"),
                 "nodeSelectorTerms")
        .mutable_list_value()
        ->add_values();
  }
  static Value* Preferred(Value* affinity) {
    return Field(affinity, "preferredDuringSchedulingIgnoredDuringExecution")
        .mutable_list_value()
        ->add_values();
  }

  Status ReadNodeAffinity(int i) {
    const auto& given = config_.node_affinity(i);
    if (given.has_node_affinity_json()) {
      const std::string field = "nodeAffinity[" + std::to_string(i) + "].nodeAffinityJson";
      CAUDAL_ASSIGN(const std::optional<Value> value,
                    SettingValue(draft_, task_, given.node_affinity_json(), field));
      return value ? AppendNodeAffinity(*value, field) : Status();
    }
    if (given.match_expressions().empty() && given.match_fields().empty()) return {};
    Value term;
    SetRequirements(&term, "matchExpressions", given.match_expressions());
    SetRequirements(&term, "matchFields", given.match_fields());
    Value* affinity = &Field(&placement_.affinity, "nodeAffinity");
    if (given.has_weight()) {
      Value* preferred = Preferred(affinity);
      Field(preferred, "weight").set_number_value(given.weight());
      Field(preferred, "preference") = std::move(term);
    } else {
      *Required(affinity) = std::move(term);
    }
    return {};
  }

  Status AppendNodeAffinity(const Value& given, const std::string& field) {
    if (!given.has_struct_value()) return WrongKind(field, given, "an object");
    for (const auto& [key, value] : given.struct_value().fields()) {
      const bool is_required = key == "requiredDuringSchedulingIgnoredDuringExecution";
      if (!is_required && key != "preferredDuringSchedulingIgnoredDuringExecution") {
        return InvalidArgument(field + " has '" + key + "', which a node affinity does not know");
      }
      if (value.kind_case() == Value::kNullValue) continue;
      const Value* terms = &value;
      if (is_required) {
        if (!value.has_struct_value()) return WrongKind(field + "." + key, value, "an object");
        const auto found = value.struct_value().fields().find("nodeSelectorTerms");
        if (found == value.struct_value().fields().end()) continue;
        terms = &found->second;
      }
      if (!terms->has_list_value()) return WrongKind(field + "." + key, *terms, "a list");
      for (const Value& term : terms->list_value().values()) {
        Value* affinity = &Field(&placement_.affinity, "nodeAffinity");
        *(is_required ? Required(affinity) : Preferred(affinity)) = term;
      }
    }
    return {};
  }

  void ReadPodAffinity(const kfp_kubernetes::PodAffinityTerm& given) {
    Value term;
    term.mutable_struct_value();
    if (!given.match_pod_labels().empty() || !given.match_pod_expressions().empty()) {
      Value* pods = &Field(&term, "labelSelector");
      SetMap(pods, "matchLabels", given.match_pod_labels());
      SetRequirements(pods, "matchExpressions", given.match_pod_expressions());
    }
    SetText(&term, "topologyKey", given.topology_key());
    SetTexts(&term, "namespaces", given.namespaces());
    if (!given.match_namespace_labels().empty() || !given.match_namespace_expressions().empty()) {
      Value* namespaces = &Field(&term, "namespaceSelector");
      SetMap(namespaces, "matchLabels", given.match_namespace_labels());
      SetRequirements(namespaces, "matchExpressions", given.match_namespace_expressions());
    }
    Value* affinity =
        &Field(&placement_.affinity, given.anti() ? "podAntiAffinity" : "podAffinity");
    if (given.has_weight()) {
      Value* preferred = Preferred(affinity);
      Field(preferred, "weight").set_number_value(given.weight());
      Field(preferred, "podAffinityTerm") = std::move(term);
    } else {
      *Field(affinity, "requiredDuringSchedulingIgnoredDuringExecution")
           .mutable_list_value()
           ->add_values() = std::move(term);
    }
  }

  const Draft& draft_;
  const int task_;
  const kfp_kubernetes::KubernetesExecutorConfig& config_;
  Placement placement_;
};

}  // namespace

Result<Placement> ResolvePlacement(const Draft& draft, int task,
                                   const kfp_kubernetes::KubernetesExecutorConfig& config) {
  return PlacementReader(draft, task, config).Read();
}

}  // namespace caudal::engine
