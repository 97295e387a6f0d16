#pragma once

/// Placeholders in command words: `{{$.inputs.parameters['x']}}`, `{{$}}`,
/// `{"IfPresent": …}` and the others (execution.md 3.1 to 3.4).

#include <google/protobuf/struct.pb.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "caudal/v1/attempt.pb.h"
#include "launcher/internal/executor_input.h"
#include "launcher/internal/places.h"

namespace caudal::launcher::internal {

/// One step of a placeholder's path: `.name` or `['name']`.
struct PathPart {
  std::string name;
  bool is_key = false;
};

/// The path between "{{$." and "}}", or nullopt when it is not one.
std::optional<std::vector<PathPart>> ParsePath(std::string_view text);

/// What placeholders stand for in one attempt. Every text is replaced in one pass: what a
/// placeholder stood for is never looked at again, so that data that looks like a placeholder stays
/// data. A placeholder that is not known stays as written.
///
/// `spec` must outlive it. Errors: kInvalidArgument for an input that a placeholder needs and that
/// was not given.
class Placeholders {
 public:
  /// Serialises the ExecutorInput. Parameter values are data here: the engine has resolved what the
  /// pipeline's author wrote into them.
  static Placeholders Make(const v1::AttemptSpec& spec, const Places& places);

  /// The text with every placeholder replaced.
  base::Result<std::string> Replace(std::string_view text);

  /// The words one element of a command becomes: usually one, for IfPresent none or several.
  base::Result<std::vector<std::string>> Words(std::string_view element);

 private:
  using Value = google::protobuf::Value;
  using Text = std::optional<std::string>;  // nullopt: no such placeholder

  Placeholders(const v1::AttemptSpec& spec, const Places& places);

  base::Result<Text> Lookup(const std::vector<PathPart>& path);
  Text LookupJob(const std::string& name) const;
  base::Result<Text> LookupInputs(const std::vector<PathPart>& path);
  base::Result<Text> LookupOutputs(const std::vector<PathPart>& path);
  base::Result<Text> InputParameter(const std::string& name);
  base::Result<Text> InputArtifactText(const std::string& name, const std::vector<PathPart>& path);
  base::Result<Text> ArtifactText(const ml_pipelines::RuntimeArtifact& artifact,
                                  const std::vector<PathPart>& path) const;
  Value ArtifactValue(const ml_pipelines::RuntimeArtifact& artifact) const;
  std::string ArtifactPath(const ml_pipelines::RuntimeArtifact& artifact) const;

  /// Appends the words of an IfPresent, Concat or plain text.
  base::Status Evaluate(const Value& element, std::vector<std::string>* words);
  bool IsPresent(const std::string& input) const;

  const v1::AttemptSpec* spec_;
  Places places_;
  Values values_;
  std::string executor_input_;  // JSON, what "{{$}}" stands for
};

}  // namespace caudal::launcher::internal
