#pragma once

/// The verbs about runs that have a file of their own.

#include "cli/internal/arguments.h"

namespace caudal::cli {

int RunShowVerb(const Arguments& arguments);     // run_show.cc
int RunLogsVerb(const Arguments& arguments);     // run_logs.cc
int RunWatchVerb(const Arguments& arguments);    // run_watch.cc
int RunExplainVerb(const Arguments& arguments);  // run_explain.cc
int RunRetryVerb(const Arguments& arguments);    // run_retry.cc
int RunOpenVerb(const Arguments& arguments);     // run_open.cc

}  // namespace caudal::cli
