#include "executor/internal/outcome.h"

namespace caudal::executor::internal {

v1::AttemptOutcome MakeOutcome(const v1::AttemptSpec& spec, v1::AttemptOutcome::Result result,
                               const std::string& error_code, const std::string& error,
                               int64_t now_micros) {
  v1::AttemptOutcome outcome;
  outcome.set_version(1);
  outcome.set_attempt_key(spec.attempt_key());
  outcome.set_token(spec.token());
  outcome.set_result(result);
  outcome.set_exit_code(-1);
  outcome.set_error_code(error_code);
  outcome.set_error(error);
  outcome.set_ended_at(now_micros);
  return outcome;
}

std::string StagingErrorCode(base::Code code) {
  switch (code) {
    case base::Code::kResourceExhausted:
      return "DISK";
    case base::Code::kFailedPrecondition:
      return "START";
    default:
      return "INPUT";
  }
}

std::string StartError(const v1::AttemptSpec& spec, const v1::StepExit& exit,
                       const std::string& program, const std::string& isolation) {
  const std::string image =
      "image '" + spec.container().image() + "' is not used in " + isolation + " isolation";
  if (program.empty()) {
    return "the task has no command of its own, and " + image + ", so neither is its entry point";
  }
  const std::string& error = exit.error();
  if (error.empty()) return "command '" + program + "' could not be started; " + image;
  return error.find("not found") == std::string::npos ? error : error + "; " + image;
}

}  // namespace caudal::executor::internal
