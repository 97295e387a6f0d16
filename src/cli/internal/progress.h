#pragma once

/// Shows a run on standard error while it goes on.

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "caudal/v1/run_service.pb.h"
#include "cli/internal/report.h"

namespace caudal::cli {

/// How standard error (or another descriptor) wants to be written to.
bool IsTerminal(int fd);
Style StyleFor(int fd);

/// A tree redrawn in place on a terminal, else one line per change, or nothing at all.
class Progress {
 public:
  enum class Form { kTree, kLines, kNone };

  Progress(Form form, Style style) : form_(form), style_(style) {}

  void Show(const v1::RunReport& report, int64_t now_micros);

 private:
  void ShowTree(const v1::RunReport& report, int64_t now_micros);
  void ShowChanges(const v1::RunReport& report, int64_t now_micros);

  const Form form_;
  const Style style_;
  size_t lines_on_screen_ = 0;
  std::map<std::string, std::string> shown_;  // task path → state and attempts
};

}  // namespace caudal::cli
