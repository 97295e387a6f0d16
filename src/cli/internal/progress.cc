#include "cli/internal/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "cli/internal/objects.h"

namespace caudal::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Durations are shown to a tenth of a second. A tree that takes long to lay out is laid out less
// often.
constexpr milliseconds kFrame{100};
constexpr int kMostDrawingPercent = 10;

constexpr int kUsualColumns = 80;
constexpr int kUsualRows = 24;

constexpr char kHideCursor[] = "\033[?25l";
constexpr char kShowCursor[] = "\033[?25h";

winsize WindowSize(int fd) {
  winsize size{};
  if (ioctl(fd, TIOCGWINSZ, &size) != 0) size = {};
  return size;
}

void WriteAll(std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = write(STDERR_FILENO, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return;  // nobody looks any more
    text.remove_prefix(static_cast<size_t>(count));
  }
}

// A job in the background must not write over what its terminal is used for.
bool IsInBackground() {
  const pid_t foreground = tcgetpgrp(STDERR_FILENO);
  return foreground > 0 && foreground != getpgrp();
}

// What a terminal would show of a dressed line.
std::string Undressed(const std::string& line) {
  std::string plain;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] != '\033') {
      plain += line[i];
      continue;
    }
    while (i < line.size() && line[i] != 'm') ++i;
  }
  return plain;
}

// Rows that lines written at another width take now: terminals wrap them anew.
size_t RowsAt(int columns, const std::vector<std::string>& lines) {
  if (columns <= 0) return lines.size();
  size_t rows = 0;
  for (const std::string& line : lines) {
    const size_t width = std::max<size_t>(Columns(Undressed(line)), 1);
    rows += (width + static_cast<size_t>(columns) - 1) / static_cast<size_t>(columns);
  }
  return rows;
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
  const winsize size = WindowSize(fd);
  // Some terminals do not tell; what is cut or redrawn must have some size.
  style.columns = size.ws_col > 0 ? size.ws_col : kUsualColumns;
  style.rows = size.ws_row > 0 ? size.ws_row : kUsualRows;
  return style;
}

Progress::Progress(Form form, std::string place) : form_(form) {
  extras_.place = std::move(place);
  if (form_ == Form::kTree) ticker_ = std::thread([this] { Tick(); });
}

Progress::~Progress() {
  Close();
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    is_stopping_ = true;
  }
  stopping_.notify_all();
  if (ticker_.joinable()) ticker_.join();
}

void Progress::Tick() {
  std::unique_lock<std::mutex> lock(mutex_);
  auto pause = kFrame;
  while (!stopping_.wait_for(lock, pause, [this] { return is_stopping_; })) {
    const auto begin = steady_clock::now();
    Draw();
    const auto took = std::chrono::duration_cast<milliseconds>(steady_clock::now() - begin);
    pause = std::max(kFrame, took * (100 / kMostDrawingPercent));
  }
}

void Progress::Show(const v1::RunReport& report) {
  const std::lock_guard<std::mutex> lock(mutex_);
  report_ = report;
  has_report_ = true;
  DropBuildLines();
  if (form_ == Form::kTree) Draw();
  if (form_ == Form::kLines) ShowChanges();
}

void Progress::SetLastLine(const std::string& task_id, const std::string& line) {
  const std::lock_guard<std::mutex> lock(mutex_);
  extras_.last_lines[task_id] = line;
  const auto is_it = [&](const ReportTask& task) { return task.task_id() == task_id; };
  const auto task = std::find_if(report_.tasks().begin(), report_.tasks().end(), is_it);
  if (task != report_.tasks().end() && task->state() == "PENDING") build_lines_[task_id] = line;
  DropBuildLines();
}

// What was said while the environment was built is not the step's own word.
void Progress::DropBuildLines() {
  if (build_lines_.empty()) return;
  for (const ReportTask& task : report_.tasks()) {
    const auto built = build_lines_.find(task.task_id());
    if (built == build_lines_.end() || task.state() == "PENDING") continue;
    const auto shown = extras_.last_lines.find(task.task_id());
    if (shown != extras_.last_lines.end() && shown->second == built->second) {
      extras_.last_lines.erase(shown);
    }
  }
}

void Progress::SetTimeline(Timeline before) {
  const std::lock_guard<std::mutex> lock(mutex_);
  before_ = std::move(before);
}

void Progress::Say(const std::string& text) {
  const std::lock_guard<std::mutex> lock(mutex_);
  extras_.note = text;
  if (form_ == Form::kTree && has_report_ && !is_closed_) {
    Draw();
  } else {
    WriteAll("caudal: " + text + "\n");
  }
}

void Progress::Close() {
  const std::lock_guard<std::mutex> lock(mutex_);
  is_closed_ = true;
  if (is_cursor_hidden_) WriteAll(kShowCursor);
  is_cursor_hidden_ = false;
}

void Progress::Reopen() {
  const std::lock_guard<std::mutex> lock(mutex_);
  is_closed_ = false;
  on_screen_.clear();
}

void Progress::Draw() {
  if (is_closed_ || !has_report_) return;
  if (IsInBackground()) {
    on_screen_.clear();
    return;
  }
  const Style style = StyleFor(STDERR_FILENO);
  const int64_t now = NowMicros();
  extras_.left_micros = before_ ? LeftMicros(report_, *before_, now) : std::nullopt;
  if (report_.is_final()) extras_.note.clear();
  std::vector<std::string> lines = TreeLines(report_, extras_, now, style);
  if (lines == on_screen_ && style.columns == columns_on_screen_) return;
  std::string frame;
  if (!is_cursor_hidden_) frame += kHideCursor;
  is_cursor_hidden_ = true;
  if (!on_screen_.empty()) {
    const bool is_resized = style.columns != columns_on_screen_;
    size_t up = is_resized ? RowsAt(style.columns, on_screen_) : on_screen_.size();
    // What has left the screen cannot be written over.
    if (style.rows > 0) up = std::min(up, static_cast<size_t>(style.rows) - 1);
    frame += "\033[" + std::to_string(up) + "A\r";
    if (is_resized) frame += "\033[J";
  }
  // Each line erases what stood there to its right, so nothing is ever blank in between.
  for (const std::string& line : lines) frame += line + "\033[K\n";
  frame += "\033[J";  // lines there were more, and the ^C that a terminal echoes
  WriteAll(frame);
  on_screen_ = std::move(lines);
  columns_on_screen_ = style.columns;
}

void Progress::ShowChanges() {
  std::string text;
  if (shown_.empty() && !report_.tasks().empty()) {
    text += HeaderLine(report_, extras_.place, {}) + "\n";
    shown_[""] = "the header";
  }
  const int64_t now = NowMicros();
  for (const ReportTask& task : report_.tasks()) {
    // Waiting for others is the normal course; waiting for something being made is worth a line.
    const bool is_made_ready = task.reason().starts_with("building");
    const bool only_waits = task.state() == "PENDING" && !is_made_ready;
    if (task.path().empty() || only_waits) continue;
    const std::string state = task.state() + "#" + std::to_string(task.attempts());
    std::string& before = shown_[task.path()];
    if (before == state) continue;
    before = state;
    text += ChangeLine(task, now) + "\n";
  }
  WriteAll(text);
}

}  // namespace caudal::cli
