#include "cli/internal/arguments.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>

#include "cli/internal/text.h"

namespace caudal::cli {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};

// "15m" against a table of units; the unit may be absent only where the table has an empty one.
std::optional<double> ParseWithUnit(std::string_view text, std::span<const Unit> units) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < 0 || !std::isfinite(number)) return std::nullopt;
  const std::string_view rest(end, static_cast<size_t>(text.data() + text.size() - end));
  for (const Unit& unit : units) {
    if (rest == unit.name && number * unit.factor < 9e15) return number * unit.factor;
  }
  return std::nullopt;
}

// Optimal string alignment: insertions, deletions, replacements and swaps of neighbours.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replace = d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, replace});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
  }
  return d[a.size()][b.size()];
}

const Flag* FindFlag(const Verb& verb, std::string_view word) {
  static constexpr Flag kHelp = {"--help", "-h", "", "shows this text"};
  if (word == kHelp.name || word == kHelp.brief) return &kHelp;
  for (const Flag& flag : verb.flags) {
    if (word == flag.name || (!flag.brief.empty() && word == flag.brief)) return &flag;
  }
  return nullptr;
}

std::vector<std::string> FlagNames(const Verb& verb) {
  std::vector<std::string> names = {"--help"};
  for (const Flag& flag : verb.flags) names.emplace_back(flag.name);
  return names;
}

// One word of the command line that looks like a flag, split.
struct FlagWord {
  std::string name;
  std::optional<std::string> value;
};

FlagWord SplitFlagWord(const std::string& word) {
  if (word.rfind("--", 0) != 0 && word.size() > 2) return {word.substr(0, 2), word.substr(2)};
  const size_t equals = word.find('=');
  if (equals == std::string::npos) return {word, std::nullopt};
  return {word.substr(0, equals), word.substr(equals + 1)};
}

}  // namespace

bool Arguments::Has(std::string_view flag) const { return values_.find(flag) != values_.end(); }

std::string Arguments::Get(std::string_view flag, std::string_view otherwise) const {
  const auto it = values_.find(flag);
  return it == values_.end() ? std::string(otherwise) : it->second.back();
}

std::vector<std::string> Arguments::All(std::string_view flag) const {
  const auto it = values_.find(flag);
  return it == values_.end() ? std::vector<std::string>{} : it->second;
}

PositionalCount CountPositionals(const Verb& verb) {
  constexpr std::string_view kMany = "…";
  PositionalCount count;
  std::string_view rest = verb.positional;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find(' '), rest.size());
    const std::string_view word = rest.substr(0, end);
    if (word.front() != '[') ++count.least;
    count.most = word.find(kMany) == std::string_view::npos ? count.most + 1 : SIZE_MAX;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return count;
}

base::Result<Arguments> ParseArguments(const Verb& verb, const std::vector<std::string>& words) {
  Arguments arguments;
  std::vector<base::Fault> faults;
  const std::string see = ": see 'caudal " + std::string(verb.name) + " --help'";
  bool only_positionals = false;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (only_positionals || word.size() < 2 || word[0] != '-') {
      arguments.positionals_.push_back(word);
      continue;
    }
    if (word == "--") {
      only_positionals = true;
      continue;
    }
    FlagWord given = SplitFlagWord(word);
    const Flag* flag = FindFlag(verb, given.name);
    if (flag == nullptr) {
      const std::string hint = DidYouMean(given.name, FlagNames(verb));
      faults.push_back({"", "unknown flag '" + given.name + "'" + (hint.empty() ? see : hint)});
      continue;
    }
    if (flag->value.empty() && given.value) {
      faults.push_back(
          {"", "flag '" + given.name + "' takes no value, got \"" + *given.value + "\""});
      continue;
    }
    if (!flag->value.empty() && !given.value) {
      if (i + 1 == words.size()) {
        faults.push_back({"", "flag '" + given.name + "' wants a value: " + given.name + " " +
                                  std::string(flag->value)});
        continue;
      }
      given.value = words[++i];
    }
    std::vector<std::string>& values = arguments.values_[std::string(flag->name)];
    if (!values.empty() && !flag->is_repeatable && !flag->value.empty()) {
      faults.push_back({"", "flag '" + given.name + "' is given twice: \"" + values.back() +
                                "\" and \"" + *given.value + "\""});
    }
    values.push_back(given.value.value_or(""));
  }
  if (faults.empty() && !arguments.Has("--help")) {
    const PositionalCount count = CountPositionals(verb);
    const size_t given = arguments.positionals_.size();
    if (given > count.most) {
      faults.push_back(
          {"", "'" + arguments.positionals_[count.most] + "' is one word too many" + see});
    } else if (given < count.least) {
      faults.push_back({"", "too few words, want caudal " + std::string(verb.name) + " " +
                                std::string(verb.positional) + see});
    }
  }
  CAUDAL_TRY(base::FaultsToStatus(faults));
  return arguments;
}

