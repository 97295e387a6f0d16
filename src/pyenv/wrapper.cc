#include <algorithm>
#include <array>
#include <string_view>

#include "base/file.h"
#include "pyenv/pyenv.h"

namespace caudal::pyenv {
namespace {

constexpr std::string_view kBootstrap =
    "\nif ! [ -x \"$(command -v pip)\" ]; then\n"
    "    python3 -m ensurepip || python3 -m ensurepip --user || apt-get install python3-pip\n"
    "fi\n\n"
    "PIP_DISABLE_PIP_VERSION_CHECK=1 ";
constexpr std::string_view kRunModule = " && \"$0\" \"$@\"\n";
constexpr std::string_view kNext = "  &&  ";
constexpr std::string_view kVenv =
    "\nexport PIP_DISABLE_PIP_VERSION_CHECK=1\n"
    "tmp=$(mktemp -d)\n"
    "python3 -m venv \"$tmp/venv\" --system-site-packages\n"
    ". \"$tmp/venv/bin/activate\"\n";

/// Options among the quoted words that stand alone. Others take the next word, or aim at places
/// that an environment of ours does not have; with those the command runs as written.
constexpr std::array<std::string_view, 8> kFlags = {
    "--no-deps",  "--pre",          "--upgrade",       "-U",
    "--no-index", "--no-cache-dir", "--prefer-binary", "--no-build-isolation"};

/// Takes text off the front, piece by piece.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}

  bool Take(std::string_view literal) {
    if (!text_.starts_with(literal)) return false;
    text_.remove_prefix(literal.size());
    return true;
  }

  bool TakeBlanks() {
    const size_t end = std::min(text_.find_first_not_of(' '), text_.size());
    text_.remove_prefix(end);
    return end > 0;
  }

  /// A word in quotes, as the shell reads it.
  std::optional<std::string> TakeQuoted() {
    if (text_.empty() || (text_[0] != '\'' && text_[0] != '"')) return std::nullopt;
    const size_t end = text_.find(text_[0], 1);
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view word = text_.substr(1, end - 1);
    const bool expands = text_[0] == '"' && word.find_first_of("$`\\") != std::string_view::npos;
    if (word.empty() || expands) return std::nullopt;
    text_.remove_prefix(end + 1);
    return std::string(word);
  }

  /// A bare word that the shell leaves alone.
  std::optional<std::string> TakeBare() {
    const size_t end = std::min(text_.find_first_of(" \n"), text_.size());
    const std::string_view word = text_.substr(0, end);
    const bool plain = std::all_of(word.begin(), word.end(), [](char c) {
      return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
             std::string_view("._:/?@%+,=-#~").find(c) != std::string_view::npos;
    });
    if (word.empty() || !plain || word.starts_with('~') || word.starts_with('#')) {
      return std::nullopt;
    }
    text_.remove_prefix(end);
    return std::string(word);
  }

  bool AtEnd() const { return text_.empty(); }
  bool AtQuote() const { return text_.starts_with('\'') || text_.starts_with('"'); }

