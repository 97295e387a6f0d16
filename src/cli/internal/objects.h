#pragma once

/// Runs, pipelines and experiments: found by what users type, and worded for them.

#include <boost/json/value.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "cli/internal/api.h"

namespace caudal::cli {

/// Finds objects on one server. `target_words` (" --data-dir D") make the commands in errors go to
/// the same one.
class Finder {
 public:
  Finder(Api* api, std::string target_words) : api_(*api), target_words_(std::move(target_words)) {}

  /// A RUN: an id, a name, a prefix that only one id has, "@1" for the last, "@2" for the one
  /// before it; empty: the last. Errors: kNotFound; kInvalidArgument with the candidates when
  /// several fit.
  base::Result<v2beta1::Run> Run(const std::string& given);
  /// An id, a name, or a prefix that only one id has. Errors as for Run.
  base::Result<v2beta1::Pipeline> Pipeline(const std::string& given);
  base::Result<v2beta1::Experiment> Experiment(const std::string& given);

 private:
  base::Result<v2beta1::Run> NthRun(const std::string& given, size_t number);

  Api& api_;
  std::string target_words_;
};

/// One of several objects that could be meant.
struct Candidate {
  std::string id;
  std::string name;
  std::string remark;  ///< what tells it from the others: state, age
};

/// Which of the candidates `given` means: the one called so, else the one whose id starts so.
/// `list_command` shows them all. Errors: kNotFound, kInvalidArgument naming those that fit.
base::Result<size_t> PickCandidate(std::string_view thing, const std::string& given,
                                   const std::vector<Candidate>& candidates,
                                   const std::string& list_command);

/// "succeeded", "running", "canceled", …: v2beta1 calls a canceled run failed, its history tells.
std::string RunStateWord(const v2beta1::Run& run);
/// Whether the run has ended. Its finished_at is no sign: some servers send 1970 until then.
bool HasEnded(const v2beta1::Run& run);
/// The dress of a state's word, as in text.h; may be empty.
std::string_view StateDress(std::string_view word);

/// 0 where the time is not set.
int64_t MicrosOf(const google::protobuf::Timestamp& time);
int64_t NowMicros();

/// A message as the API would send it.
boost::json::value ToJsonValue(const google::protobuf::Message& message);

}  // namespace caudal::cli
