#include "pyenv/internal/settings.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "base/file.h"

namespace caudal::pyenv::internal {
namespace {

constexpr int64_t kMaxFile = 1 << 20;

constexpr std::array<const char*, 16> kPipVariables = {
    "PIP_INDEX_URL",    "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS",
    "PIP_CONSTRAINT",   "PIP_NO_INDEX",        "PIP_PRE",
    "PIP_NO_BINARY",    "PIP_ONLY_BINARY",     "PIP_CERT",
    "PIP_CONFIG_FILE",  "PIP_TRUSTED_HOST",    "PIP_PROXY",
    "PIP_RETRIES",      "PIP_DEFAULT_TIMEOUT", "PIP_TIMEOUT",
    "PIP_PREFER_BINARY"};
constexpr std::array<const char*, 12> kUvVariables = {
    "UV_DEFAULT_INDEX", "UV_INDEX",        "UV_INDEX_URL",  "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",    "UV_CONSTRAINT",   "UV_OVERRIDE",   "UV_EXCLUDE_NEWER",
    "UV_PRERELEASE",    "UV_HTTP_TIMEOUT", "UV_NATIVE_TLS", "UV_INSECURE_HOST"};
constexpr std::array<const char*, 10> kNetworkVariables = {
    "http_proxy",  "https_proxy", "no_proxy",      "all_proxy",          "HTTP_PROXY",
    "HTTPS_PROXY", "NO_PROXY",    "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR"};

/// Settings that hold paths, several with blanks between them.
constexpr std::array<const char*, 5> kPathVariables = {
    "PIP_FIND_LINKS", "PIP_CONSTRAINT", "UV_FIND_LINKS", "UV_CONSTRAINT", "UV_OVERRIDE"};
/// Names of settings that hold the text of the file that a variable names.
constexpr char kTextOf[] = "text of ";

std::string ReadText(const std::string& path) {
  auto text = base::ReadFile(path, kMaxFile);
  return text.ok() ? *std::move(text) : "";
}

std::string ReadFirst(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    std::string text = ReadText(path);
    if (!text.empty()) return text;
  }
  return "";
}

std::string ConfigHome() {
  const std::string config = Variable("XDG_CONFIG_HOME");
  return config.empty() ? Variable("HOME") + "/.config" : config;
}

std::vector<std::string> Words(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

/// Builds work elsewhere than where the server was started.
std::string WithAbsolutePaths(const std::string& value) {
  std::string text;
  for (const std::string& word : Words(value)) {
    std::error_code ignored;
    const bool is_relative = word.find("://") == std::string::npos && !word.starts_with('/') &&
                             std::filesystem::exists(word, ignored);
    if (!text.empty()) text += ' ';
    text += is_relative ? std::filesystem::absolute(word).lexically_normal().string() : word;
  }
  return text;
}

std::string Trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1));
}

using Options = std::map<std::string, std::string>;

/// One of pip's files: "[section]", "name = value", values going on in indented lines.
void ReadConfig(const std::string& text, const std::string& wanted, Options* options) {
  std::istringstream lines(text);
  std::string section;
  std::string* value = nullptr;
  for (std::string line; std::getline(lines, line);) {
    const std::string words = Trim(line);
    if (words.empty() || words[0] == '#' || words[0] == ';') continue;
    if (std::isspace(static_cast<unsigned char>(line[0])) != 0) {
      if (value != nullptr) *value += " " + words;
      continue;
    }
    value = nullptr;
    if (words.front() == '[') {
      section = Trim(words.substr(1, words.find(']') - 1));
      continue;
    }
    const size_t equals = words.find_first_of("=:");
    if (section != wanted || equals == std::string::npos) continue;
    std::string name = Trim(words.substr(0, equals));
    std::replace(name.begin(), name.end(), '_', '-');
    value = &((*options)[name] = Trim(words.substr(equals + 1)));
  }
}

bool IsOn(const std::string& value) {
  return value == "1" || value == "true" || value == "True" || value == "yes" || value == "on";
}

