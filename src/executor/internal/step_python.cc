#include "executor/internal/step_python.h"

#include <utility>

#include "executor/internal/containerized.h"

namespace caudal::executor::internal {
namespace {

using base::Result;

bool HasPlaceholder(const pyenv::Wrapper& wrapper) {
  for (const pyenv::PipCall& call : wrapper.calls) {
    for (const std::string& package : call.packages) {
      if (package.find("{{$") != std::string::npos) return true;
    }
  }
  return false;
}

/// The step's command taken apart, and its interpreter.
struct Question {
  std::optional<pyenv::Wrapper> wrapper;
  std::optional<pyenv::Request> request;  ///< when it wants an environment and there is a Python
  PythonChoice choice;
};

/// Reads the code that came with the run when the component is in it.
Result<Question> Ask(const std::string& data_dir, const v1::AttemptSpec& spec,
                     pyenv::Environments& environments) {
  Question question;
  const auto& command = spec.container().command();
  question.choice.command.assign(command.begin(), command.end());
  question.wrapper = pyenv::ParseWrapper(question.choice.command);
  if (question.wrapper && HasPlaceholder(*question.wrapper)) question.wrapper.reset();
  std::optional<LocalModule> module;
  if (const auto function = ContainerizedFunction(spec)) {
    CAUDAL_ASSIGN(module, FindModule(data_dir, spec, *function));
    question.choice.command = ModuleCommand(module->path);
  }
  auto interpreter = environments.ForImage(spec.container().image(), &question.choice.note);
  if (!interpreter.ok()) {
    // A command of its own may need none.
    if (question.wrapper || module) return interpreter.status();
    return question;
  }
  question.choice.python.interpreter = *interpreter;
  if (question.wrapper) {
    question.request = pyenv::Request{*std::move(interpreter), question.wrapper->calls,
                                      question.wrapper->use_venv, spec.settings().kfp_package()};
  } else if (module) {
    question.request = pyenv::Request{*std::move(interpreter), std::move(module->calls), false,
                                      spec.settings().kfp_package()};
  }
  return question;
}

PythonChoice Answer(Question question, std::optional<pyenv::Environment> environment) {
  if (environment && question.wrapper)
    question.choice.command = pyenv::CommandIn(*question.wrapper, *environment);
  question.choice.python.environment = std::move(environment);
  return std::move(question.choice);
}

}  // namespace

std::optional<Result<PythonChoice>> ChooseFromMemory(const v1::AttemptSpec& spec,
                                                     pyenv::Environments& environments) {
  const bool reads_files = ContainerizedFunction(spec).has_value();
  if (reads_files || !environments.IsKnown(spec.container().image())) return std::nullopt;
  auto question = Ask("", spec, environments);
  if (!question.ok()) return Result<PythonChoice>(question.status());
  if (!question->request) return Result<PythonChoice>(std::move(question->choice));
  auto environment = environments.Find(*question->request);
  if (!environment) return std::nullopt;
  return Result<PythonChoice>(Answer(*std::move(question), std::move(environment)));
}

Result<PythonChoice> Choose(const std::string& data_dir, const v1::AttemptSpec& spec,
                            pyenv::Environments& environments,
                            const std::function<void()>& on_build,
                            const std::function<void(std::string_view)>& progress) {
  CAUDAL_ASSIGN(Question question, Ask(data_dir, spec, environments));
  if (!question.request) return std::move(question.choice);
  auto environment = environments.Find(*question.request);
  if (!environment) {
    on_build();
    CAUDAL_ASSIGN(environment, environments.Get(*question.request, progress));
  }
  return Answer(std::move(question), std::move(environment));
}

std::string PythonRealm(const std::string& data_dir, const v1::AttemptSpec& spec,
                        pyenv::Environments& environments) {
  const auto question = Ask(data_dir, spec, environments);
  if (!question.ok()) return "host";
  if (question->request) return "env " + environments.KeyOf(*question->request);
  const auto& interpreter = question->choice.python.interpreter;
  return interpreter ? "python " + interpreter->version + " " + interpreter->path : "host";
}

}  // namespace caudal::executor::internal
