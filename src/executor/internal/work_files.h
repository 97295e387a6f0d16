#pragma once

/// The files of one attempt in `work/<key>/`: what a restarted server finds of it.

#include <google/protobuf/message_lite.h>

#include <map>
#include <optional>
#include <string>

#include "base/status.h"
#include "caudal/v1/attempt.pb.h"
#include "caudal/v1/supervisor.pb.h"
#include "launcher/launcher.h"

namespace caudal::executor::internal {

/// Paths and contents. Stateless; every function blocks.
class WorkFiles {
 public:
  explicit WorkFiles(launcher::Layout layout) : layout_(std::move(layout)) {}

  std::string StepPath(int64_t key) const { return Path(key, "step.pb"); }
  std::string ExitPath(int64_t key) const { return Path(key, "exit.pb"); }
  /// Variables that must not stay on disk: written before step.pb, removed by the supervisor as it
  /// starts the step, and here when it never does.
  std::string PrivateEnvPath(int64_t key) const { return Path(key, "private.env"); }

  /// Writes attempt.pb, provenance.pb and, last, step.pb: a directory with step.pb has them all.
  /// `private_env` stands beside them, if there is any.
  base::Status WriteStaged(const v1::AttemptSpec& spec, const v1::Provenance& provenance,
                           const v1::StepSpec& step,
                           const std::map<std::string, std::string>& private_env) const;
  /// Of an attempt that makes no process: attempt.pb alone.
  base::Status WriteAttempt(const v1::AttemptSpec& spec) const;
  base::Status WriteOutcome(const v1::AttemptOutcome& outcome) const;

  /// nullopt when the file is absent or unreadable.
  std::optional<v1::AttemptSpec> ReadAttempt(int64_t key) const;
  std::optional<v1::Provenance> ReadProvenance(int64_t key) const;
  std::optional<v1::StepSpec> ReadStep(int64_t key) const;
  std::optional<v1::StepExit> ReadExit(int64_t key) const;
  std::optional<v1::AttemptOutcome> ReadOutcome(int64_t key) const;

  /// Time of step.pb: close to when the step started. 0 when there is none.
  int64_t StagedAtMicros(int64_t key) const;

  /// Keys that have a directory.
  std::vector<int64_t> List() const;
  void Remove(int64_t key) const;
  /// Frees the space of a step that has ended: its outputs, scratch and home. What was published is
  /// elsewhere already; nothing can be collected afterwards.
  void RemoveScratch(int64_t key) const;
  /// Removes what holds values of secrets. The step has ended, or never starts.
  void RemovePrivate(int64_t key) const;
  /// Takes back that the attempt was staged: it is as if it had never been launched.
  void RemoveStep(int64_t key) const;

 private:
  std::string Path(int64_t key, const char* name) const;
  bool Read(int64_t key, const char* name, google::protobuf::MessageLite* message) const;

  launcher::Layout layout_;
};

}  // namespace caudal::executor::internal
