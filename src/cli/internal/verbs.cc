#include "cli/internal/verbs.h"

#include <algorithm>
#include <array>

#include "cli/internal/common_flags.h"
#include "cli/internal/text.h"

namespace caudal::cli {
namespace {

constexpr Flag kIsolation = {"--isolation",    "", "M", "how steps run: sandbox or process", false,
                             "sandbox|process"};
constexpr Flag kKfpPackage = {"--kfp-package", "", "S",
                              "use this kfp in steps instead of the pinned one"};
constexpr Flag kMount = {"--mount", "", "HOST[:PATH][:rw]", "shows sandboxed steps a host path",
                         true};

constexpr std::array kRunFlags = {
    Flag{"--param", "-p", "NAME=VALUE", "a parameter; NAME=@FILE reads the value from a file",
         true},
    Flag{"--params", "", "FILE", "parameters from a JSON file; -p wins", false, "file"},
    Flag{"--name", "", "N", "the run's name"},
    Flag{"--experiment", "-e", "EXPERIMENT", "the experiment it belongs to; made when missing",
         false, "experiment"},
    kDataDirFlag,
    kServerFlag,
    kIsolation,
    kMount,
    kKfpPackage,
    Flag{"--with", "", "PATH", "local code for the steps: a package, a folder or a module", true,
         "file"},
    Flag{"--env", "", "NAME[=VALUE]", "a variable for the steps; without a value, yours", true},
    Flag{"--env-file", "", "FILE", "such variables, a line each; --env wins", false, "file"},
    Flag{"--python", "", "PATH", "the Python, or virtual environment, that compiles FILE", false,
         "file"},
    Flag{"--no-cache", "", "", "runs every step, whatever ran before"},
    Flag{"--detach", "", "", "returns as soon as the run is accepted"},
    Flag{"--foreground", "", "", "starts a server for this run only and ends it afterwards"},
    Flag{"--json", "", "", "prints one JSON object with the outcome"},
};

// `run FILE`; the verbs about runs are in run_verbs.cc.
constexpr std::array kRunEntry = {
    Entry{{"run", "FILE[:FUNC]", "Runs a pipeline (Python, YAML or JSON) and prints its outputs.",
           kRunFlags,
           "caudal run pipeline.yaml\n"
           "caudal run pipeline.py --with ./my_package\n"
           "caudal run pipelines.py:train -p rate=0.1 --env TOKEN\n"
           "caudal run pipeline.yaml -p rate=0.1 -p text=@notes.txt\n"
           "caudal run pipeline.yaml --params params.json --json\n"
           "caudal run pipeline.yaml --server http://127.0.0.1:8888 --detach",
           false, "file"},
          RunVerb},
};

constexpr std::array kVersionEntry = {
    Entry{{"version", "", "Prints the version.", {}, "caudal version"}, VersionVerb},
};

std::vector<Entry> CollectEntries() {
  std::vector<Entry> all;
  for (const std::span<const Entry> entries :
       {std::span<const Entry>(kRunEntry), RunEntries(), CompileEntries(), PipelineEntries(),
        ExperimentEntries(), CacheEntries(), SecretEntries(), VenvEntries(), ServerEntries(),
        ContextEntries(), DoctorEntries(), CompletionEntries(),
        std::span<const Entry>(kVersionEntry)}) {
    all.insert(all.end(), entries.begin(), entries.end());
  }
  return all;
}

// Verbs that `caudal run` will know; until then they are no files either.
constexpr std::array kFutureRunVerbs = {"rerun", "compare"};

std::string_view NounOf(const Verb& verb) { return verb.name.substr(0, verb.name.find(' ')); }

bool LooksLikeFile(std::string_view word) {
  return word.find_first_of("/.:") != std::string_view::npos;
}

const Entry* FindByName(std::string_view name) {
  const auto all = AllVerbs();
  const auto it = std::find_if(all.begin(), all.end(),
                               [name](const Entry& entry) { return entry.verb.name == name; });
  return it == all.end() ? nullptr : &*it;
}

// "run FILE      Runs …": the line of one verb in an overview.
std::string VerbLine(const Verb& verb, size_t width) {
  std::string name(verb.name);
  if (!verb.positional.empty()) name += " " + std::string(verb.positional);
  return "  " + PadTo(name, width - 1) + " " + std::string(verb.summary) + "\n";
}

constexpr size_t kNameWidth = 31;

}  // namespace

std::span<const Entry> AllVerbs() {
  static const std::vector<Entry> kAll = CollectEntries();
  return kAll;
}

FoundVerb FindVerb(const std::vector<std::string>& words) {
  if (words.empty()) return {};
  if (words.size() > 1 && !LooksLikeFile(words[1])) {
    const Entry* both = FindByName(words[0] + " " + words[1]);
    if (both != nullptr) return {both, 2};
    // After a noun, a bare word is a verb or a mistake, never a file.
    const bool is_word = !words[1].empty() && words[1][0] != '-';
    if (is_word && IsNoun(words[0])) return {};
  }
  const Entry* one = FindByName(words[0]);
  return {one, one == nullptr ? 0u : 1u};
}

bool IsNoun(std::string_view word) {
  const auto all = AllVerbs();
  return std::any_of(all.begin(), all.end(), [word](const Entry& entry) {
    return NounOf(entry.verb) == word && entry.verb.name != word;
  });
}

std::string UnknownVerbText(const std::vector<std::string>& words) {
  const bool in_noun = words.size() > 1 && IsNoun(words[0]);
  const std::string& word = in_noun ? words[1] : words[0];
  const std::string noun = in_noun ? words[0] + " " : "";
  if (word.starts_with("-")) {
    return "'" + word + "' stands where a command must; flags come after it: see 'caudal --help'";
  }
  const auto is_word = [&word](const char* future) { return word == future; };
  const bool is_future =
      noun == "run " && std::any_of(kFutureRunVerbs.begin(), kFutureRunVerbs.end(), is_word);
  if (is_future) {
    return "'caudal run " + word +
           "' is not part of this version; for a file of that name write ./" + word;
  }
  std::vector<std::string> names;
  for (const Entry& entry : AllVerbs()) {
    const bool is_sibling = in_noun ? NounOf(entry.verb) == words[0] : true;
    if (entry.verb.is_hidden || !is_sibling) continue;
    names.emplace_back(in_noun ? entry.verb.name.substr(entry.verb.name.find(' ') + 1)
                               : NounOf(entry.verb));
  }
  std::string text = "unknown command '" + noun + word + "'";
  const std::string closest = ClosestMatch(word, names);
  if (!closest.empty()) {
    text += ", did you mean '" + noun + closest + "'?";
  } else if (!in_noun && LooksLikeFile(word)) {
    text += ", to run a pipeline write 'caudal run " + word + "'";
  } else {
    text += ": see 'caudal " + noun + "--help'";
  }
  if (noun == "run ") text += " For a file of that name write ./" + word;
  return text;
}

std::string OverviewText() {
  std::string text = "caudal runs Kubeflow pipelines on this machine\n";
  std::string_view noun;
  bool was_noun = true;
  for (const Entry& entry : AllVerbs()) {
    if (entry.verb.is_hidden) continue;
    const bool is_noun = IsNoun(NounOf(entry.verb));
    if (NounOf(entry.verb) != noun && (is_noun || was_noun)) text += "\n";
    noun = NounOf(entry.verb);
    was_noun = is_noun;
    text += VerbLine(entry.verb, kNameWidth);
  }
  return text +
         "\nEach has its own help with examples, such as 'caudal run --help'.\n"
         "\nExamples\n"
         "  caudal run pipeline.yaml\n"
         "  caudal run logs\n";
}

std::string VerbLines(std::string_view noun) {
  std::string text;
  for (const Entry& entry : AllVerbs()) {
    const bool is_other = NounOf(entry.verb) == noun && entry.verb.name != noun;
    if (is_other && !entry.verb.is_hidden) text += VerbLine(entry.verb, kNameWidth);
  }
  return text;
}

std::string NounText(std::string_view noun) {
  std::string examples;
  for (const Entry& entry : AllVerbs()) {
    if (entry.verb.is_hidden || NounOf(entry.verb) != noun) continue;
    const std::string_view example = entry.verb.examples;
    examples += "  " + std::string(example.substr(0, example.find('\n'))) + "\n";
  }
  return "caudal " + std::string(noun) + " VERB\n\n" + VerbLines(noun) + "\nExamples\n" + examples;
}

}  // namespace caudal::cli
