#include "model/task.h"

#include "base/uuid.h"

namespace caudal::model {
namespace {

// Namespace of run ids that clients chose and that are not UUIDs themselves.
constexpr std::string_view kRunNamespace = "6f2c1d0e-7a53-5b0c-9f4b-3d9a2e61c7a8";

bool IsUuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    const bool hex = std::string_view("0123456789abcdefABCDEF").find(text[i]) != text.npos;
    if (dash ? text[i] != '-' : !hex) return false;
  }
  return true;
}

}  // namespace

bool IsFinal(v1::TaskState state) {
  switch (state) {
    case v1::SUCCEEDED:
    case v1::CACHED:
    case v1::FAILED:
    case v1::SKIPPED:
    case v1::OMITTED:
    case v1::CANCELED:
      return true;
    default:
      return false;
  }
}

bool IsSuccess(v1::TaskState state) { return state == v1::SUCCEEDED || state == v1::CACHED; }

bool IsFinal(v1::RunPhase phase) {
  return phase == v1::RUN_SUCCEEDED || phase == v1::RUN_FAILED || phase == v1::RUN_CANCELED;
}

std::string_view StateName(v1::TaskState state) {
  switch (state) {
    case v1::PENDING:
      return "PENDING";
    case v1::WAITING:
      return "WAITING";
    case v1::RUNNING:
      return "RUNNING";
    case v1::RETRYING:
      return "RETRYING";
    case v1::SUCCEEDED:
      return "SUCCEEDED";
    case v1::CACHED:
      return "CACHED";
    case v1::FAILED:
      return "FAILED";
    case v1::SKIPPED:
      return "SKIPPED";
    case v1::OMITTED:
      return "OMITTED";
    case v1::CANCELED:
      return "CANCELED";
    default:
      return "UNSPECIFIED";
  }
}

std::string TaskId(std::string_view run_id, std::string_view task_path) {
  if (IsUuid(run_id)) return base::Uuid5(run_id, task_path);
  return base::Uuid5(base::Uuid5(kRunNamespace, run_id), task_path);
}

}  // namespace caudal::model
