#include "engine/internal/constants.h"

#include <map>
#include <optional>

#include "base/clock.h"
#include "engine/internal/values.h"
#include "model/workspace.h"
#include "wire/json.h"

namespace caudal::engine {
namespace {

using google::protobuf::Value;

constexpr std::string_view kOpen = "{{$.";
constexpr std::string_view kClose = "}}";
constexpr std::string_view kInput = "inputs.parameters[";
// Constants of constants of constants: few are meant, and each level may multiply the text.
constexpr int kMaxDepth = 20;
constexpr int kMaxLookups = 100'000;
constexpr size_t kMaxBytes = 16u << 20;

// "inputs.parameters['x']" → "x"; either quote, as SDKs write them.
std::optional<std::string> InputName(std::string_view expression) {
  if (expression.substr(0, kInput.size()) != kInput) return std::nullopt;
  expression.remove_prefix(kInput.size());
  if (expression.size() < 3 || expression.back() != ']') return std::nullopt;
  expression.remove_suffix(1);
  const char quote = expression.front();
  if ((quote != '\'' && quote != '"') || expression.back() != quote) return std::nullopt;
  return std::string(expression.substr(1, expression.size() - 2));
}

/// Resolves one constant of one task.
class Resolver {
 public:
  Resolver(const Draft& draft, int task) : draft_(draft), task_(task) {}

  Value Resolve(const Value& constant) {
    Value result;
    switch (constant.kind_case()) {
      case Value::kStringValue:
        result.set_string_value(ResolveText(constant.string_value()));
        break;
      case Value::kListValue:
        result.mutable_list_value();
        for (const Value& item : constant.list_value().values()) {
          *result.mutable_list_value()->add_values() = Resolve(item);
        }
        break;
      case Value::kStructValue:
        ResolveStruct(constant.struct_value(), result.mutable_struct_value());
        break;
      default:
        result = constant;
        break;
    }
    return result;
  }

 private:
  // Keys in order, so that of two that become the same it is always the last which stays.
  void ResolveStruct(const google::protobuf::Struct& constant, google::protobuf::Struct* result) {
    std::map<std::string_view, const Value*> sorted;
    for (const auto& [key, item] : constant.fields()) sorted.emplace(key, &item);
    for (const auto& [key, item] : sorted) {
      (*result->mutable_fields())[ResolveText(key)] = Resolve(*item);
    }
  }

  // One pass: what is put in is not scanned again.
  std::string ResolveText(std::string_view text) {
    std::string result;
    while (true) {
      const size_t open = text.find(kOpen);
      const size_t close = open == text.npos ? text.npos : text.find(kClose, open);
      if (close == text.npos) return result.append(text);
      const std::string_view expression =
          text.substr(open + kOpen.size(), close - open - kOpen.size());
      const std::optional<std::string> value = Lookup(expression);
      result += text.substr(0, open);
      if (value && value->size() <= kMaxBytes - bytes_) {
        result += *value;
        bytes_ += value->size();
      } else {
        result += text.substr(open, close + kClose.size() - open);
      }
      text.remove_prefix(close + kClose.size());
    }
  }

  std::optional<std::string> Lookup(std::string_view expression) {
    if (++lookups_ > kMaxLookups) return std::nullopt;
    const std::optional<std::string> input = InputName(expression);
    if (!input) return JobFact(draft_, task_, expression);
    const Value* value = FindIn(draft_.parameters(task_), *input);
    if (value != nullptr) return wire::ValueText(*value);
    if (task_ == 0) return std::nullopt;
    const auto* source = FindIn(draft_.plan(task_).spec->inputs().parameters(), *input);
    // A constant that has not had its turn yet.
    if (source != nullptr && source->runtime_value().has_constant()) {
      if (depth_ >= kMaxDepth) return std::nullopt;
      ++depth_;
      const Value resolved = Resolve(source->runtime_value().constant());
      --depth_;
      return wire::ValueText(resolved);
    }
    const auto* declared =
        FindIn(draft_.component(task_).spec->input_definitions().parameters(), *input);
    if (declared != nullptr && declared->has_default_value()) {
      return wire::ValueText(declared->default_value());
    }
    // An input that is wired, but to nothing, reads as nothing.
    const bool is_known = source != nullptr || declared != nullptr;
    return is_known ? std::optional<std::string>("") : std::nullopt;
  }

  const Draft& draft_;
  const int task_;
  int depth_ = 0;
  int lookups_ = 0;
  size_t bytes_ = 0;  // put in so far
};

bool TextRefersToInput(std::string_view text) {
  return text.find("{{$.inputs.parameters[") != text.npos;
}

}  // namespace

std::optional<std::string> JobFact(const Draft& draft, int task, std::string_view name) {
  const v1::RunInfo& info = draft.info();
  const auto utc = [](int64_t micros) { return base::FormatRfc3339(base::TimeFromMicros(micros)); };
  if (name == "pipeline_job_name") return info.display_name();
  if (name == "pipeline_job_resource_name") return info.resource_name();
  if (name == "pipeline_job_uuid") return info.run_id();
  if (name == "pipeline_task_name") return draft.name(task);
  if (name == "pipeline_task_uuid") {
    return std::to_string(draft.execution_key(task == 0 ? 0 : draft.parent(task)));
  }
  if (name == "pipeline_job_create_time_utc") return utc(info.created_at());
  if (name == "pipeline_job_schedule_time_utc") {
    return utc(info.scheduled_at() > 0 ? info.scheduled_at() : info.created_at());
  }
  if (name == "pipeline_root") return info.pipeline_root();
  if (name == "workspace_path") return model::kWorkspacePath;
  return std::nullopt;
}

Value ResolveConstant(const Draft& draft, int task, const Value& constant) {
  return Resolver(draft, task).Resolve(constant);
}

bool RefersToInput(const Value& constant) {
  switch (constant.kind_case()) {
    case Value::kStringValue:
      return TextRefersToInput(constant.string_value());
    case Value::kListValue:
      for (const Value& item : constant.list_value().values()) {
        if (RefersToInput(item)) return true;
      }
      return false;
    case Value::kStructValue:
      for (const auto& [key, item] : constant.struct_value().fields()) {
        if (TextRefersToInput(key) || RefersToInput(item)) return true;
      }
      return false;
    default:
      return false;
  }
}

}  // namespace caudal::engine
