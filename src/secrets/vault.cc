#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <mutex>
#include <optional>
#include <utility>

#include "base/file.h"
#include "secrets/secrets.h"

namespace caudal::secrets {
namespace {

using base::InvalidArgument;
using base::Result;
using base::Status;

constexpr size_t kMaxName = 253;
constexpr size_t kMaxBytes = 1 << 20;
// Of a file: a header, then per key a line "<bytes of the value> <key>" and the value, each with a
// line feed behind it.
constexpr std::string_view kHeader = "caudal-keys 1 ";

std::string Word(Kind kind) { return kind == Kind::kSecret ? "secret" : "config map"; }

bool IsAlphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

bool IsKey(std::string_view key) {
  const bool spelled = std::all_of(key.begin(), key.end(), [](char c) {
    return IsAlphanumeric(c) || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.';
  });
  return spelled && !key.empty() && key.size() <= kMaxName && key != "." && !key.starts_with("..");
}

Status CheckName(Kind kind, const std::string& name) {
  if (IsName(name)) return {};
  return InvalidArgument("'" + name.substr(0, kMaxName) + "' cannot be the name of a " +
                         Word(kind) + ": use lower-case letters, digits, '-' and '.', at most " +
                         std::to_string(kMaxName) + ", as in db-login");
}

Status CheckValues(const std::string& what, const std::map<std::string, std::string>& values) {
  size_t bytes = 0;
  for (const auto& [key, value] : values) {
    if (!IsKey(key)) {
      return InvalidArgument(what + ": '" + key.substr(0, kMaxName) +
                             "' cannot be a key: use letters, digits, '-', '_' and '.', at most " +
                             std::to_string(kMaxName));
    }
    bytes += key.size() + value.size();
  }
  if (bytes <= kMaxBytes) return {};
  return InvalidArgument(what + " would have " + std::to_string(bytes) + " bytes, more than " +
                         std::to_string(kMaxBytes) + "; hand large data on as an artifact");
}

std::string Serialize(const KeySet& set) {
  std::string text = std::string(kHeader) + std::to_string(set.updated_at) + "\n";
  for (const auto& [key, value] : set.values) {
    text += std::to_string(value.size()) + " " + key + "\n" + value + "\n";
  }
  return text;
}

/// A decimal number and the character behind it, taken off the front.
std::optional<int64_t> TakeNumber(std::string_view* text, char end) {
  int64_t number = 0;
  const auto [stop, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  const auto length = static_cast<size_t>(stop - text->data());
  if (error != std::errc() || length >= text->size() || *stop != end) return std::nullopt;
  text->remove_prefix(length + 1);
  return number;
}

bool Parse(std::string_view text, KeySet* set) {
  if (!text.starts_with(kHeader)) return false;
  text.remove_prefix(kHeader.size());
  const auto updated_at = TakeNumber(&text, '\n');
  if (!updated_at) return false;
  set->updated_at = *updated_at;
  while (!text.empty()) {
    const auto bytes = TakeNumber(&text, ' ');
    const size_t line = text.find('\n');
    if (!bytes || *bytes < 0 || line == std::string_view::npos) return false;
    const std::string key(text.substr(0, line));
    text.remove_prefix(line + 1);
    const auto size = static_cast<size_t>(*bytes);
    if (text.size() <= size || text[size] != '\n') return false;
    set->values[key] = text.substr(0, size);
    text.remove_prefix(size + 1);
  }
  return true;
}

std::string Directory(const std::string& data_dir, Kind kind) {
  return data_dir + (kind == Kind::kSecret ? "/secrets" : "/configmaps");
}

/// Readers see the old set or the new one. The draft's name is no set's: it begins with a dot.
Status Write(const std::string& directory, const KeySet& set) {
  CAUDAL_TRY(base::MakeDirs(directory, 0700));
  if (chmod(directory.c_str(), 0700) != 0) {
    return base::FromErrno(errno, "cannot set mode of " + directory);
  }
  const std::string draft = directory + "/.draft-" + std::to_string(getpid());
  CAUDAL_TRY(base::WriteFileAtomic(draft, Serialize(set), 0600));
  return base::RenameDurably(draft, directory + "/" + set.name);
}

/// One writer at a time: laying values over others is a read and a write.
std::mutex& WriterMutex() {
  static std::mutex mutex;
  return mutex;
}

}  // namespace

bool IsName(std::string_view name) {
  if (name.empty() || name.size() > kMaxName) return false;
  for (size_t start = 0; start <= name.size();) {
    const size_t end = std::min(name.find('.', start), name.size());
    const std::string_view label = name.substr(start, end - start);
    if (label.empty() || !IsAlphanumeric(label.front()) || !IsAlphanumeric(label.back()) ||
        !std::all_of(label.begin(), label.end(),
                     [](char c) { return IsAlphanumeric(c) || c == '-'; })) {
      return false;
    }
    start = end + 1;
  }
  return true;
}

Result<KeySet> Vault::Set(Kind kind, const std::string& name,
                          const std::map<std::string, std::string>& values, bool replace,
                          int64_t now_micros) {
  CAUDAL_TRY(CheckName(kind, name));
  const std::lock_guard<std::mutex> lock(WriterMutex());
  KeySet set;
  set.name = name;
  if (!replace) {
    auto known = Get(kind, name);
    if (!known.ok() && known.status().code() != base::Code::kNotFound) return known.status();
    if (known.ok()) set = *std::move(known);
  }
  for (const auto& [key, value] : values) set.values[key] = value;
  set.updated_at = now_micros;
  CAUDAL_TRY(CheckValues(Word(kind) + " '" + name + "'", set.values));
  CAUDAL_TRY(Write(Directory(data_dir_, kind), set));
  return set;
}

Result<KeySet> Vault::Get(Kind kind, const std::string& name) const {
  CAUDAL_TRY(CheckName(kind, name));
  const std::string path = Directory(data_dir_, kind) + "/" + name;
  const auto text = base::ReadFile(path, 2 * static_cast<int64_t>(kMaxBytes));
  if (text.status().code() == base::Code::kNotFound) {
    return base::NotFound(Word(kind) + " '" + name + "' does not exist");
  }
  if (!text.ok()) return text.status();
  KeySet set;
  set.name = name;
  if (Parse(*text, &set)) return set;
  return Status(base::Code::kDataLoss,
                path + " is damaged; remove it and set the " + Word(kind) + " again");
}

Result<std::vector<KeySet>> Vault::List(Kind kind) const {
  std::vector<KeySet> sets;
  const auto names = base::ListDir(Directory(data_dir_, kind));
  if (names.status().code() == base::Code::kNotFound) return sets;
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) {
    if (!IsName(name)) continue;
    auto set = Get(kind, name);
    if (set.status().code() == base::Code::kNotFound) continue;  // deleted meanwhile
    if (!set.ok()) return set.status();
    sets.push_back(*std::move(set));
  }
  return sets;
}

Status Vault::Delete(Kind kind, const std::string& name) {
  CAUDAL_TRY(CheckName(kind, name));
  const std::lock_guard<std::mutex> lock(WriterMutex());
  const std::string directory = Directory(data_dir_, kind);
  if (unlink((directory + "/" + name).c_str()) == 0) return base::SyncDir(directory);
  if (errno == ENOENT) return base::NotFound(Word(kind) + " '" + name + "' does not exist");
  return base::FromErrno(errno, "cannot remove " + directory + "/" + name);
}

}  // namespace caudal::secrets
