#include "engine/internal/run_root.h"

#include <algorithm>

#include "model/task.h"

namespace caudal::engine {
namespace {

// Names that are one harmless path part stay as they are.
std::string PathPart(const std::string& text) {
  const bool plain = !text.empty() && text.size() <= 128 && text != "." && text != ".." &&
                     std::all_of(text.begin(), text.end(), [](unsigned char c) {
                       return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
                     });
  return plain ? text : model::TaskId(text, "");
}

}  // namespace

std::string RunRoot(const v1::RunInfo& info) {
  std::string root = info.pipeline_root().substr(0, info.pipeline_root().find('?'));
  while (!root.empty() && root.back() == '/') root.pop_back();
  return root + "/" + PathPart(info.pipeline_name()) + "/" + PathPart(info.run_id());
}

std::string TaskRoot(const v1::RunInfo& info, const std::string& task_key,
                     const std::string& unique) {
  return RunRoot(info) + "/" + PathPart(task_key) + "/" + unique;
}

}  // namespace caudal::engine
