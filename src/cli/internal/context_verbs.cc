#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cctype>
#include <cstdio>
#include <cstdlib>

#include "cli/internal/common_flags.h"
#include "cli/internal/contexts.h"
#include "cli/internal/output.h"
#include "cli/internal/target.h"
#include "cli/internal/verbs.h"

namespace caudal::cli {
namespace {

constexpr std::array kListFlags = {kOutputFlag, kJsonFlag};
constexpr std::array kAddFlags = {Flag{"--use", "", "", "chooses it, too"}};

base::Status CheckName(const std::string& name) {
  const bool is_plain = std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
  });
  if (name.empty() || !is_plain) {
    return base::InvalidArgument("a context cannot be called '" + name +
                                 "': use letters, digits, '-', '_' and '.'");
  }
  if (name == kLocalContext) {
    return base::InvalidArgument(
        "'local' always is the server of this machine: choose another name");
  }
  return base::OkStatus();
}

// The context of that name, or what to say instead.
base::Status CheckExists(const Contexts& contexts, const std::string& name) {
  if (contexts.urls.count(name) > 0) return base::OkStatus();
  std::vector<std::string> names = {kLocalContext};
  for (const auto& [known, url] : contexts.urls) names.push_back(known);
  const std::string hint = DidYouMean(name, names);
  return base::NotFound("there is no context '" + name + "'" +
                        (hint.empty() ? ": see 'caudal context list'" : hint));
}

base::Status Add(const std::string& name, const std::string& given, bool uses) {
  CAUDAL_TRY(CheckName(name));
  CAUDAL_ASSIGN(const std::string url, NormalizeUrl(given));
  CAUDAL_ASSIGN(Contexts contexts, ReadContexts());
  const auto before = contexts.urls.find(name);
  if (before != contexts.urls.end() && before->second != url) {
    return base::AlreadyExists("context '" + name + "' is " + before->second +
                               " already: remove it first, 'caudal context remove " + name + "'");
  }
  contexts.urls[name] = url;
  if (uses) contexts.current = name;
  CAUDAL_TRY(WriteContexts(contexts));
  std::fprintf(stderr, "%s is %s%s\n", name.c_str(), url.c_str(), uses ? ", in use now" : "");
  return base::OkStatus();
}

base::Status Use(const std::string& name) {
  CAUDAL_ASSIGN(Contexts contexts, ReadContexts());
  if (name != kLocalContext) CAUDAL_TRY(CheckExists(contexts, name));
  contexts.current = name;
  CAUDAL_TRY(WriteContexts(contexts));
  const bool is_local = name == kLocalContext;
  std::fprintf(stderr, "commands go to %s now\n",
               is_local ? "the server of this machine" : contexts.urls[name].c_str());
  const char* variable = std::getenv("CAUDAL_SERVER");
  if (variable != nullptr && *variable != '\0') {
    std::fprintf(stderr, "CAUDAL_SERVER is set and comes first: %s\n", variable);
  }
  return base::OkStatus();
}

base::Status Remove(const std::string& name) {
  CAUDAL_ASSIGN(Contexts contexts, ReadContexts());
  CAUDAL_TRY(CheckExists(contexts, name));
  contexts.urls.erase(name);
  const bool was_current = contexts.current == name;
  if (was_current) contexts.current = kLocalContext;
  CAUDAL_TRY(WriteContexts(contexts));
  std::fprintf(stderr, "removed %s%s\n", name.c_str(),
               was_current ? "; commands go to the server of this machine now" : "");
  return base::OkStatus();
}

int ExitOf(const base::Status& status) { return status.ok() ? kExitOk : FailWith(status); }

int ContextAddVerb(const Arguments& arguments) {
  return ExitOf(
      Add(arguments.positionals()[0], arguments.positionals()[1], arguments.Has("--use")));
}

int ContextUseVerb(const Arguments& arguments) { return ExitOf(Use(arguments.positionals()[0])); }

int ContextRemoveVerb(const Arguments& arguments) {
  return ExitOf(Remove(arguments.positionals()[0]));
}

int ContextListVerb(const Arguments& arguments) {
  const auto form = ReadOutputForm(arguments);
  if (!form.ok()) return FailWith(form.status());
  const auto contexts = ReadContexts();
  if (!contexts.ok()) return FailWith(contexts.status());
  Table table({{""}, {"name"}, {"server", false, 20}});
  boost::json::array data;
  const auto add = [&](const std::string& name, const std::string& url) {
    const bool is_current = name == contexts->current;
    table.Add({{is_current ? "*" : "", kGreen}, name, url.empty() ? "of this machine" : url});
    data.push_back({{"name", name},
                    {"server", url.empty() ? boost::json::value(nullptr) : boost::json::value(url)},
                    {"is_current", is_current}});
  };
  add(kLocalContext, "");
  for (const auto& [name, url] : contexts->urls) add(name, url);
  PrintOutput(*form, table, data);
  return kExitOk;
}

constexpr std::array kEntries = {
    Entry{{"context list", "", "Lists the servers that have a name here.", kListFlags,
           "caudal context list"},
          ContextListVerb},
    Entry{{"context add", "NAME URL", "Gives a server a name.", kAddFlags,
           "caudal context add team http://caudal.example:8888\n"
           "caudal context add team http://caudal.example:8888 --use"},
          ContextAddVerb},
    Entry{{"context use",
           "NAME",
           "Chooses the server that commands go to; 'local' is this machine.",
           {},
           "caudal context use team\n"
           "caudal context use local",
           false,
           "context"},
          ContextUseVerb},
    Entry{{"context remove",
           "NAME",
           "Forgets a server.",
           {},
           "caudal context remove team",
           false,
           "context"},
          ContextRemoveVerb},
};

}  // namespace

std::span<const Entry> ContextEntries() { return kEntries; }

}  // namespace caudal::cli
