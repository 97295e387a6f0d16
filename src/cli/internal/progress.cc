#include "cli/internal/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace caudal::cli {
namespace {

winsize WindowSize(int fd) {
  winsize size{};
  if (ioctl(fd, TIOCGWINSZ, &size) != 0) size = {};
  return size;
}

}  // namespace

bool IsTerminal(int fd) {
  const char* term = std::getenv("TERM");
  return isatty(fd) == 1 && term != nullptr && std::string_view(term) != "dumb";
}

Style StyleFor(int fd) {
  Style style;
  if (!IsTerminal(fd)) return style;
  const char* no_color = std::getenv("NO_COLOR");
  style.color = no_color == nullptr || *no_color == '\0';
  style.columns = WindowSize(fd).ws_col;
  return style;
}

void Progress::Show(const v1::RunReport& report, int64_t now_micros) {
  if (form_ == Form::kTree) ShowTree(report, now_micros);
  if (form_ == Form::kLines) ShowChanges(report, now_micros);
}

void Progress::ShowTree(const v1::RunReport& report, int64_t now_micros) {
  std::vector<std::string> lines = TreeLines(report, now_micros, style_);
  const size_t rows = WindowSize(STDERR_FILENO).ws_row;
  // What has scrolled away cannot be redrawn: a long tree shows its end while it runs.
  if (!report.is_final() && rows > 2 && lines.size() > rows - 1) {
    lines.erase(lines.begin(), lines.end() - static_cast<ptrdiff_t>(rows - 1));
  }
  std::string text;
  if (lines_on_screen_ > 0) text += "\033[" + std::to_string(lines_on_screen_) + "A\r\033[J";
  for (const std::string& line : lines) text += line + "\n";
  std::fputs(text.c_str(), stderr);
  lines_on_screen_ = lines.size();
}

void Progress::ShowChanges(const v1::RunReport& report, int64_t now_micros) {
  for (const v1::RunReport::ReportTask& task : report.tasks()) {
    // Waiting for others is the normal course; waiting for something being made is worth a line.
    const bool only_waits = task.state() == "PENDING" && task.reason().rfind("waiting", 0) == 0;
    if (task.path().empty() || only_waits) continue;
    const std::string state = task.state() + "#" + std::to_string(task.attempts());
    std::string& before = shown_[task.path()];
    if (before == state) continue;
    before = state;
    std::fprintf(stderr, "%s\n", ChangeLine(task, now_micros).c_str());
  }
}

}  // namespace caudal::cli