bool IsGiven(const Settings& settings, std::initializer_list<const char*> names) {
  return std::any_of(names.begin(), names.end(),
                     [&](const char* name) { return settings.count(name) > 0; });
}

/// pip's options that say nothing about what is installed from where.
bool IsWithoutEffect(const std::string& option) {
  constexpr std::array<std::string_view, 14> kNames = {"disable-pip-version-check",
                                                       "no-input",
                                                       "quiet",
                                                       "verbose",
                                                       "progress-bar",
                                                       "no-color",
                                                       "cache-dir",
                                                       "log",
                                                       "config-file",
                                                       "prefer-binary",
                                                       "break-system-packages",
                                                       "require-virtualenv",
                                                       "root-user-action",
                                                       "exists-action"};
  return std::find(kNames.begin(), kNames.end(), option) != kNames.end() ||
         option.starts_with("no-warn-");
}

/// An option with one or several values, as uv has it, or false.
bool AddOption(const std::string& name, const std::string& value, UvSettings* uv) {
  struct Same {
    std::string_view pip, uv;
  };
  constexpr std::array<Same, 5> kLists = {{{"extra-index-url", "--extra-index-url"},
                                           {"find-links", "--find-links"},
                                           {"constraint", "--constraint"},
                                           {"trusted-host", "--allow-insecure-host"},
                                           {"index-url", "--index-url"}}};
  for (const Same& same : kLists) {
    if (name != same.pip) continue;
    for (const std::string& word : Words(value)) {
      uv->words.emplace_back(same.uv);
      uv->words.push_back(word);
    }
    return true;
  }
  if (name == "no-binary" || name == "only-binary") {
    std::string list = value;
    std::replace(list.begin(), list.end(), ',', ' ');
    for (const std::string& word : Words(list)) {
      uv->words.push_back("--" + name);
      uv->words.push_back(word);
    }
    return true;
  }
  return false;
}

bool AddFlagOrVariable(const std::string& name, const std::string& value, UvSettings* uv) {
  if (name == "no-index" || name == "pre" || name == "no-cache-dir") {
    const char* flag = name == "pre" ? "--prerelease=allow" : "--no-index";
    if (IsOn(value)) uv->words.emplace_back(name == "no-cache-dir" ? "--no-cache" : flag);
  } else if (name == "cert") {
    uv->env.push_back("SSL_CERT_FILE=" + value);
  } else if (name == "proxy") {
    uv->env.push_back("ALL_PROXY=" + value);
  } else if (name == "timeout" || name == "default-timeout") {
    uv->env.push_back("UV_HTTP_TIMEOUT=" + value.substr(0, value.find('.')));
  } else if (name == "retries") {
    uv->env.push_back("UV_HTTP_RETRIES=" + value);
  } else {
    return false;
  }
  return true;
}

}  // namespace

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool IsVariable(const std::string& name) {
  return name != kPipConfig && name != kSystemPipConfig && name != kUvConfig &&
         !name.starts_with(kTextOf);
}

bool ChangesWhatIsInstalled(const std::string& name) {
  for (const char* way : {"PIP_CERT", "PIP_PROXY", "PIP_DEFAULT_TIMEOUT", "PIP_TIMEOUT",
                          "PIP_RETRIES", "UV_HTTP_TIMEOUT", "UV_NATIVE_TLS"}) {
    if (name == way) return false;
  }
  return name.starts_with("PIP_") || name.starts_with("UV_") || !IsVariable(name);
}

