#include "engine/internal/constants.h"

#include <optional>

#include "base/clock.h"
#include "wire/json.h"

namespace caudal::engine {
namespace {

using google::protobuf::Value;

constexpr std::string_view kOpen = "{{$.";
constexpr std::string_view kClose = "}}";
constexpr std::string_view kInput = "inputs.parameters[";

// "inputs.parameters['x']" → "x"; either quote, or double quotes, as SDKs write them.
std::optional<std::string> InputName(std::string_view expression) {
  if (expression.substr(0, kInput.size()) != kInput) return std::nullopt;
  expression.remove_prefix(kInput.size());
  if (expression.size() < 3 || expression.back() != ']') return std::nullopt;
  expression.remove_suffix(1);
  const char quote = expression.front();
  if ((quote != '\'' && quote != '"') || expression.back() != quote) return std::nullopt;
  return std::string(expression.substr(1, expression.size() - 2));
}

std::optional<std::string> Lookup(const Draft& draft, int task, std::string_view expression) {
  const std::optional<std::string> input = InputName(expression);
  if (!input) return JobFact(draft, task, expression);
  const auto found = draft.parameters(task).find(*input);
  if (found != draft.parameters(task).end()) return wire::ValueText(found->second);
  // An input that is wired, but to nothing, reads as nothing.
  const bool is_wired = draft.plan(task).spec->inputs().parameters().count(*input) > 0;
  return is_wired ? std::optional<std::string>("") : std::nullopt;
}

// One pass: what is put in is not scanned again.
std::string ResolveText(const Draft& draft, int task, std::string_view text) {
  std::string result;
  while (true) {
    const size_t open = text.find(kOpen);
    const size_t close = open == text.npos ? text.npos : text.find(kClose, open);
    if (close == text.npos) return result.append(text);
    const std::string_view expression =
        text.substr(open + kOpen.size(), close - open - kOpen.size());
    const std::optional<std::string> value = Lookup(draft, task, expression);
    result += text.substr(0, open);
    result += value ? *value : std::string(text.substr(open, close + kClose.size() - open));
    text.remove_prefix(close + kClose.size());
  }
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
  if (name == "pipeline_job_schedule_time_utc") return utc(info.scheduled_at());
  if (name == "pipeline_root") return info.pipeline_root();
  if (name == "workspace_path") return "/kfp-workspace";
  return std::nullopt;
}

Value ResolveConstant(const Draft& draft, int task, const Value& constant) {
  Value result = constant;
  switch (constant.kind_case()) {
    case Value::kStringValue:
      result.set_string_value(ResolveText(draft, task, constant.string_value()));
      break;
    case Value::kListValue:
      for (Value& item : *result.mutable_list_value()->mutable_values()) {
        item = ResolveConstant(draft, task, item);
      }
      break;
    case Value::kStructValue:
      for (auto& [key, item] : *result.mutable_struct_value()->mutable_fields()) {
        item = ResolveConstant(draft, task, item);
      }
      break;
    default:
      break;
  }
  return result;
}

bool RefersToInput(const Value& constant) {
  switch (constant.kind_case()) {
    case Value::kStringValue:
      return constant.string_value().find("{{$.inputs.parameters[") != std::string::npos;
    case Value::kListValue:
      for (const Value& item : constant.list_value().values()) {
        if (RefersToInput(item)) return true;
      }
      return false;
    case Value::kStructValue:
      for (const auto& [key, item] : constant.struct_value().fields()) {
        if (RefersToInput(item)) return true;
      }
      return false;
    default:
      return false;
  }
}

}  // namespace caudal::engine
