#pragma once

/// A data directory with a real supervisor, for tests of this room.

#include <gtest/gtest.h>

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "caudal/v1/supervisor.pb.h"
#include "supervisor/client.h"

namespace caudal::supervisor {

/// Neither gone nor a zombie.
bool IsAlive(pid_t pid);

/// Everything waits for conditions, and fails the test after half a minute.
class Rig {
 public:
  explicit Rig(bool sandbox);
  ~Rig();

  const std::string& dir() const { return dir_; }
  /// Connects anew; the client before, if any, goes first.
  void Connect();
  void Disconnect() { client_.reset(); }
  Client& client() { return *client_; }
  const caudal::v1::SupervisorReport::Hello& hello() const { return hello_; }

  caudal::v1::StepSpec MakeStep(int64_t key, const std::string& script) const;
  /// Writes the step file and starts it.
  void Start(const caudal::v1::StepSpec& step);
  void Start(int64_t key, const std::string& script) { Start(MakeStep(key, script)); }

  caudal::v1::StepExit AwaitExit(int64_t key);
  void AwaitStarted(int64_t key);
  void AwaitLost(int64_t key);
  /// Until the step's log has `text`.
  void AwaitLog(int64_t key, const std::string& text) const;
  std::string Log(int64_t key) const;
  int CountStarted(int64_t key);

  /// Processes that bear the mark of one of this directory's attempts.
  std::vector<pid_t> Marked() const;
  pid_t SupervisorPid() const;

  static void Await(const std::function<bool()>& condition, const char* what);

 private:
  void AwaitHeard(const std::function<bool()>& condition, const char* what);

  bool sandbox_;
  std::string dir_;
  std::mutex mutex_;
  std::condition_variable heard_;
  std::map<int64_t, int> started_;
  std::map<int64_t, caudal::v1::StepExit> exits_;
  std::map<int64_t, int> lost_;
  caudal::v1::SupervisorReport::Hello hello_;
  std::unique_ptr<Client> client_;
};

}  // namespace caudal::supervisor
