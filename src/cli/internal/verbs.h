#pragma once

/// The verbs there are, with their flags and help, and the functions that carry them out. Parsing,
/// help and completion are made from these tables and from nothing else.

#include <span>
#include <string>
#include <vector>

#include "cli/internal/arguments.h"

namespace caudal::cli {

struct Entry {
  Verb verb;
  int (*run)(const Arguments& arguments);  ///< returns the exit code
};

/// All verbs, grouped by noun, the most used first.
std::span<const Entry> AllVerbs();

// The tables that AllVerbs is made of, one per noun, each in the file of its verbs.
std::span<const Entry> RunEntries();         // run_verbs.cc
std::span<const Entry> PipelineEntries();    // pipeline_verbs.cc
std::span<const Entry> ExperimentEntries();  // experiment_verbs.cc
std::span<const Entry> CompileEntries();     // compile_verb.cc
std::span<const Entry> CacheEntries();       // cache_verbs.cc
std::span<const Entry> SecretEntries();      // secret_verbs.cc
std::span<const Entry> VenvEntries();        // venv_verbs.cc
std::span<const Entry> ServerEntries();      // server_verbs.cc
std::span<const Entry> ContextEntries();     // context_verbs.cc
std::span<const Entry> DoctorEntries();      // doctor_verb.cc
std::span<const Entry> CompletionEntries();  // completion_verbs.cc

/// The verb that some words name.
struct FoundVerb {
  const Entry* entry = nullptr;  ///< null: none
  size_t words = 0;              ///< how many words its name took
};

/// "run list" before "run". After a noun that is a verb itself, a word that looks like a file (has
/// '/', '.' or ':') is never a verb.
FoundVerb FindVerb(const std::vector<std::string>& words);

/// Whether some verbs are called "<word> …".
bool IsNoun(std::string_view word);

/// What is wrong with words that name no verb, with the nearest that does.
std::string UnknownVerbText(const std::vector<std::string>& words);

/// What `caudal --help` prints.
std::string OverviewText();

/// The verbs of one noun, as `caudal pipeline` prints them.
std::string NounText(std::string_view noun);

/// One line for each verb of a noun, the verb of that name itself left out.
std::string VerbLines(std::string_view noun);

int RunVerb(const Arguments& arguments);
/// `caudal` alone: where am I.
int WhereVerb(const Arguments& arguments);
int VersionVerb(const Arguments& arguments);

/// Exit codes of every verb.
inline constexpr int kExitOk = 0;
inline constexpr int kExitRunFailed = 1;
inline constexpr int kExitWrongInput = 2;
inline constexpr int kExitUnreachable = 3;
inline constexpr int kExitInterrupted = 130;

/// Writes each line of `message` to standard error as "caudal: line", indented ones as they are,
/// and returns `exit_code`.
int Fail(int exit_code, std::string_view message);

/// The same for an error of the API: wrong input exits with 2, an unreachable server with 3.
int FailWith(const base::Status& status);

}  // namespace caudal::cli
