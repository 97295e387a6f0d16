#pragma once

/// The verbs there are, with their flags and help, and the functions that carry them out.

#include <span>
#include <string>

#include "cli/internal/arguments.h"

namespace caudal::cli {

struct Entry {
  Verb verb;
  int (*run)(const Arguments& arguments);  ///< returns the exit code
};

/// All verbs, the most used first.
std::span<const Entry> AllVerbs();

/// What `caudal --help` prints.
std::string OverviewText();

int RunVerb(const Arguments& arguments);
int ServerVerb(const Arguments& arguments);
int ServerStopVerb(const Arguments& arguments);
int ServerStatusVerb(const Arguments& arguments);
int SuperviseVerb(const Arguments& arguments);
int VersionVerb(const Arguments& arguments);
/// `caudal` alone: where am I.
int WhereVerb(const Arguments& arguments);

/// Exit codes of every verb.
inline constexpr int kExitOk = 0;
inline constexpr int kExitRunFailed = 1;
inline constexpr int kExitWrongInput = 2;
inline constexpr int kExitUnreachable = 3;
inline constexpr int kExitInterrupted = 130;

/// Writes each line of `message` to standard error as "caudal: line", and returns `exit_code`.
int Fail(int exit_code, std::string_view message);

}  // namespace caudal::cli
