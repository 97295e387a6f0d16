#include "executor/internal/realm.h"

#include "base/sha256.h"
#include "executor/internal/containerized.h"
#include "executor/internal/step_python.h"

namespace caudal::executor::internal {
namespace {

constexpr size_t kMostKnown = 10'000;

/// Image, package and all words but the last, which is the component's source and has no part in
/// it.
std::string Question(const v1::AttemptSpec& spec) {
  base::Sha256 digest;
  const auto add = [&](const std::string& text) {
    digest.Update(std::to_string(text.size()) + ":" + text);
  };
  add(spec.container().image());
  add(spec.settings().kfp_package());
  const auto& command = spec.container().command();
  add(std::to_string(command.size()));
  for (int i = 0; i + 1 < command.size(); ++i) add(command[i]);
  return digest.FinishHex();
}

/// A package given as a file can change while its name stays; code of the run is in no command.
bool NamesFiles(const v1::AttemptSpec& spec) {
  const auto& command = spec.container().command();
  return ContainerizedFunction(spec) ||
         spec.settings().kfp_package().find('/') != std::string::npos ||
         (command.size() > 2 && command[2].find(" '/") != std::string::npos);
}

}  // namespace

std::string Realms::PythonOf(const v1::AttemptSpec& spec) {
  if (NamesFiles(spec)) return PythonRealm(data_dir_, spec, environments_);
  const std::string question = Question(spec);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = known_.find(question);
    if (found != known_.end()) return found->second;
  }
  std::string realm = PythonRealm(data_dir_, spec, environments_);
  const std::lock_guard<std::mutex> lock(mutex_);
  if (known_.size() >= kMostKnown) known_.clear();
  known_[question] = realm;
  return realm;
}

std::string Realms::Of(const v1::AttemptSpec& spec) {
  if (spec.kind() != v1::AttemptSpec::CONTAINER) return "host";
  std::string realm = PythonOf(spec);
  for (const v1::CodeSnapshot& code : spec.settings().code()) realm += " code " + code.sha256();
  const std::map<std::string, std::string> variables(spec.settings().env().begin(),
                                                     spec.settings().env().end());
  if (variables.empty()) return realm;
  base::Sha256 digest;
  for (const auto& [name, value] : variables) digest.Update(name + "=" + value + '\0');
  return realm + " env " + digest.FinishHex().substr(0, 8);
}

}  // namespace caudal::executor::internal
