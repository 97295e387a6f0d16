#pragma once

/// Fetches what a live tree shows beside the report, so that a slow answer delays no frame.

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "caudal/v1/run_service.pb.h"
#include "cli/internal/api.h"
#include "cli/internal/progress.h"

namespace caudal::cli {

/// Asks for the end of the log of one running step at a time, four times a second at most, and once
/// for the last successful run of the same pipeline, when this one has gone on for a while. What
/// cannot be had is left out: nothing here is ever an error.
class ExtrasFetcher {
 public:
  /// `progress` outlives it.
  ExtrasFetcher(std::string run_id, Progress* progress);
  ~ExtrasFetcher();
  ExtrasFetcher(const ExtrasFetcher&) = delete;
  ExtrasFetcher& operator=(const ExtrasFetcher&) = delete;

  /// What the newest report says, and where the server is.
  void Update(const v1::RunReport& report, const std::string& url);

 private:
  void Run();
  void FetchLastLine(Api& api, const std::vector<std::string>& tasks, size_t round);

  const std::string run_id_;
  Progress* const progress_;
  std::mutex mutex_;                // guards all that follows
  std::vector<std::string> tasks_;  // ids of those whose logs are wanted
  bool is_final_ = false;
  std::string url_;
  bool is_stopping_ = false;
  std::condition_variable stopping_;
  std::thread thread_;
};

/// When the steps of the last successful run of the same pipeline began and ended; empty when there
/// is none among the newest.
Timeline FindTimeline(Api& api, const std::string& run_id);

}  // namespace caudal::cli
