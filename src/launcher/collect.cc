#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/file.h"
#include "launcher/internal/output_values.h"
#include "launcher/internal/outputs.h"
#include "launcher/internal/places.h"
#include "launcher/internal/publish.h"
#include "launcher/internal/traceback.h"
#include "launcher/launcher.h"

namespace caudal::launcher {
namespace {

using base::Code;
using base::Result;
using base::Status;
using internal::Places;

/// The outcome's part that the exit alone decides.
v1::AttemptOutcome FromExit(const v1::AttemptSpec& spec, const v1::StepExit& exit) {
  v1::AttemptOutcome outcome;
  outcome.set_version(1);
  outcome.set_attempt_key(spec.attempt_key());
  outcome.set_token(spec.token());
  outcome.set_exit_code(exit.signal() != 0 ? 128 + exit.signal() : exit.exit_code());
  if (!exit.started()) outcome.set_exit_code(-1);
  outcome.set_started_at(exit.started_at());
  outcome.set_ended_at(exit.ended_at());
  outcome.set_cpu_micros(exit.cpu_micros());
  outcome.set_max_rss_bytes(exit.max_rss_bytes());
  return outcome;
}

void Fail(v1::AttemptOutcome* outcome, const std::string& code, const std::string& error) {
  outcome->set_result(v1::AttemptOutcome::FAILED);
  outcome->set_error_code(code);
  outcome->set_error(error);
}

std::string SignalText(int signal) {
  const char* name = sigabbrev_np(signal);
  const std::string number = std::to_string(signal);
  return "the step was ended by signal " + number +
         (name == nullptr ? "" : " (SIG" + std::string(name) + ")");
}

/// Whether the exit ends the matter: true when the step did not succeed.
bool JudgeExit(const v1::StepExit& exit, v1::AttemptOutcome* outcome) {
  const std::string& said = exit.error();
  if (exit.kill_requested()) {
    Fail(outcome, "KILLED", "the step was ended because it was asked for");
    outcome->set_result(v1::AttemptOutcome::KILLED);
  } else if (!exit.started()) {
    Fail(outcome, exit.error_code().empty() ? "START" : exit.error_code(),
         said.empty() ? "the command could not be started" : said);
  } else if (!exit.error_code().empty()) {
    const std::string why = exit.signal() != 0 ? SignalText(exit.signal()) : "the step was ended";
    Fail(outcome, exit.error_code(), said.empty() ? why : said);
  } else if (exit.signal() != 0) {
    Fail(outcome, "SIGNAL", said.empty() ? SignalText(exit.signal()) : said);
  } else if (exit.exit_code() != 0) {
    Fail(outcome, "EXIT", "exit " + std::to_string(exit.exit_code()));
  } else {
    return false;
  }
  return true;
}

/// The last bytes of a file, as far as they can be read.
std::string ReadEnd(const std::string& path, int64_t bytes) {
  const base::UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info {};
  if (!file.valid() || fstat(file.get(), &info) != 0) return "";
  const int64_t begin = std::max<int64_t>(0, info.st_size - bytes);
  std::string text(static_cast<size_t>(std::min<int64_t>(bytes, info.st_size)), '\0');
  const ssize_t count = pread(file.get(), text.data(), text.size(), begin);
  text.resize(static_cast<size_t>(std::max<ssize_t>(count, 0)));
  return text;
}

/// Adds what a failed Python step raised, in the outcome's error too.
void AddTraceback(const Layout& layout, const v1::AttemptSpec& spec, const View& view,
                  v1::AttemptOutcome* outcome) {
  if (outcome->error_code() != "EXIT" || spec.log_path().empty()) return;
  const std::string end =
      ReadEnd(layout.data_dir + "/" + spec.log_path(), internal::kTracebackBytes);
  auto traceback = internal::FindTraceback(end, view.argv);
  if (!traceback) return;
  outcome->set_error(outcome->error() + ": " + traceback->exception());
  *outcome->mutable_traceback() = *std::move(traceback);
}

void AddArtifact(v1::Artifact artifact, v1::AttemptOutcome* outcome) {
  v1::ArtifactList& list = (*outcome->mutable_artifacts())[artifact.name()];
  *list.add_artifacts() = std::move(artifact);
}

void AddArtifacts(internal::OutputPlan plan, const std::vector<internal::Published>& published,
                  v1::AttemptOutcome* outcome) {
  for (internal::OutputSlot& slot : plan.slots) {
    if (slot.publication && published[*slot.publication].exists) {
      slot.artifact.set_blob(published[*slot.publication].blob);
      slot.artifact.set_is_directory(published[*slot.publication].is_directory);
      slot.artifact.set_size_bytes(published[*slot.publication].size_bytes);
    }
    AddArtifact(std::move(slot.artifact), outcome);
  }
  for (const internal::Published& one : published) {
    for (const v1::StoredObject& object : one.objects) *outcome->add_objects() = object;
  }
}

/// Lists that the step left empty exist all the same.
void AddEmptyLists(const v1::AttemptSpec& spec, v1::AttemptOutcome* outcome) {
  for (const auto& [name, definition] : spec.component().output_definitions().artifacts()) {
    if (definition.is_artifact_list()) (*outcome->mutable_artifacts())[name];
  }
}

Status CollectOutputs(const Layout& layout, const v1::AttemptSpec& spec, const View& view,
                      v1::AttemptOutcome* outcome) {
  const Places places = internal::PlacesOf(layout, spec, view.sandbox);
  if (!base::PathExists(places.Outputs())) {
    return base::InvalidArgument("the step's output directory " + places.Outputs() +
                                 " is gone; the step must not remove it");
  }
  CAUDAL_ASSIGN(const auto output, internal::ReadExecutorOutput(spec, places));
  CAUDAL_ASSIGN(const internal::Values values, internal::OutputValues(spec, places, output));
  CAUDAL_ASSIGN(internal::OutputPlan plan, internal::PlanOutputs(layout, spec, view, output));
  CAUDAL_ASSIGN(const auto published,
                internal::Publish(layout, spec.attempt_key(), places.Publish(), plan.publications,
                                  internal::HostPaths(layout, spec, view)));
  for (const auto& [name, value] : values) (*outcome->mutable_parameters())[name] = value;
  AddEmptyLists(spec, outcome);
  AddArtifacts(std::move(plan), published, outcome);
  return {};
}

/// What the step did wrong, against what the machine could not do.
std::string ErrorCode(Code code) {
  const bool step = code == Code::kInvalidArgument || code == Code::kNotFound ||
                    code == Code::kPermissionDenied || code == Code::kAlreadyExists;
  return step ? "OUTPUT" : "DISK";
}

}  // namespace

v1::AttemptOutcome Collect(const Layout& layout, const v1::AttemptSpec& spec, const View& view,
                           const v1::StepExit& exit) {
  v1::AttemptOutcome outcome = FromExit(spec, exit);
  if (exit.started()) AddArtifact(internal::MakeLogArtifact(spec), &outcome);
  if (JudgeExit(exit, &outcome)) {
    AddTraceback(layout, spec, view, &outcome);
    return outcome;
  }
  const Status collected = CollectOutputs(layout, spec, view, &outcome);
  if (collected.ok()) {
    outcome.set_result(v1::AttemptOutcome::SUCCEEDED);
    return outcome;
  }
  const std::string code = ErrorCode(collected.code());
  const std::string remedy = collected.code() == Code::kResourceExhausted
                                 ? "; free space there and run the task again"
                                 : "";
  Fail(&outcome, code, collected.message() + remedy);
  return outcome;
}

}  // namespace caudal::launcher
