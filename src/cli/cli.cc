#include "cli/cli.h"

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "cli/internal/arguments.h"
#include "cli/internal/verbs.h"

namespace caudal::cli {
namespace {

bool AsksForHelp(const std::string& word) {
  return word == "--help" || word == "-h" || word == "help";
}

int Print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  return kExitOk;
}

// The help of a verb; a noun that is a verb too shows its other verbs after it.
std::string VerbHelp(const Verb& verb) {
  std::string text = HelpText(verb);
  if (IsNoun(verb.name)) text += "\nOther commands\n" + VerbLines(verb.name);
  return text;
}

int Dispatch(const Entry& entry, const std::vector<std::string>& words) {
  const auto arguments = ParseArguments(entry.verb, words);
  if (!arguments.ok()) return Fail(kExitWrongInput, arguments.status().message());
  if (arguments->Has("--help")) return Print(VerbHelp(entry.verb));
  return entry.run(*arguments);
}

int Call(const std::vector<std::string>& words) {
  const FoundVerb found = FindVerb(words);
  if (found.entry != nullptr) {
    return Dispatch(*found.entry,
                    {words.begin() + static_cast<ptrdiff_t>(found.words), words.end()});
  }
  const bool is_bare_noun = IsNoun(words[0]) && (words.size() == 1 || AsksForHelp(words[1]));
  if (is_bare_noun) return Print(NounText(words[0]));
  return Fail(kExitWrongInput, UnknownVerbText(words));
}

// `caudal help run list` is `caudal run list --help`.
int Help(std::vector<std::string> words) {
  words.erase(words.begin());
  if (words.empty()) return Print(OverviewText());
  words.push_back("--help");
  return Call(words);
}

}  // namespace

int Fail(int exit_code, std::string_view message) {
  while (!message.empty()) {
    const size_t end = std::min(message.find('\n'), message.size());
    // An indented line goes on with what the one before it says.
    const char* prefix = message.front() == ' ' ? "" : "caudal: ";
    std::fprintf(stderr, "%s%.*s\n", prefix, static_cast<int>(end), message.data());
    message.remove_prefix(std::min(end + 1, message.size()));
  }
  return exit_code;
}

int FailWith(const base::Status& status) {
  switch (status.code()) {
    case base::Code::kInvalidArgument:
    case base::Code::kFailedPrecondition:
    case base::Code::kNotFound:
    case base::Code::kAlreadyExists:
    case base::Code::kAborted:
    case base::Code::kOutOfRange:
    case base::Code::kPermissionDenied:
    case base::Code::kResourceExhausted:
    case base::Code::kUnimplemented:
      return Fail(kExitWrongInput, status.message());
    default:
      return Fail(kExitUnreachable, status.message());
  }
}

int Main(int argc, char** argv) {
  const std::vector<std::string> words(argv + (argc > 0 ? 1 : 0), argv + argc);
  if (words.empty()) return WhereVerb({});
  if (AsksForHelp(words[0])) return Help(words);
  if (words[0] == "--version") return VersionVerb({});
  return Call(words);
}

}  // namespace caudal::cli
