#include <optional>
#include <string_view>

#include "base/quantity.h"
#include "engine/attempt.h"
#include "wire/json.h"

namespace caudal::engine {
namespace {

using base::InvalidArgument;
using base::Result;
using google::protobuf::Value;
using Parameters = google::protobuf::Map<std::string, Value>;

const Value* Input(const spec::Component& component, const Parameters& parameters,
                   const std::string& name) {
  const auto given = parameters.find(name);
  if (given != parameters.end()) return &given->second;
  const auto& declared = component.spec->input_definitions().parameters();
  const auto found = declared.find(name);
  return found == declared.end() || !found->second.has_default_value()
             ? nullptr
             : &found->second.default_value();
}

// Replaces every {{$.inputs.parameters['x']}} in a text of the executor; either quote.
Result<std::string> Resolve(std::string_view text, const spec::Component& component,
                            const Parameters& parameters, std::string_view what) {
  constexpr std::string_view kOpen = "{{$.inputs.parameters[";
  std::string result;
  while (true) {
    const size_t open = text.find(kOpen);
    const size_t start = open + kOpen.size() + 1;
    const char quote = open == text.npos || start > text.size() ? '\0' : text[start - 1];
    const bool is_quoted = quote == '\'' || quote == '"';
    const std::string close = std::string(1, quote) + "]}}";
    const size_t end = is_quoted ? text.find(close, start) : text.npos;
    if (end == text.npos) return result.append(text);
    const std::string name(text.substr(start, end - start));
    const Value* value = Input(component, parameters, name);
    if (value == nullptr) {
      return InvalidArgument(std::string(what) + " needs input '" + name + "', which has no value");
    }
    result += text.substr(0, open);
    result += wire::ValueText(*value);
    text.remove_prefix(end + close.size());
  }
}

/// Reads the amounts of one executor. Each comes in two forms, of which the text wins.
class Reader {
 public:
  Reader(const spec::Component& component, const Parameters& parameters)
      : component_(component),
        parameters_(parameters),
        given_(component.executor.container().resources()) {}

  Result<std::vector<ResourceAmount>> Read() {
    CAUDAL_TRY(
        Add("limits", "cpu", given_.resource_cpu_limit(), given_.cpu_limit(), "", "CPU limit"));
    CAUDAL_TRY(Add("requests", "cpu", given_.resource_cpu_request(), given_.cpu_request(), "",
                   "CPU request"));
    CAUDAL_TRY(Add("limits", "memory", given_.resource_memory_limit(), given_.memory_limit(), "G",
                   "memory limit"));
    CAUDAL_TRY(Add("requests", "memory", given_.resource_memory_request(), given_.memory_request(),
                   "G", "memory request"));
    CAUDAL_TRY(AddAccelerator());
    return std::move(amounts_);
  }

 private:
  base::Status Add(const char* group, const std::string& name, const std::string& text,
                   double legacy, const char* legacy_unit, const char* what) {
    const double scale = name == "cpu" ? 1000 : 1e9;
    if (text.empty() && !(legacy >= 0 && legacy * scale < 9e18)) {
      return InvalidArgument(std::string(what) + " " + wire::NumberText(legacy) +
                             " is negative or too large; leave it out for no limit");
    }
    if (text.empty()) {
      if (legacy > 0) Append(group, name, wire::NumberText(legacy) + legacy_unit);
      return {};
    }
    CAUDAL_ASSIGN(const std::string resolved, Resolve(text, component_, parameters_, what));
    if (!base::ParseQuantity(resolved, static_cast<int64_t>(name == "cpu" ? 1000 : 1))) {
      return InvalidArgument(std::string(what) + " \"" + resolved +
                             "\" is no quantity; write for example \"500m\" or \"2Gi\"");
    }
    Append(group, name, resolved);
    return {};
  }

  // Of no use unless it says which and how many.
  base::Status AddAccelerator() {
    const auto& given = given_.accelerator();
    CAUDAL_ASSIGN(const std::string type,
                  Resolve(given.resource_type().empty() ? given.type() : given.resource_type(),
                          component_, parameters_, "accelerator type"));
    CAUDAL_ASSIGN(const std::string count,
                  Resolve(given.resource_count().empty() ? std::to_string(given.count())
                                                         : given.resource_count(),
                          component_, parameters_, "accelerator count"));
    const std::optional<int64_t> number = base::ParseQuantity(count, 1);
    if (!number) {
      return InvalidArgument("accelerator count \"" + count +
                             "\" is no quantity; write for example \"1\"");
    }
    if (!type.empty() && *number > 0) Append("limits", type, std::to_string(*number));
    return {};
  }

  void Append(const char* group, const std::string& name, const std::string& text) {
    amounts_.push_back({group, name, text});
  }

  const spec::Component& component_;
  const Parameters& parameters_;
  const ml_pipelines::PipelineDeploymentConfig::PipelineContainerSpec::ResourceSpec& given_;
  std::vector<ResourceAmount> amounts_;
};

}  // namespace

Result<std::vector<ResourceAmount>> ResourceAmounts(const spec::Component& component,
                                                    const Parameters& parameters) {
  return Reader(component, parameters).Read();
}

Result<v1::Resources> ResolveResources(const spec::Component& component,
                                       const Parameters& parameters) {
  CAUDAL_ASSIGN(const auto amounts, ResourceAmounts(component, parameters));
  v1::Resources resources;
  for (const ResourceAmount& amount : amounts) {
    const bool is_limit = amount.group == "limits";
    const int64_t scale = amount.name == "cpu" ? 1000 : 1;
    const int64_t number = base::ParseQuantity(amount.text, scale).value_or(0);
    if (amount.name == "cpu") {
      is_limit ? resources.set_cpu_limit_milli(number) : resources.set_cpu_request_milli(number);
    } else if (amount.name == "memory") {
      is_limit ? resources.set_memory_limit_bytes(number)
               : resources.set_memory_request_bytes(number);
    } else {
      resources.set_accelerator_type(amount.name);
      resources.set_accelerator_count(number);
    }
  }
  // As Kubernetes has it: who names a limit only asks for that much.
  if (resources.cpu_request_milli() == 0) {
    resources.set_cpu_request_milli(resources.cpu_limit_milli());
  }
  if (resources.memory_request_bytes() == 0) {
    resources.set_memory_request_bytes(resources.memory_limit_bytes());
  }
  return resources;
}

Result<std::string> ResolveImage(const spec::Component& component, const Parameters& parameters) {
  return Resolve(component.executor.container().image(), component, parameters, "image");
}

}  // namespace caudal::engine
