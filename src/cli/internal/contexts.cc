#include "cli/internal/contexts.h"

#include <boost/json.hpp>
#include <cstdlib>

#include "base/file.h"
#include "cli/internal/output.h"

namespace caudal::cli {
namespace {

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

base::Status NotOurs(const std::string& path, const std::string& why) {
  return base::InvalidArgument("'" + path + "' " + why + ": mend it, or remove it and start again" +
                               " with 'caudal context list'");
}

}  // namespace

base::Result<std::string> ContextsPath() {
  const std::string xdg = Environment("XDG_CONFIG_HOME");
  if (!xdg.empty()) return xdg + "/caudal/contexts.json";
  const std::string home = Environment("HOME");
  if (!home.empty()) return home + "/.config/caudal/contexts.json";
  return base::InvalidArgument("no place for contexts: neither XDG_CONFIG_HOME nor HOME is set");
}

base::Result<Contexts> ReadContexts() {
  CAUDAL_ASSIGN(const std::string path, ContextsPath());
  const auto text = base::ReadFile(path, 1 << 20);
  if (!text.ok() && text.status().code() == base::Code::kNotFound) return Contexts{};
  if (!text.ok()) return text.status();
  boost::system::error_code error;
  const boost::json::value json = boost::json::parse(*text, error);
  if (error || !json.is_object()) return NotOurs(path, "is no JSON object");
  Contexts contexts;
  if (const auto* urls = json.get_object().if_contains("contexts")) {
    if (!urls->is_object()) return NotOurs(path, "has no object in 'contexts'");
    for (const auto& [name, url] : urls->get_object()) {
      if (!url.is_string())
        return NotOurs(path, "has no text for context '" + std::string(name) + "'");
      contexts.urls[std::string(name)] = std::string(url.get_string());
    }
  }
  if (const auto* current = json.get_object().if_contains("current")) {
    if (!current->is_string()) return NotOurs(path, "has no text in 'current'");
    contexts.current = std::string(current->get_string());
  }
  // A context that somebody removed from the file by hand is none.
  if (contexts.urls.count(contexts.current) == 0) contexts.current = kLocalContext;
  return contexts;
}

base::Status WriteContexts(const Contexts& contexts) {
  CAUDAL_ASSIGN(const std::string path, ContextsPath());
  boost::json::object urls;
  for (const auto& [name, url] : contexts.urls) urls[name] = url;
  const boost::json::object file = {{"current", contexts.current}, {"contexts", std::move(urls)}};
  CAUDAL_TRY(base::MakeDirs(path.substr(0, path.rfind('/'))));
  return base::WriteFileAtomic(path, DataText(file, OutputForm::kJson), 0600);
}

}  // namespace caudal::cli
