#include <termios.h>
#include <unistd.h>

#include <array>
#include <boost/json.hpp>
#include <cstdio>
#include <iostream>
#include <iterator>

#include "base/file.h"
#include "base/utf8.h"
#include "cli/internal/common_flags.h"
#include "cli/internal/confirm.h"
#include "cli/internal/session.h"
#include "cli/internal/text.h"
#include "cli/internal/verbs.h"
#include "cli/internal/wording.h"

namespace caudal::cli {
namespace {

using KeyKind = Api::KeyKind;

constexpr int64_t kLargestValue = 1 << 20;
constexpr size_t kValueColumns = 60;

constexpr Flag kReplaceFlag = {"--replace", "", "", "keys that are not given go"};
constexpr std::array kSetFlags = {kReplaceFlag, kServerFlag, kDataDirFlag, kOutputFlag, kJsonFlag};
constexpr std::array kListFlags = {kServerFlag, kDataDirFlag, kOutputFlag, kJsonFlag};
constexpr std::array kDeleteFlags = {kYesFlag, kServerFlag, kDataDirFlag, kOutputFlag, kJsonFlag};

std::string WordFor(KeyKind kind) { return kind == KeyKind::kSecret ? "secret" : "config map"; }

/// While it lives, the terminal does not show what is typed.
class Unseen {
 public:
  Unseen() {
    is_changed_ = tcgetattr(STDIN_FILENO, &before_) == 0;
    if (!is_changed_) return;
    termios unseen = before_;
    unseen.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &unseen);
  }
  ~Unseen() {
    if (is_changed_) tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
  }
  Unseen(const Unseen&) = delete;
  Unseen& operator=(const Unseen&) = delete;

