#pragma once

/// What a shell may offer while a command is typed, from the table of verbs.

#include <string>
#include <string_view>
#include <vector>

namespace caudal::cli {

struct Offer {
  std::string word;
  std::string help;  ///< one line; may be empty
};

/// What can stand in the place of the word that is being typed.
struct Completion {
  std::vector<Offer> offers;
  /// What else could, to be looked up elsewhere, as in Verb::completes: "file", "run", …; empty:
  /// nothing.
  std::string kind;
  std::string typed;                     ///< so much of it stands there already
  std::string before;                    ///< "--flag=" when it is the value of one in the same word
  std::vector<std::string> positionals;  ///< before it
  std::string server;                    ///< of --server, as far as typed
  std::string data_dir;                  ///< of --data-dir
};

/// `words`: after "caudal", the last as far as it is typed. Pure.
Completion Complete(const std::vector<std::string>& words);

/// The script that makes "bash", "zsh" or "fish" ask us; empty for another shell.
std::string_view CompletionScript(std::string_view shell);

}  // namespace caudal::cli
