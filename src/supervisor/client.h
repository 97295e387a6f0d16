#pragma once

/// The server's side of the supervisor: starts one when none runs, speaks to it, hears exits.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "caudal/v1/supervisor.pb.h"

namespace caudal::supervisor {

struct ClientOptions {
  std::string data_dir;    ///< socket at <data_dir>/work/supervisor.sock
  std::string executable;  ///< started as `<executable> supervise --data-dir <data_dir>`
};

/// Thread-safe. Callbacks come from one thread of the client's own.
///
/// When the supervisor dies, a new one is started by the next call; steps of the dead one are
/// killed first and `on_lost` is called with their keys.
class Client {
 public:
  struct Callbacks {
    std::function<void(int64_t attempt_key, int64_t at_micros)> on_started;
    std::function<void(const caudal::v1::StepExit& exit)> on_exit;
    std::function<void(const std::vector<int64_t>& attempt_keys)> on_lost;
  };

  /// Connects to the running supervisor, or starts one. `hello` gets what it knows: live attempts
  /// and exits not yet forgotten. Errors: kUnavailable with what was tried.
  static base::Result<std::unique_ptr<Client>> Connect(ClientOptions options, Callbacks callbacks,
                                                       caudal::v1::SupervisorReport::Hello* hello);
  ~Client();

  /// Starts the step described by the file `step_path`. A fault of starting comes as an exit.
  base::Status Start(int64_t attempt_key, const std::string& step_path);
  /// SIGTERM now and SIGKILL after the step's grace, or SIGKILL at once.
  base::Status Kill(int64_t attempt_key, bool now);
  /// The exit has been used; the supervisor may drop it.
  base::Status Forget(int64_t attempt_key);
  /// Asks the supervisor to end all steps and itself, and waits until it is gone.
  base::Status ShutDown();

 private:
  struct Impl;
  explicit Client(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace caudal::supervisor