 private:
  termios before_{};
  bool is_changed_ = false;
};

// One line of a terminal, or all there is, without the line feed that ends it.
std::string ReadStandardInput(const std::string& key) {
  std::string value;
  if (isatty(STDIN_FILENO) == 1) {
    std::fprintf(stderr, "value of %s: ", key.c_str());
    {
      const Unseen unseen;
      std::getline(std::cin, value);
    }
    std::fputs("\n", stderr);
    return value;
  }
  value.assign(std::istreambuf_iterator<char>(std::cin), {});
  if (value.ends_with('\n')) value.pop_back();
  return value;
}

// What stands after "KEY=". No message has the value in it.
base::Result<std::string> ReadValue(const std::string& key, const std::string& given) {
  if (given == "-") return ReadStandardInput(key);
  if (!given.starts_with("@")) return given;
  auto content = base::ReadFile(given.substr(1), kLargestValue);
  if (content.ok()) return content;
  return base::InvalidArgument(key + ": " + content.status().message());
}

base::Result<v1::SetKeysRequest> ReadRequest(const Arguments& arguments) {
  const std::vector<std::string>& words = arguments.positionals();
  v1::SetKeysRequest request;
  request.set_name(words[0]);
  request.set_replace(arguments.Has("--replace"));
  std::vector<base::Fault> faults;
  bool has_read = false;
  for (size_t i = 1; i < words.size(); ++i) {
    const size_t equals = words[i].find('=');
    const std::string key = words[i].substr(0, equals);
    if (equals == std::string::npos || key.empty()) {
      // A word without "=" may be a value that was meant for a key.
      faults.push_back({"", "word " + std::to_string(i + 1) +
                                " is none of KEY=VALUE, KEY=@FILE and KEY=- (standard input)"});
      continue;
    }
    const std::string given = words[i].substr(equals + 1);
    if (given == "-" && has_read) {
      faults.push_back({"", key + "=-: standard input is another key's already"});
      continue;
    }
    has_read = has_read || given == "-";
    auto value = ReadValue(key, given);
    if (!value.ok()) {
      faults.push_back({"", value.status().message()});
    } else if (!request.mutable_values()->insert({key, *value}).second) {
      faults.push_back({"", "key '" + key + "' is given twice; give it once"});
    }
  }
  CAUDAL_TRY(base::FaultsToStatus(faults));
  return request;
}

std::string KeysText(const v1::KeySet& set) {
  std::string keys;
  for (const std::string& key : set.keys()) keys += (keys.empty() ? "" : ", ") + key;
  return keys;
}

// Values of config maps as text, bytes that are none as base64 beside them.
boost::json::value ToData(const v1::KeySet& set, KeyKind kind) {
  boost::json::object data{{"name", set.name()},
                           {"keys", boost::json::array(set.keys().begin(), set.keys().end())},
                           {"updated_at", set.updated_at()}};
  if (kind == KeyKind::kSecret) return data;
  boost::json::object values;
  v1::KeySet binary;
  for (const std::string& key : set.keys()) {
    const auto value = set.values().find(key);
    if (value == set.values().end()) continue;
    if (base::IsUtf8(value->second)) {
      values[key] = value->second;
    } else {
      (*binary.mutable_values())[key] = value->second;
    }
  }
  data["values"] = std::move(values);
  if (!binary.values().empty()) data["binary_values"] = ToJsonValue(binary).as_object()["values"];
  return data;
}

int Set(const Arguments& arguments, KeyKind kind) {
  const auto request = ReadRequest(arguments);
  if (!request.ok()) return FailWith(request.status());
  auto session = OpenSession(arguments);
  if (!session.ok()) return FailWith(session.status());
  const auto set = session->api->SetKeys(kind, *request);
  if (!set.ok()) return FailWith(set.status());
  PrintDone(session->form,
            "set " + WordFor(kind) + " " + set->name() + " with " + KeysText(*set) + "\n",
            ToData(*set, kind));
  return kExitOk;
}

std::string ValuesText(const v1::KeySet& set) {
  std::string text;
  for (const std::string& key : set.keys()) {
    const auto value = set.values().find(key);
    if (value == set.values().end()) continue;
    text += (text.empty() ? "" : ", ") + key + "=" +
            CutTo(Printable(FirstLine(value->second)), kValueColumns);
  }
  return text;
}

int List(const Arguments& arguments, KeyKind kind) {
  auto session = OpenSession(arguments);
  if (!session.ok()) return FailWith(session.status());
  const auto listed = session->api->ListKeys(kind);
  if (!listed.ok()) return FailWith(listed.status());
  if (listed->sets().empty() && session->form == OutputForm::kTable) {
    std::fprintf(stderr, "no %ss; make one with 'caudal %s set NAME KEY=@FILE'\n",
                 WordFor(kind).c_str(), kind == KeyKind::kSecret ? "secret" : "configmap");
    return kExitOk;
  }
  const bool is_secret = kind == KeyKind::kSecret;
  Table table({{"name"}, {is_secret ? "keys" : "values", false, 12}, {"changed"}});
  boost::json::array data;
  for (const v1::KeySet& set : listed->sets()) {
    table.Add({set.name(), is_secret ? KeysText(set) : ValuesText(set),
               AgeText(set.updated_at(), NowMicros())});
    data.push_back(ToData(set, kind));
  }
  PrintOutput(session->form, table, data);
  return kExitOk;
}

int Delete(const Arguments& arguments, KeyKind kind) {
  const std::string& name = arguments.positionals()[0];
  auto session = OpenSession(arguments);
  if (!session.ok()) return FailWith(session.status());
  const base::Status sure = Confirm(arguments, "Delete " + WordFor(kind) + " " + Printable(name) +
                                                   "? Steps do without it from then on.");
  if (!sure.ok()) return FailWith(sure);
  const base::Status deleted = session->api->DeleteKeys(kind, name);
  if (!deleted.ok()) return FailWith(deleted);
  PrintDone(session->form, "deleted " + WordFor(kind) + " " + Printable(name) + "\n",
            {{"name", name}, {"done", "deleted"}});
  return kExitOk;
}

int SecretSetVerb(const Arguments& arguments) { return Set(arguments, KeyKind::kSecret); }
int SecretListVerb(const Arguments& arguments) { return List(arguments, KeyKind::kSecret); }
int SecretDeleteVerb(const Arguments& arguments) { return Delete(arguments, KeyKind::kSecret); }
int ConfigMapSetVerb(const Arguments& arguments) { return Set(arguments, KeyKind::kConfigMap); }
int ConfigMapListVerb(const Arguments& arguments) { return List(arguments, KeyKind::kConfigMap); }
int ConfigMapDeleteVerb(const Arguments& arguments) {
  return Delete(arguments, KeyKind::kConfigMap);
}

constexpr std::array kEntries = {
    Entry{{"secret set", "NAME KEY=VALUE…",
           "Keeps a secret for steps. Prefer KEY=@FILE or KEY=- to KEY=VALUE.", kSetFlags,
           "caudal secret set registry token=@token.txt\n"
           "caudal secret set registry token=- < token.txt\n"
           "caudal secret set registry token=-\n"
           "caudal secret set registry user=ann --replace",
           false, "secret file",
           "A secret is a set of keys with values. KEY=@FILE takes the bytes of a file, KEY=- what "
           "comes\non standard input, without the line feed at its end, or what is typed unseen. "
           "KEY=VALUE shows\nthe value to everybody who can list processes on this machine, and "
           "leaves it in the shell's\nhistory. No command prints a value again."},
          SecretSetVerb},
    Entry{{"secret list", "", "Lists secrets with their keys; values are never shown.", kListFlags,
           "caudal secret list\n"
           "caudal secret list -o json"},
          SecretListVerb},
    Entry{{"secret delete", "NAME", "Deletes a secret.", kDeleteFlags,
           "caudal secret delete registry\n"
           "caudal secret delete registry --yes",
           false, "secret"},
          SecretDeleteVerb},
    Entry{{"configmap set", "NAME KEY=VALUE…", "Keeps settings for steps that are not secret.",
           kSetFlags,
           "caudal configmap set app mode=fast config.yaml=@config.yaml\n"
           "caudal configmap set app mode=slow --replace",
           false, "configmap file"},
          ConfigMapSetVerb},
    Entry{{"configmap list", "", "Lists config maps with their values.", kListFlags,
           "caudal configmap list\n"
           "caudal configmap list -o yaml"},
          ConfigMapListVerb},
    Entry{{"configmap delete", "NAME", "Deletes a config map.", kDeleteFlags,
           "caudal configmap delete app\n"
           "caudal configmap delete app --yes",
           false, "configmap"},
          ConfigMapDeleteVerb},
};

}  // namespace

std::span<const Entry> SecretEntries() { return kEntries; }

}  // namespace caudal::cli
