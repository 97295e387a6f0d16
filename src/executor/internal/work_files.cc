#include "executor/internal/work_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/log.h"

namespace caudal::executor::internal {
namespace {

/// Written, flushed and renamed; the new name is on disk with the next flush of the directory.
base::Status WriteFlushed(const std::string& path, const std::string& data) {
  const std::string draft = path + ".tmp";
  const base::UniqueFd fd(open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd.valid()) return base::FromErrno(errno, "cannot create " + draft);
  for (size_t done = 0; done < data.size();) {
    const ssize_t put = write(fd.get(), data.data() + done, data.size() - done);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return base::FromErrno(errno, "cannot write " + draft);
    done += static_cast<size_t>(put);
  }
  if (fsync(fd.get()) != 0) return base::FromErrno(errno, "cannot flush " + draft);
  if (rename(draft.c_str(), path.c_str()) == 0) return {};
  return base::FromErrno(errno, "cannot rename " + draft);
}

}  // namespace

// One flush of the directory, the last file's, is enough for all three: every one spared is a wait
// for the disk before each step.
base::Status WorkFiles::WriteStaged(const v1::AttemptSpec& spec, const v1::Provenance& provenance,
                                    const v1::StepSpec& step,
                                    const std::map<std::string, std::string>& private_env) const {
  const int64_t key = spec.attempt_key();
  if (!private_env.empty()) {
    std::string variables;
    for (const auto& [name, value] : private_env) variables += name + "=" + value + '\0';
    CAUDAL_TRY(WriteFlushed(PrivateEnvPath(key), variables));
  }
  CAUDAL_TRY(WriteFlushed(Path(key, "attempt.pb"), spec.SerializeAsString()));
  CAUDAL_TRY(WriteFlushed(Path(key, "provenance.pb"), provenance.SerializeAsString()));
  return base::WriteFileAtomic(StepPath(key), step.SerializeAsString());
}

base::Status WorkFiles::WriteAttempt(const v1::AttemptSpec& spec) const {
  CAUDAL_TRY(base::MakeDirs(layout_.WorkDir(spec.attempt_key())));
  return base::WriteFileAtomic(Path(spec.attempt_key(), "attempt.pb"), spec.SerializeAsString());
}

base::Status WorkFiles::WriteOutcome(const v1::AttemptOutcome& outcome) const {
  CAUDAL_TRY(base::MakeDirs(layout_.WorkDir(outcome.attempt_key())));
  return base::WriteFileAtomic(Path(outcome.attempt_key(), "outcome.pb"),
                               outcome.SerializeAsString());
}

std::optional<v1::AttemptSpec> WorkFiles::ReadAttempt(int64_t key) const {
  v1::AttemptSpec spec;
  if (!Read(key, "attempt.pb", &spec)) return std::nullopt;
  return spec;
}

std::optional<v1::Provenance> WorkFiles::ReadProvenance(int64_t key) const {
  v1::Provenance provenance;
  if (!Read(key, "provenance.pb", &provenance)) return std::nullopt;
  return provenance;
}

std::optional<v1::StepSpec> WorkFiles::ReadStep(int64_t key) const {
  v1::StepSpec step;
  if (!Read(key, "step.pb", &step)) return std::nullopt;
  return step;
}

std::optional<v1::StepExit> WorkFiles::ReadExit(int64_t key) const {
  v1::StepExit exit;
  if (!Read(key, "exit.pb", &exit)) return std::nullopt;
  return exit;
}

std::optional<v1::AttemptOutcome> WorkFiles::ReadOutcome(int64_t key) const {
  v1::AttemptOutcome outcome;
  if (!Read(key, "outcome.pb", &outcome)) return std::nullopt;
  return outcome;
}

int64_t WorkFiles::StagedAtMicros(int64_t key) const {
  struct stat info {};
  if (stat(StepPath(key).c_str(), &info) != 0) return 0;
  return info.st_mtim.tv_sec * 1'000'000 + info.st_mtim.tv_nsec / 1000;
}

std::vector<int64_t> WorkFiles::List() const {
  std::vector<int64_t> keys;
  const auto names = base::ListDir(layout_.data_dir + "/work");
  if (!names.ok()) return keys;
  for (const std::string& name : *names) {
    int64_t key = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), key);
    if (error == std::errc() && end == name.data() + name.size()) keys.push_back(key);
  }
  return keys;
}

void WorkFiles::Remove(int64_t key) const {
  const base::Status removed = base::RemoveTree(layout_.WorkDir(key));
  if (!removed.ok()) base::LogWarning("work directory stays behind: " + removed.message());
}

void WorkFiles::RemoveScratch(int64_t key) const {
  for (const char* name : {"outputs", "params", "tmp", "home", "fs", "publish", "empty"}) {
    const base::Status removed = base::RemoveTree(Path(key, name));
    if (!removed.ok()) base::LogWarning("scratch stays behind: " + removed.message());
  }
}

void WorkFiles::RemovePrivate(int64_t key) const {
  unlink(PrivateEnvPath(key).c_str());
  unlink((PrivateEnvPath(key) + ".tmp").c_str());
  const base::Status removed = base::RemoveTree(Path(key, "keys"));
  if (!removed.ok()) base::LogWarning("files of secrets stay behind: " + removed.message());
}

void WorkFiles::RemoveStep(int64_t key) const {
  unlink(StepPath(key).c_str());
  RemovePrivate(key);
}

std::string WorkFiles::Path(int64_t key, const char* name) const {
  return layout_.WorkDir(key) + "/" + name;
}

bool WorkFiles::Read(int64_t key, const char* name, google::protobuf::MessageLite* message) const {
  const auto bytes = base::ReadFile(Path(key, name));
  return bytes.ok() && message->ParseFromString(*bytes);
}

}  // namespace caudal::executor::internal
