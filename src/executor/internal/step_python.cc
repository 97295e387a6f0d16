#include "executor/internal/step_python.h"

#include <utility>

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

Result<Question> Ask(const v1::AttemptSpec& spec, pyenv::Environments& environments) {
  Question question;
  const auto& command = spec.container().command();
  question.choice.command.assign(command.begin(), command.end());
  question.wrapper = pyenv::ParseWrapper(question.choice.command);
  if (question.wrapper && HasPlaceholder(*question.wrapper)) question.wrapper.reset();
  auto interpreter = environments.ForImage(spec.container().image(), &question.choice.note);
  if (!interpreter.ok()) {
    // A command of its own may need none.
    if (question.wrapper) return interpreter.status();
    return question;
  }
  question.choice.python.interpreter = *interpreter;
  if (question.wrapper) {
    question.request = pyenv::Request{*std::move(interpreter), question.wrapper->calls,
                                      question.wrapper->use_venv, spec.settings().kfp_package()};
  }
  return question;
}

PythonChoice Answer(Question question, std::optional<pyenv::Environment> environment) {
  if (environment) question.choice.command = pyenv::CommandIn(*question.wrapper, *environment);
  question.choice.python.environment = std::move(environment);
  return std::move(question.choice);
}

}  // namespace

std::optional<Result<PythonChoice>> ChooseFromMemory(const v1::AttemptSpec& spec,
                                                     pyenv::Environments& environments) {
  if (!environments.IsKnown(spec.container().image())) return std::nullopt;
  auto question = Ask(spec, environments);
  if (!question.ok()) return Result<PythonChoice>(question.status());
  if (!question->request) return Result<PythonChoice>(std::move(question->choice));
  auto environment = environments.Find(*question->request);
  if (!environment) return std::nullopt;
  return Result<PythonChoice>(Answer(*std::move(question), std::move(environment)));
}

Result<PythonChoice> Choose(const v1::AttemptSpec& spec, pyenv::Environments& environments,
                            const std::function<void()>& on_build,
                            const std::function<void(std::string_view)>& progress) {
  CAUDAL_ASSIGN(Question question, Ask(spec, environments));
  if (!question.request) return std::move(question.choice);
  auto environment = environments.Find(*question.request);
  if (!environment) {
    on_build();
    CAUDAL_ASSIGN(environment, environments.Get(*question.request, progress));
  }
  return Answer(std::move(question), std::move(environment));
}

}  // namespace caudal::executor::internal