Settings SettingsFromEnvironment() {
  Settings settings;
  const auto add = [&](const char* name) {
    if (std::getenv(name) != nullptr) settings[name] = Variable(name);
  };
  std::for_each(kPipVariables.begin(), kPipVariables.end(), add);
  std::for_each(kUvVariables.begin(), kUvVariables.end(), add);
  std::for_each(kNetworkVariables.begin(), kNetworkVariables.end(), add);
  const auto add_text = [&](const std::string& name, const std::string& text) {
    if (!text.empty()) settings[name] = text;
  };
  add_text(kPipConfig,
           ReadFirst({ConfigHome() + "/pip/pip.conf", Variable("HOME") + "/.pip/pip.conf"}));
  add_text(kSystemPipConfig, ReadFirst({"/etc/xdg/pip/pip.conf", "/etc/pip.conf"}));
  add_text(kUvConfig, ReadFirst({ConfigHome() + "/uv/uv.toml"}));
  for (const char* name : kPathVariables) {
    const auto at = settings.find(name);
    if (at == settings.end()) continue;
    at->second = WithAbsolutePaths(at->second);
    // What a constraint file says may change; what a folder of packages holds is like an index.
    for (const std::string& path : Words(at->second)) {
      if (path.starts_with('/')) add_text(kTextOf + path, ReadText(path));
    }
  }
  if (const auto at = settings.find("PIP_CONFIG_FILE"); at != settings.end()) {
    add_text(kTextOf + at->second, ReadText(at->second));
  }
  return settings;
}

std::vector<std::string> PathsIn(const Settings& settings) {
  std::vector<std::string> paths;
  for (const auto& [name, value] : settings) {
    if (!IsVariable(name)) continue;
    for (std::string word : Words(value)) {
      if (word.starts_with("file://")) word.erase(0, 7);
      const bool is_path = word.starts_with('/') && word.size() > 1 && !word.starts_with("/dev/");
      if (is_path && base::PathExists(word)) paths.push_back(word);
    }
  }
  return paths;
}

std::map<std::string, std::string> PipOptions(const Settings& settings) {
  std::vector<std::string> texts;
  const auto add = [&](const std::string& name) {
    const auto at = settings.find(name);
    if (at != settings.end()) texts.push_back(at->second);
  };
  add(kSystemPipConfig);
  add(kPipConfig);
  if (const auto at = settings.find("PIP_CONFIG_FILE"); at != settings.end()) {
    // "/dev/null" switches the other files off.
    if (at->second == "/dev/null") texts.clear();
    add(kTextOf + at->second);
  }
  Options options;
  for (const char* section : {"global", "install"}) {
    for (const std::string& text : texts) ReadConfig(text, section, &options);
  }
  for (const auto& [name, value] : settings) {
    if (!name.starts_with("PIP_")) continue;
    std::string option = name.substr(4);
    std::transform(option.begin(), option.end(), option.begin(), [](unsigned char c) {
      return c == '_' ? '-' : static_cast<char>(std::tolower(c));
    });
    options[option] = value;
  }
  return options;
}

std::optional<UvSettings> ForUv(const Settings& settings, std::string* unknown) {
  UvSettings uv;
  Options options = PipOptions(settings);
  // What uv is told in its own words counts for it.
  if (IsGiven(settings, {"UV_DEFAULT_INDEX", "UV_INDEX_URL"})) options.erase("index-url");
  if (IsGiven(settings, {"UV_INDEX", "UV_EXTRA_INDEX_URL"})) options.erase("extra-index-url");
  if (IsGiven(settings, {"UV_FIND_LINKS"})) options.erase("find-links");
  if (IsGiven(settings, {"UV_CONSTRAINT"})) options.erase("constraint");
  for (const auto& [name, value] : options) {
    if (IsWithoutEffect(name)) continue;
    if (AddOption(name, value, &uv) || AddFlagOrVariable(name, value, &uv)) continue;
    *unknown = name;
    return std::nullopt;
  }
  return uv;
}

}  // namespace caudal::pyenv::internal

namespace caudal::pyenv {

std::string MaskSecrets(std::string_view text) {
  std::string masked;
  while (true) {
    const size_t scheme = text.find("://");
    if (scheme == std::string_view::npos) return masked.append(text);
    masked += text.substr(0, scheme + 3);
    text.remove_prefix(scheme + 3);
    const std::string_view authority = text.substr(0, text.find_first_of("/ \t\r\n\"'<>"));
    const size_t at = authority.rfind('@');
    if (at == std::string_view::npos) continue;
    masked += "***";
    text.remove_prefix(at);
  }
}

}  // namespace caudal::pyenv
