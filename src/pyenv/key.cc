#include <sys/stat.h>
#include <sys/utsname.h>

#include <boost/json.hpp>

#include "base/sha256.h"
#include "pyenv/internal/settings.h"
#include "pyenv/pyenv.h"

namespace caudal::pyenv {
namespace {

namespace json = boost::json;

json::array Strings(const std::vector<std::string>& texts) {
  return json::array(texts.begin(), texts.end());
}

std::string Platform() {
  utsname name{};
  uname(&name);
  return std::string(name.sysname) + "-" + name.machine;
}

/// A package given as a file can change under its name.
json::array LocalFiles(const std::vector<PipCall>& calls) {
  json::array files;
  for (const PipCall& call : calls) {
    for (const std::string& package : call.packages) {
      struct stat info {};
      if (!package.starts_with('/') || stat(package.c_str(), &info) != 0) continue;
      files.push_back(
          json::array{package, info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec});
    }
  }
  return files;
}

}  // namespace

std::string EnvironmentKey(const Interpreter& interpreter, const std::vector<PipCall>& calls,
                           bool use_venv, const Settings& settings) {
  json::object key;  // names in order, so that equal keys are equal text
  json::array& list = key["calls"].emplace_array();
  for (const PipCall& call : calls) {
    list.push_back(
        json::object{{"options", Strings(call.options)}, {"packages", Strings(call.packages)}});
  }
  key["files"] = LocalFiles(calls);
  key["format"] = 3;
  key["interpreter"] = interpreter.path;
  key["platform"] = Platform();
  json::object& chosen = key["settings"].emplace_object();
  for (const auto& [name, value] : settings) {
    if (internal::ChangesWhatIsInstalled(name)) chosen[name] = value;
  }
  key["use_venv"] = use_venv;
  key["version"] = interpreter.version;
  return base::Sha256Hex(json::serialize(key));
}

}  // namespace caudal::pyenv
