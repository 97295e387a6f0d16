#include "cli/cli.h"

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "cli/internal/arguments.h"
#include "cli/internal/verbs.h"

namespace caudal::cli {
namespace {

// The entry whose name is the longest match of the first words, and how many words that are.
const Entry* FindEntry(const std::vector<std::string>& words, size_t* used) {
  const Entry* found = nullptr;
  for (const Entry& entry : AllVerbs()) {
    const std::string_view name = entry.verb.name;
    const size_t space = name.find(' ');
    const bool matches = space == std::string_view::npos
                             ? words[0] == name
                             : words.size() > 1 && words[0] == name.substr(0, space) &&
                                   words[1] == name.substr(space + 1);
    const size_t length = space == std::string_view::npos ? 1 : 2;
    if (matches && (found == nullptr || length > *used)) {
      found = &entry;
      *used = length;
    }
  }
  return found;
}

int UnknownVerb(const std::string& word) {
  std::vector<std::string> names;
  for (const Entry& entry : AllVerbs()) {
    if (!entry.verb.is_hidden) names.emplace_back(entry.verb.name);
  }
  std::string hint = DidYouMean(word, names);
  if (hint.empty() && word.find_first_of("./") != std::string::npos) {
    hint = ", to run a pipeline write 'caudal run " + word + "'";
  }
  if (hint.empty()) hint = ": see 'caudal --help'";
  return Fail(kExitWrongInput, "unknown command '" + word + "'" + hint);
}

int Dispatch(const Entry& entry, const std::vector<std::string>& words) {
  const auto arguments = ParseArguments(entry.verb, words);
  if (!arguments.ok()) return Fail(kExitWrongInput, arguments.status().message());
  if (arguments->Has("--help")) {
    std::fputs(HelpText(entry.verb).c_str(), stdout);
    return kExitOk;
  }
  return entry.run(*arguments);
}

}  // namespace

int Fail(int exit_code, std::string_view message) {
  while (!message.empty()) {
    const size_t end = std::min(message.find('\n'), message.size());
    std::fprintf(stderr, "caudal: %.*s\n", static_cast<int>(end), message.data());
    message.remove_prefix(std::min(end + 1, message.size()));
  }
  return exit_code;
}

int Main(int argc, char** argv) {
  const std::vector<std::string> words(argv + (argc > 0 ? 1 : 0), argv + argc);
  if (words.empty()) return WhereVerb({});
  if (words[0] == "--help" || words[0] == "-h" || words[0] == "help") {
    std::fputs(OverviewText().c_str(), stdout);
    return kExitOk;
  }
  if (words[0] == "--version") return VersionVerb({});
  size_t used = 0;
  const Entry* entry = FindEntry(words, &used);
  if (entry == nullptr) return UnknownVerb(words[0]);
  return Dispatch(*entry, {words.begin() + static_cast<ptrdiff_t>(used), words.end()});
}

}  // namespace caudal::cli