 private:
  std::string_view text_;
};

/// "--index-url U" and the like, before the packages.
bool TakeIndexOptions(Cursor* cursor, PipCall* call) {
  while (!cursor->AtQuote()) {
    bool known = false;
    for (const std::string_view option : {"--index-url", "--extra-index-url", "--trusted-host"}) {
      if (!cursor->Take(std::string(option) + " ")) continue;
      const auto value = cursor->TakeBare();
      if (!value || !cursor->Take(" ")) return false;
      call->options.emplace_back(option);
      call->options.push_back(*value);
      known = true;
      break;
    }
    if (!known) return false;
  }
  return true;
}

std::optional<PipCall> TakeCall(Cursor* cursor) {
  PipCall call;
  if (!cursor->Take("python3 -m pip install --quiet") || !cursor->TakeBlanks() ||
      !cursor->Take("--no-warn-script-location ") || !TakeIndexOptions(cursor, &call)) {
    return std::nullopt;
  }
  while (true) {
    auto word = cursor->TakeQuoted();
    if (!word) return std::nullopt;
    if (!word->starts_with('-')) {
      call.packages.push_back(*std::move(word));
    } else if (std::find(kFlags.begin(), kFlags.end(), *word) != kFlags.end()) {
      call.options.push_back(*std::move(word));
    } else {
      return std::nullopt;
    }
    Cursor ahead = *cursor;
    if (!ahead.Take(" ") || !ahead.AtQuote()) break;
    *cursor = ahead;
  }
  if (call.packages.empty()) return std::nullopt;
  return call;
}

/// The virtual environment and the blank after it, where it may stand.
bool TakeVenv(Cursor* cursor, Wrapper* wrapper) {
  if (!cursor->Take(kVenv)) return true;
  if (wrapper->use_venv || !cursor->Take(" ")) return false;
  wrapper->use_venv = true;
  return true;
}

std::optional<Wrapper> ParseInstall(std::string_view text) {
  Cursor cursor(text);
  Wrapper wrapper;
  if (!cursor.Take(kBootstrap)) return std::nullopt;
  do {
    if (!TakeVenv(&cursor, &wrapper)) return std::nullopt;
    auto call = TakeCall(&cursor);
    if (!call) return std::nullopt;
    wrapper.calls.push_back(*std::move(call));
  } while (wrapper.calls.size() < 2 && cursor.Take(kNext));
  if (!cursor.Take(kRunModule) || !cursor.AtEnd()) return std::nullopt;
  return wrapper;
}

bool IsRun(std::string_view text) {
  constexpr std::string_view kFile = "\"$program_path/ephemeral_component.py\"";
  Cursor cursor(text);
  if (!cursor.Take("program_path=$(mktemp -d)\n")) return false;
  cursor.Take("\n");
  if (!cursor.Take("printf \"%s\" \"$0\" > ") || !cursor.Take(kFile) || !cursor.Take("\n")) {
    return false;
  }
  cursor.Take("_KFP_RUNTIME=true ");
  if (!cursor.Take("python3 -m kfp.dsl.executor_main") &&
      !cursor.Take("python3 -m kfp.components.executor_main")) {
    return false;
  }
  return cursor.TakeBlanks() && cursor.Take("--component_module_path") && cursor.TakeBlanks() &&
         cursor.Take(kFile) && cursor.TakeBlanks() && cursor.Take("\"$@\"\n") && cursor.AtEnd();
}

}  // namespace

std::vector<std::string> CommandIn(const Wrapper& wrapper, const Environment& environment) {
  constexpr std::string_view kModules[] = {"kfp.dsl.executor_main", "kfp.components.executor_main"};
  const auto has = [&](std::string_view module) {
    std::string path(module);
    std::replace(path.begin(), path.end(), '.', '/');
    return base::PathExists(environment.site_packages + "/" + path + ".py");
  };
  std::vector<std::string> command = wrapper.command;
  std::string& run = command[2];
  for (int i : {0, 1}) {
    const size_t at = run.find(kModules[i]);
    if (at == std::string::npos || has(kModules[i]) || !has(kModules[1 - i])) continue;
    run.replace(at, kModules[i].size(), kModules[1 - i]);
    break;
  }
  return command;
}

std::optional<Wrapper> ParseWrapper(const std::vector<std::string>& command) {
  const bool has_shape = command.size() == 7 && command[0] == "sh" && command[1] == "-c" &&
                         command[3] == "sh" && command[4] == "-ec";
  if (!has_shape || !IsRun(command[5])) return std::nullopt;
  std::optional<Wrapper> wrapper = ParseInstall(command[2]);
  if (wrapper) wrapper->command.assign(command.begin() + 3, command.end());
  return wrapper;
}

}  // namespace caudal::pyenv
