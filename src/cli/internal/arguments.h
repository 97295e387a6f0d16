#pragma once

/// Flags and verbs as tables, from which both parsing and help are made.

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace caudal::cli {

struct Flag {
  std::string_view name;   ///< "--data-dir"
  std::string_view brief;  ///< "-p"; empty: none
  std::string_view value;  ///< placeholder in the help, "DIR"; empty: a switch
  std::string_view help;
  bool is_repeatable = false;
  std::string_view completes = "";  ///< its value, as in Verb::completes
};

struct Verb {
  std::string_view name;        ///< "run", "server stop"
  std::string_view positional;  ///< "FILE", "[RUN]", "RUN…", "NAME URL"; empty: none is taken
  std::string_view summary;
  std::span<const Flag> flags;
  std::string_view examples;  ///< one command a line
  bool is_hidden = false;     ///< for our own use, not in the help
  /// What a shell may offer for each positional, one word per positional, the last for all that
  /// follow: "file", "dir", "run", "step", "pipeline", "experiment", "context", "secret",
  /// "configmap", or the words themselves as "bash|zsh|fish". Empty: nothing.
  std::string_view completes = "";
  std::string_view details = "";  ///< what the summary has no room for, in lines
};

/// How many words a verb takes, as `positional` says: [RUN] may be left out, RUN… may be several.
struct PositionalCount {
  size_t least = 0;
  size_t most = 0;
};
PositionalCount CountPositionals(const Verb& verb);

/// What was given.
class Arguments {
 public:
  bool Has(std::string_view flag) const;
  /// The last value given, or `otherwise`.
  std::string Get(std::string_view flag, std::string_view otherwise = "") const;
  std::vector<std::string> All(std::string_view flag) const;
  const std::vector<std::string>& positionals() const { return positionals_; }

 private:
  friend base::Result<Arguments> ParseArguments(const Verb& verb,
                                                const std::vector<std::string>& words);
  std::map<std::string, std::vector<std::string>, std::less<>> values_;
  std::vector<std::string> positionals_;
};

/// Reads the words after the verb: "--flag value", "--flag=value", "-fvalue", "--" before words
/// that are no flags. `--help` is always known. Errors: kInvalidArgument with all faults, a line
/// each.
base::Result<Arguments> ParseArguments(const Verb& verb, const std::vector<std::string>& words);

/// The help of one verb.
std::string HelpText(const Verb& verb);

/// "90", "90s", "15m", "2h", "30d", "250ms" in milliseconds. Errors: kInvalidArgument.
base::Result<int64_t> ParseDurationMillis(std::string_view text);
/// "1073741824", "1GiB", "512MiB", "2GB" in bytes. Errors: kInvalidArgument.
base::Result<int64_t> ParseBytes(std::string_view text);
/// A decimal number of whole things. Errors: kInvalidArgument.
base::Result<int64_t> ParseInteger(std::string_view text, int64_t min, int64_t max);

/// The candidate that `word` is most likely a misspelling of; empty when none is close.
std::string ClosestMatch(std::string_view word, const std::vector<std::string>& candidates);
/// ", did you mean 'x'?" or nothing.
std::string DidYouMean(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace caudal::cli
