#pragma once

/// The command line: one entry for every verb of `caudal`.

namespace caudal::cli {

/// Runs the verb that `argv` names. Returns the exit code: 0 done, 1 the run failed, 2 the input is
/// wrong, 3 the server is unreachable, 130 interrupted. Results go to standard output, everything
/// else to standard error.
int Main(int argc, char** argv);

}  // namespace caudal::cli
