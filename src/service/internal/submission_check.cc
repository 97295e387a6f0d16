#include "service/internal/submission_check.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>
#include <vector>

namespace caudal::service {
namespace {

using Faults = std::vector<base::Fault>;

constexpr size_t kLongestPath = 4096;
constexpr size_t kLongestName = 256;
constexpr size_t kMostFunctions = 1000;
constexpr size_t kLongestPackage = 1024;
constexpr size_t kMostVariables = 256;
constexpr size_t kMostVariableBytes = 128u << 10;
constexpr size_t kMostSnapshots = 16;

bool IsHex(const std::string& text) {
  return text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

void CheckLength(const char* path, const std::string& text, size_t limit, Faults* faults) {
  if (text.size() <= limit) return;
  faults->push_back({path, "has " + std::to_string(text.size()) + " bytes; at most " +
                               std::to_string(limit) + " are kept"});
}

void CheckCount(const char* path, size_t count, size_t limit, Faults* faults) {
  if (count <= limit) return;
  faults->push_back({path, "has " + std::to_string(count) + " entries; at most " +
                               std::to_string(limit) + " are taken"});
}

bool IsVariableName(const std::string& name) {
  if (name.empty() || name.size() > kLongestName) return false;
  if (std::isdigit(static_cast<unsigned char>(name[0])) != 0) return false;
  return std::all_of(name.begin(), name.end(),
                     [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
}

// Why a run may not set a variable; empty when it may. These decide which program a step is and
// where it finds what belongs to it.
std::string WhyReserved(std::string_view name) {
  constexpr std::array<std::string_view, 3> kPrefixes = {"KFP_", "LD_", "CAUDAL_"};
  for (const std::string_view prefix : kPrefixes) {
    if (name.starts_with(prefix))
      return "names that begin with " + std::string(prefix) + " belong to the system";
  }
  if (name == "PYTHONPATH") return "give code to steps with --with PATH";
  constexpr std::array<std::string_view, 7> kNames = {
      "PATH", "HOME", "TMPDIR", "VIRTUAL_ENV", "PYTHONHOME", "PYTHONSTARTUP", "GLIBC_TUNABLES"};
  if (std::find(kNames.begin(), kNames.end(), name) == kNames.end()) return "";
  return "the step's surroundings decide it; a component may set it for itself";
}

void CheckVariables(const v1::RunSettings& settings, Faults* faults) {
  CheckCount("settings.env", static_cast<size_t>(settings.env_size()), kMostVariables, faults);
  size_t bytes = 0;
  for (const auto& [name, value] : settings.env()) {
    bytes += name.size() + value.size();
    const std::string shown = name.substr(0, kLongestName);
    const std::string reserved = WhyReserved(name);
    if (!IsVariableName(name)) {
      faults->push_back({"settings.env", "'" + shown + "' is no name of a variable"});
    } else if (!reserved.empty()) {
      faults->push_back({"settings.env", "'" + shown + "' cannot be set: " + reserved});
    } else if (value.find('\0') != std::string::npos) {
      faults->push_back({"settings.env", "the value of '" + shown + "' has a NUL byte"});
    }
  }
  if (bytes > kMostVariableBytes) {
    faults->push_back({"settings.env", "has " + std::to_string(bytes) + " bytes; at most " +
                                           std::to_string(kMostVariableBytes) +
                                           " go to a step, give more as a file or an artifact"});
  }
}

void CheckCode(const v1::RunSettings& settings, Faults* faults) {
  CheckCount("settings.code", static_cast<size_t>(settings.code_size()), kMostSnapshots, faults);
  for (const v1::CodeSnapshot& code : settings.code()) {
    CheckLength("settings.code.path", code.path(), kLongestPath, faults);
    if (IsSha256(code.sha256())) continue;
    faults->push_back({"settings.code.sha256",
                       "'" + code.sha256().substr(0, 80) + "' is no SHA-256 in lower-case hex"});
  }
}

}  // namespace

bool IsSha256(const std::string& text) { return text.size() == 64 && IsHex(text); }

base::Status CheckOrigin(const v1::RunOrigin& origin) {
  Faults faults;
  CheckLength("origin.source_path", origin.source_path(), kLongestPath, &faults);
  if (!origin.source_sha256().empty() && !IsSha256(origin.source_sha256())) {
    faults.push_back({"origin.source_sha256", "'" + origin.source_sha256().substr(0, 80) +
                                                  "' is no SHA-256 in lower-case hex"});
  }
  const std::string& commit = origin.git_commit();
  const bool is_commit = (commit.size() == 40 || commit.size() == 64) && IsHex(commit);
  if (!commit.empty() && !is_commit) {
    faults.push_back({"origin.git_commit", "'" + commit.substr(0, 80) +
                                               "' is no commit: 40 or 64 lower-case hex digits"});
  }
  CheckCount("origin.functions", static_cast<size_t>(origin.functions_size()), kMostFunctions,
             &faults);
  for (const v1::FunctionPlace& place : origin.functions()) {
    CheckLength("origin.functions.function", place.function(), kLongestName, &faults);
    CheckLength("origin.functions.file", place.file(), kLongestPath, &faults);
  }
  if (faults.size() > 10) faults.resize(10);
  return base::FaultsToStatus(faults);
}

base::Status CheckSettings(const v1::RunSettings& settings) {
  Faults faults;
  const std::string& isolation = settings.isolation();
  if (!isolation.empty() && isolation != "sandbox" && isolation != "process") {
    faults.push_back({"settings.isolation", "isolation \"" + isolation.substr(0, 80) +
                                                "\" does not exist: choose sandbox or process"});
  }
  const std::string& package = settings.kfp_package();
  CheckLength("settings.kfp_package", package, kLongestPackage, &faults);
  const bool is_odd =
      package.starts_with("-") ||
      std::any_of(package.begin(), package.end(), [](unsigned char c) { return c < ' '; });
  if (is_odd) {
    faults.push_back({"settings.kfp_package", "is no requirement; write for example kfp==2.14.0"});
  }
  CheckVariables(settings, &faults);
  CheckCode(settings, &faults);
  if (faults.size() > 10) faults.resize(10);
  return base::FaultsToStatus(faults);
}

}  // namespace caudal::service
