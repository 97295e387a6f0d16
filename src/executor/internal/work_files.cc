#include "executor/internal/work_files.h"

#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/log.h"

namespace caudal::executor::internal {
base::Status WorkFiles::WriteStaged(const v1::AttemptSpec& spec, const v1::Provenance& provenance,
                                    const v1::StepSpec& step) const {
  const int64_t key = spec.attempt_key();
  CAUDAL_TRY(base::WriteFileAtomic(Path(key, "attempt.pb"), spec.SerializeAsString()));
  CAUDAL_TRY(base::WriteFileAtomic(Path(key, "provenance.pb"), provenance.SerializeAsString()));
  return base::WriteFileAtomic(StepPath(key), step.SerializeAsString());
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
  for (const char* name : {"outputs", "params", "tmp", "home", "fs", "publish"}) {
    const base::Status removed = base::RemoveTree(Path(key, name));
    if (!removed.ok()) base::LogWarning("scratch stays behind: " + removed.message());
  }
}

void WorkFiles::RemoveStep(int64_t key) const { unlink(StepPath(key).c_str()); }

std::string WorkFiles::Path(int64_t key, const char* name) const {
  return layout_.WorkDir(key) + "/" + name;
}

bool WorkFiles::Read(int64_t key, const char* name, google::protobuf::MessageLite* message) const {
  const auto bytes = base::ReadFile(Path(key, name));
  return bytes.ok() && message->ParseFromString(*bytes);
}

}  // namespace caudal::executor::internal
