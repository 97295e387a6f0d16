#pragma once

/// What this machine can do, and what the lack of each thing costs.

#include <string>
#include <vector>

namespace caudal::cli {

struct Check {
  enum class State {
    kOk,     ///< there
    kLacks,  ///< something else stands in, as `cost` says
    kFails,  ///< runs cannot work until it is mended
  };
  std::string name;  ///< "sandbox"
  State state = State::kOk;
  std::string found;  ///< what is there, or what is not
  std::string cost;   ///< empty when it is there
};

// Each blocks for what it looks at, at most some seconds. None changes anything that stays.
Check CheckNamespaces();
Check CheckSandbox();
Check CheckCgroups();
Check CheckDataDir(const std::string& data_dir);
Check CheckDiskSpace(const std::string& data_dir);
Check CheckDiskSync(const std::string& data_dir);
Check CheckClock();
/// The ports of `caudal server`.
Check CheckPorts(const std::string& data_dir);

Check CheckPythons();
Check CheckUv();
/// The SDK in the Python that compiles pipelines.
Check CheckSdk();
Check CheckDocker();

/// All of them, in the order in which they are shown.
std::vector<Check> CheckAll(const std::string& data_dir);

}  // namespace caudal::cli
