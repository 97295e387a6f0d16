#pragma once

/// Serves one data directory until told to stop: the whole of `caudal server`.

#include <cstdint>
#include <string>
#include <vector>

namespace caudal::server {

struct ServeOptions {
  std::string data_dir;  ///< absolute; made when missing
  std::string host = "127.0.0.1";
  int http_port = 8888;  ///< of every port: 0 lets the kernel pick
  int grpc_port = 8887;
  int s3_port = 9000;
  int mlmd_port = 8080;
  std::string ready_file;         ///< empty: none is written
  std::string isolation;          ///< "sandbox" or "process"; empty: the best this machine can do
  std::string kfp_package;        ///< replaces the kfp that steps pin; empty: as pinned
  int64_t idle_exit_seconds = 0;  ///< stops after this long without runs and requests; 0: never
  int64_t kill_grace_millis = 10'000;
  int64_t terminate_grace_millis = 300'000;  ///< how long exit tasks of a canceled run may go on
  bool no_cache = false;           ///< no run looks outputs up, whatever its pipeline says
  bool flatten_collected = false;  ///< nested Collected of parameters flat, as upstream's backend
  bool require_secrets = false;    ///< steps without the secrets they ask for fail
  int64_t log_limit_bytes = 1LL << 30;
  int64_t cores_milli = 0;          ///< what steps may use together; 0: the whole machine
  int64_t memory_bytes = 0;         ///< likewise
  std::vector<std::string> mounts;  ///< "HOST[:PATH][:rw]", for every sandboxed step
  std::string executable;           ///< this binary, for the supervisor; empty: /proc/self/exe
  bool verbose = false;
};

/// Blocks until SIGTERM, SIGINT or the idle limit. Returns the exit code: 0 stopped, 2 wrong
/// options, 3 the address or the data directory is taken; the reason is on standard error.
///
/// Call it once per process, before any other thread exists.
int Serve(const ServeOptions& options);

}  // namespace caudal::server
