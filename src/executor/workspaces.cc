#include "executor/workspaces.h"

#include "base/file.h"
#include "base/log.h"

namespace caudal::executor {

void SweepWorkspaces(const std::string& data_dir, const std::atomic<bool>& is_stopping,
                     const std::function<base::Result<bool>(const std::string& run_id)>& is_known) {
  const std::string directory = data_dir + "/workspaces";
  const auto names = base::ListDir(directory);
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    if (is_stopping) return;
    const std::string path = directory + "/" + name;
    const auto run_id = base::ReadFile(path + "/run_id");
    if (!run_id.ok()) continue;  // one that is being made
    const auto known = is_known(*run_id);
    if (!known.ok() || *known) continue;
    const base::Status removed = base::RemoveTree(path);
    if (!removed.ok()) base::LogWarning("a workspace stays behind: " + removed.message());
  }
}

}  // namespace caudal::executor
