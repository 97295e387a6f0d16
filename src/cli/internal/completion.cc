#include "cli/internal/completion.h"

#include <algorithm>

#include "cli/internal/arguments.h"
#include "cli/internal/verbs.h"

namespace caudal::cli {
namespace {

std::string_view FirstWord(std::string_view name) { return name.substr(0, name.find(' ')); }

// The first words of all verbs, each once; a noun is told by the help of the verb of its name.
void OfferFirstWords(Completion* completion) {
  for (const Entry& entry : AllVerbs()) {
    if (entry.verb.is_hidden) continue;
    const std::string word(FirstWord(entry.verb.name));
    const bool is_known = std::any_of(completion->offers.begin(), completion->offers.end(),
                                      [&word](const Offer& offer) { return offer.word == word; });
    if (is_known) continue;
    const bool is_verb = entry.verb.name == word;
    completion->offers.push_back({word, is_verb ? std::string(entry.verb.summary) : "…"});
  }
  completion->offers.push_back({"help", "Shows the commands there are, or one."});
}

void OfferVerbsOf(std::string_view noun, Completion* completion) {
  for (const Entry& entry : AllVerbs()) {
    if (entry.verb.is_hidden || entry.verb.name == noun) continue;
    if (FirstWord(entry.verb.name) != noun) continue;
    completion->offers.push_back(
        {std::string(entry.verb.name.substr(noun.size() + 1)), std::string(entry.verb.summary)});
  }
}

const Flag* FlagOf(const Verb& verb, std::string_view word) {
  for (const Flag& flag : verb.flags) {
    if (word == flag.name || (!flag.brief.empty() && word == flag.brief)) return &flag;
  }
  return nullptr;
}

// "table|json" are the offers themselves, anything else is a kind to be looked up.
void OfferKind(std::string_view completes, Completion* completion) {
  if (completes.find('|') == std::string_view::npos) {
    completion->kind = completes;
    return;
  }
  while (!completes.empty()) {
    const size_t end = std::min(completes.find('|'), completes.size());
    completion->offers.push_back({std::string(completes.substr(0, end)), ""});
    completes.remove_prefix(std::min(end + 1, completes.size()));
  }
}

// The nth word of `completes`, the last for all that follow.
std::string_view KindOfPositional(const Verb& verb, size_t index) {
  if (index >= CountPositionals(verb).most) return "";
  std::string_view rest = verb.completes;
  std::string_view kind;
  for (size_t i = 0; i <= index && !rest.empty(); ++i) {
    const size_t end = std::min(rest.find(' '), rest.size());
    kind = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return kind;
}

// What the words between the verb and the one that is typed say.
struct Typed {
  std::vector<std::string> positionals;
  std::vector<std::string> flags;  // full names
  const Flag* open = nullptr;      // a flag that still wants its value
  bool is_plain = false;           // after "--"
};

Typed ReadTyped(const Verb& verb, const std::vector<std::string>& words, Completion* completion) {
  Typed typed;
  for (const std::string& word : words) {
    if (typed.open != nullptr) {
      if (typed.open->name == "--server") completion->server = word;
      if (typed.open->name == "--data-dir") completion->data_dir = word;
      typed.open = nullptr;
    } else if (typed.is_plain || word.size() < 2 || word[0] != '-') {
      typed.positionals.push_back(word);
    } else if (word == "--") {
      typed.is_plain = true;
    } else {
      const size_t equals = word.find('=');
      const Flag* flag = FlagOf(verb, word.substr(0, equals));
      if (flag == nullptr) continue;
      typed.flags.emplace_back(flag->name);
      if (equals == std::string::npos) {
        if (!flag->value.empty()) typed.open = flag;
      } else if (flag->name == "--server") {
        completion->server = word.substr(equals + 1);
      } else if (flag->name == "--data-dir") {
        completion->data_dir = word.substr(equals + 1);
      }
    }
  }
  return typed;
}

void OfferFlags(const Verb& verb, const Typed& typed, Completion* completion) {
  for (const Flag& flag : verb.flags) {
    const std::string name(flag.name);
    const bool is_given =
        std::find(typed.flags.begin(), typed.flags.end(), name) != typed.flags.end();
    if (!is_given || flag.is_repeatable) {
      completion->offers.push_back({name, std::string(flag.help)});
    }
  }
  completion->offers.push_back({"--help", "shows the help of this command"});
}

void CompleteVerb(const Verb& verb, const std::vector<std::string>& words, Completion* completion) {
  const Typed typed = ReadTyped(verb, words, completion);
  completion->positionals = typed.positionals;
  std::string& word = completion->typed;
  const size_t equals = word.find('=');
  if (typed.open != nullptr) {
    OfferKind(typed.open->completes, completion);
  } else if (!typed.is_plain && word.rfind("--", 0) == 0 && equals != std::string::npos) {
    const Flag* flag = FlagOf(verb, word.substr(0, equals));
    completion->before = word.substr(0, equals + 1);
    word.erase(0, equals + 1);
    if (flag != nullptr) OfferKind(flag->completes, completion);
  } else if (!typed.is_plain && !word.empty() && word[0] == '-') {
    OfferFlags(verb, typed, completion);
  } else {
    OfferKind(KindOfPositional(verb, typed.positionals.size()), completion);
  }
}

// COMP_WORDS is split at '=', ':' and '@' too: glue what stands together on the line, and leave
// out of the replies what bash does not replace.
constexpr std::string_view kBash = R"sh(_caudal() {
  local rest=${COMP_LINE:0:COMP_POINT} words=() i token blanks line kind=
  for ((i = 0; i <= COMP_CWORD; i++)); do
    token=${COMP_WORDS[i]}
    blanks=${rest%%[![:space:]]*}
    rest=${rest#"$blanks"}
    rest=${rest#"$token"}
    if [[ -n $blanks || $i -eq 0 || ${#words[@]} -eq 0 ]]; then
      words+=("$token")
    else
      words[${#words[@]}-1]+=$token
    fi
  done
  local cur=${words[${#words[@]}-1]} last=${COMP_WORDS[COMP_CWORD]}
  [[ $last == [=:@] ]] && last=
  local glued=${cur%"$last"}
  COMPREPLY=()
  while IFS= read -r line; do
    case $line in
      :*) kind=${line#:} ;;
      *) line=${line%%$'\t'*}; COMPREPLY+=("${line#"$glued"}") ;;
    esac
  done < <("${words[0]}" complete -- "${words[@]:1}" 2>/dev/null)
  case $kind in
    file) compopt -o filenames; while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$last") ;;
    dir) compopt -o filenames; while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -d -- "$last") ;;
  esac
}
complete -F _caudal caudal
)sh";
constexpr std::string_view kZsh = R"sh(#compdef caudal
_caudal() {
  local line kind= word
  local -a offers
  for line in "${(@f)$("${words[1]}" complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    case $line in
      :*) kind=${line#:} ;;
      ?*) word=${line%%$'\t'*}; offers+=("${word//:/\\:}:${line#*$'\t'}") ;;
    esac
  done
  (( ${#offers} )) && _describe -V caudal offers
  case $kind in
    file) _files ;;
    dir) _files -/ ;;
  esac
}
if [[ $funcstack[1] == _caudal ]]; then _caudal "$@"; else compdef _caudal caudal; fi
)sh";
constexpr std::string_view kFish = R"sh(function __caudal_complete
  set -l words (commandline -opc) (commandline -ct)
  $words[1] complete -- $words[2..-1] 2>/dev/null
end
complete -c caudal -f -a '(__caudal_complete | string match -v -r "^:")'
complete -c caudal -F -n '__caudal_complete | string match -q -r "^:(file|dir)"'
)sh";

}  // namespace

Completion Complete(const std::vector<std::string>& words) {
  Completion completion;
  if (words.empty()) return completion;
  completion.typed = words.back();
  std::vector<std::string> before(words.begin(), words.end() - 1);
  if (!before.empty() && before[0] == "help") before.erase(before.begin());
  if (before.empty()) {
    OfferFirstWords(&completion);
  } else {
    if (before.size() == 1 && IsNoun(before[0])) OfferVerbsOf(before[0], &completion);
    const FoundVerb found = FindVerb(before);
    if (found.entry != nullptr) {
      CompleteVerb(found.entry->verb,
                   {before.begin() + static_cast<ptrdiff_t>(found.words), before.end()},
                   &completion);
    }
  }
  std::erase_if(completion.offers, [&completion](const Offer& offer) {
    return offer.word.rfind(completion.typed, 0) != 0;
  });
  return completion;
}

std::string_view CompletionScript(std::string_view shell) {
  if (shell == "bash") return kBash;
  if (shell == "zsh") return kZsh;
  if (shell == "fish") return kFish;
  return "";
}

}  // namespace caudal::cli
