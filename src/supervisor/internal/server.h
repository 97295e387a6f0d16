#pragma once

/// The supervisor's loop: one client, many attempts.

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "caudal/v1/supervisor.pb.h"
#include "supervisor/internal/attempt.h"
#include "supervisor/internal/event_loop.h"
#include "supervisor/supervisor.h"

namespace caudal::supervisor::internal {

/// Single-threaded. Exits are on disk before they are reported.
class Server {
 public:
  explicit Server(Options options);
  ~Server();

  /// Makes the socket and serves until it is told to end, or may.
  base::Status Run();

 private:
  void AcceptClient();
  void DropClient();
  void ReadClient();
  void FlushClient();
  void FlushAtEnd();
  void Report(const v1::SupervisorReport& report);
  void SayHello();

  void Obey(const v1::SupervisorRequest& request);
  void Start(int64_t key, const std::string& step_path);
  void StartFresh(int64_t key, const std::string& step_path);
  void ReportExit(const v1::StepExit& exit);

  void ReadSignals();
  void Reap();
  void Record(v1::StepExit exit, const std::string& exit_path);
  void EndOrphans();
  void FinishEnded();

  void EndAll();
  void SampleMemory();
  int HandleDeadlines();

  Options options_;
  std::string data_dir_id_;
  EventLoop loop_;
  base::UniqueFd signals_, listener_, client_;
  uint64_t client_source_ = 0;
  std::deque<v1::SupervisorReport> outgoing_;  // for a client that reads slower than steps end

  std::map<int64_t, std::unique_ptr<Attempt>> attempts_;
  std::vector<int64_t> ended_;  // attempts whose keeper has been reaped
  std::map<int64_t, v1::StepExit> finished_;
  SteadyTime client_left_;
  SteadyTime next_sample_;
  bool ending_ = false;
};

}  // namespace caudal::supervisor::internal
