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

// Steps of longer loops are not told one by one where lines are written.
constexpr int kMostIterationsTold = 20;

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

void Progress::Show(v1::RunReport changes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<std::string> paths;
  for (const ReportTask& task : changes.tasks()) paths.push_back(task.path());
  live_.Take(std::move(changes));
  has_report_ = true;
  DropBuildLines();
  if (form_ == Form::kTree) Draw();
  if (form_ == Form::kLines) ShowChanges(paths);
}

void Progress::SetLastLine(const std::string& task_id, const std::string& line) {
  const std::lock_guard<std::mutex> lock(mutex_);
  extras_.last_lines[task_id] = line;
  const auto is_it = [&](const ReportTask& task) { return task.task_id() == task_id; };
  const auto& tasks = report().tasks();
  const auto task = std::find_if(tasks.begin(), tasks.end(), is_it);
  if (task != tasks.end() && task->state() == "PENDING") build_lines_[task_id] = line;
  DropBuildLines();
}

// What was said while the environment was built is not the step's own word.
void Progress::DropBuildLines() {
  if (build_lines_.empty()) return;
  for (const ReportTask& task : report().tasks()) {
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
  extras_.left_micros = before_ ? LeftMicros(report(), *before_, now) : std::nullopt;
  if (report().is_final()) extras_.note.clear();
  std::vector<std::string> lines = TreeLines(report(), extras_, now, style);
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

// Of a long loop only what fails is worth a line.
bool Progress::IsWorthALine(const ReportTask& task) const {
  // Waiting for others is the normal course; waiting for something being made is worth a line.
  const bool is_made_ready = task.reason().starts_with("building");
  const bool only_waits = task.state() == "PENDING" && !is_made_ready;
  if (task.path().empty() || only_waits) return false;
  if (task.state() == "FAILED" || task.state() == "RETRYING") return true;
  for (std::string path = ParentPath(task.path()); !path.empty(); path = ParentPath(path)) {
    const ReportTask* around = live_.Find(path);
    if (around != nullptr && around->iterations() > kMostIterationsTold) return false;
  }
  return true;
}

void Progress::ShowChanges(const std::vector<std::string>& paths) {
  std::string text;
  if (shown_.empty() && !report().tasks().empty()) {
    text += HeaderLine(report(), extras_.place, {}) + "\n";
    shown_[""] = "the header";
  }
  const int64_t now = NowMicros();
  for (const std::string& path : paths) {
    const ReportTask* task = live_.Find(path);
    if (task == nullptr || !IsWorthALine(*task)) continue;
    const std::string state = task->state() + "#" + std::to_string(task->attempts());
    std::string& before = shown_[path];
    if (before == state) continue;
    before = state;
    text += ChangeLine(*task, now) + "\n";
  }
  WriteAll(text);
}

}  // namespace caudal::cli
