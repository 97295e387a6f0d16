#include "cli/internal/run_settings.h"

#include <cctype>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace caudal::cli {
namespace {

using base::Fault;
using Variables = std::map<std::string, std::string>;

bool IsName(std::string_view name) {
  if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0])) != 0) return false;
  for (const char c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '_') return false;
  }
  return true;
}

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

// "NAME=value", or "NAME" for our own value. The fault's message has the name at most.
void AddWord(std::string_view word, const std::string& where, Variables* variables,
             std::vector<Fault>* faults) {
  const size_t equals = word.find('=');
  const std::string name(word.substr(0, equals));
  if (!IsName(name)) {
    faults->push_back({"", where + ": no variable has a name like this, write NAME or NAME=value"});
  } else if (equals != std::string_view::npos) {
    (*variables)[name] = word.substr(equals + 1);
  } else if (const char* own = std::getenv(name.c_str())) {
    (*variables)[name] = own;
  } else {
    faults->push_back({"", where + ": '" + name + "' is not set here; write " + name + "=value"});
  }
}

// One line of an env file as a word of --env.
std::string WordOfLine(std::string_view line) {
  constexpr std::string_view kExport = "export ";
  line = Trim(line);
  if (line.starts_with(kExport)) line = Trim(line.substr(kExport.size()));
  const size_t equals = line.find('=');
  if (equals == std::string_view::npos) return std::string(line);
  std::string_view value = Trim(line.substr(equals + 1));
  const bool is_quoted = value.size() > 1 && value.front() == value.back() &&
                         (value.front() == '"' || value.front() == '\'');
  if (is_quoted) value = value.substr(1, value.size() - 2);
  return std::string(Trim(line.substr(0, equals))) + "=" + std::string(value);
}

}  // namespace

base::Result<Variables> ParseEnvFile(const std::string& name, const std::string& text) {
  Variables variables;
  std::vector<Fault> faults;
  int number = 0;
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    ++number;
    const std::string word = WordOfLine(line);
    if (word.empty() || word[0] == '#') continue;
    AddWord(word, name + ":" + std::to_string(number), &variables, &faults);
  }
  CAUDAL_TRY(base::FaultsToStatus(faults));
  return variables;
}

base::Result<Variables> ReadStepVariables(const Arguments& arguments) {
  Variables variables;
  const std::string file = arguments.Get("--env-file");
  if (!file.empty()) {
    const auto text = base::ReadFile(file, 1 << 20);
    if (!text.ok()) return base::InvalidArgument("--env-file: " + text.status().message());
    CAUDAL_ASSIGN(variables, ParseEnvFile(file, *text));
  }
  std::vector<Fault> faults;
  for (const std::string& word : arguments.All("--env")) {
    AddWord(word, "--env", &variables, &faults);
  }
  CAUDAL_TRY(base::FaultsToStatus(faults));
  return variables;
}

}  // namespace caudal::cli