std::string HelpText(const Verb& verb) {
  std::string text = "caudal " + std::string(verb.name);
  if (!verb.positional.empty()) text += " " + std::string(verb.positional);
  if (!verb.flags.empty()) text += " [flags]";
  text += "\n  " + std::string(verb.summary) + "\n";
  if (!verb.details.empty()) text += "\n" + std::string(verb.details) + "\n";
  if (!verb.flags.empty()) text += "\nFlags\n";
  size_t width = 0;
  std::vector<std::string> names;
  for (const Flag& flag : verb.flags) {
    std::string name = flag.brief.empty() ? "" : std::string(flag.brief) + ", ";
    name += std::string(flag.name);
    if (!flag.value.empty()) name += " " + std::string(flag.value);
    if (flag.is_repeatable) name += " …";
    names.push_back(name);
    width = std::max(width, Columns(name));
  }
  for (size_t i = 0; i < names.size(); ++i) {
    text += "  " + PadTo(names[i], width) + "  " + std::string(verb.flags[i].help) + "\n";
  }
  if (!verb.examples.empty()) {
    text += "\nExamples\n";
    std::string_view rest = verb.examples;
    while (!rest.empty()) {
      const size_t end = std::min(rest.find('\n'), rest.size());
      text += "  " + std::string(rest.substr(0, end)) + "\n";
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  return text;
}

base::Result<int64_t> ParseDurationMillis(std::string_view text) {
  static constexpr std::array<Unit, 6> kUnits = {
      {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};
  const auto millis = ParseWithUnit(text, kUnits);
  if (!millis) {
    return base::InvalidArgument("wants a duration such as 30s, 15m or 2h, got \"" +
                                 std::string(text) + "\"");
  }
  return static_cast<int64_t>(*millis);
}

base::Result<int64_t> ParseBytes(std::string_view text) {
  static constexpr std::array<Unit, 8> kUnits = {{{"", 1},
                                                  {"B", 1},
                                                  {"KiB", 1024},
                                                  {"MiB", 1048576},
                                                  {"GiB", 1073741824},
                                                  {"kB", 1e3},
                                                  {"MB", 1e6},
                                                  {"GB", 1e9}}};
  const auto bytes = ParseWithUnit(text, kUnits);
  if (!bytes) {
    return base::InvalidArgument("wants a size such as 512MiB or 2GiB, got \"" + std::string(text) +
                                 "\"");
  }
  return static_cast<int64_t>(*bytes);
}

base::Result<int64_t> ParseInteger(std::string_view text, int64_t min, int64_t max) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < min || number > max) {
    return base::InvalidArgument("wants a whole number from " + std::to_string(min) + " to " +
                                 std::to_string(max) + ", got \"" + std::string(text) + "\"");
  }
  return number;
}

std::string ClosestMatch(std::string_view word, const std::vector<std::string>& candidates) {
  std::string best;
  size_t best_distance = std::max<size_t>(1, word.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const size_t distance = EditDistance(word, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

std::string DidYouMean(std::string_view word, const std::vector<std::string>& candidates) {
  const std::string closest = ClosestMatch(word, candidates);
  return closest.empty() ? "" : ", did you mean '" + closest + "'?";
}

}  // namespace caudal::cli
