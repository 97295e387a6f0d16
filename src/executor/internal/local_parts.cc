#include "executor/internal/local_parts.h"

#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace caudal::executor {

pyenv::Options EnvironmentOptions(const LocalOptions& options) {
  pyenv::Options environments;
  environments.envs_dir = options.data_dir + "/envs";
  environments.kfp_package = options.kfp_package;
  // Also without sandboxes: the same data directory may be served with them tomorrow.
  environments.owner_uid = options.step_uid;
  if (options.isolation != "sandbox") return environments;
  environments.sandbox = options.no_sandbox_reason.empty();
  environments.hidden = internal::HiddenDirs(options.data_dir);
  for (const std::string& text : options.mounts) {
    const auto mount = internal::ParseMount(text);
    if (!mount.ok()) continue;  // Make refuses it
    environments.binds.push_back(
        {.source = mount->source(), .target = mount->target(), .writable = mount->writable()});
  }
  return environments;
}

namespace internal {

Share MachineShare(const LocalOptions& options) {
  Share share{options.cores_milli, options.memory_bytes};
  if (share.cpu_milli <= 0) share.cpu_milli = 1000LL * std::max(1, get_nprocs());
  if (share.memory_bytes <= 0) {
    share.memory_bytes = static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
  }
  return share;
}

base::Result<Surroundings> MakeSurroundings(const LocalOptions& options) {
  if (options.isolation != "sandbox" && options.isolation != "process") {
    return base::InvalidArgument("isolation \"" + options.isolation +
                                 "\" does not exist: choose sandbox or process");
  }
  Surroundings surroundings;
  for (const std::string& text : options.mounts) {
    CAUDAL_ASSIGN(v1::Mount mount, internal::ParseMount(text));
    surroundings.mounts.push_back(std::move(mount));
  }
  surroundings.data_dir = options.data_dir;
  surroundings.shims_dir = internal::MakeShims(options.data_dir);
  surroundings.hidden = internal::HiddenDirs(options.data_dir);
  surroundings.passed_on = internal::VariablesToPassOn(environ);
  surroundings.kill_grace_millis = options.kill_grace_millis;
  surroundings.log_limit_bytes = options.log_limit_bytes;
  return surroundings;
}

}  // namespace internal
}  // namespace caudal::executor
