#include "cli/internal/tree.h"

#include <algorithm>
#include <set>
#include <unordered_map>

#include "cli/internal/steps.h"
#include "cli/internal/wording.h"

namespace caudal::cli {
namespace {

using v1::RunReport;

constexpr size_t kWidestName = 40;
// The last frame may scroll: it is not drawn over again. But nobody reads thousands of lines.
constexpr size_t kMostFinalRows = 200;
// Iterations of a loop that have rows, of those that failed and of those that run.
constexpr int kMostIterations = 3;

struct Row {
  const ReportTask* task = nullptr;
  size_t depth = 0;
  std::string text;  // instead of a task: what was left out
  size_t steps = 0;  // of a group: how many steps it has, all levels
  bool is_closed = false;
  std::string progress;  // of a loop: "37/100 done, 2 running, 1 failed"
};

size_t Depth(const std::string& path) {
  return static_cast<size_t>(
      std::count_if(path.begin(), path.end(), [](char c) { return c == '/' || c == '['; }));
}

std::string LastPart(const std::string& path) { return path.substr(path.rfind('/') + 1); }

bool IsDone(const Row& row) { return row.task != nullptr && IsFinal(row.task->state()); }

bool IsGoodEnd(const Row& row) { return IsDone(row) && row.task->state() != "FAILED"; }

bool WaitsOnly(const Row& row) {
  return row.task != nullptr &&
         (row.task->state() == "PENDING" || row.task->state() == "WAITING") &&
         row.task->attempts() == 0;
}

/// What the iterations of a loop do, and which of them are worth rows of their own.
struct LoopView {
  int done = 0;
  int running = 0;
  int failed = 0;
  std::vector<const ReportTask*> shown;  // the first that failed, the first that run
  int shown_running = 0;

  void Add(const ReportTask& iteration) {
    if (IsFinal(iteration.state())) ++done;
    if (iteration.state() == "FAILED" && ++failed <= kMostIterations) shown.push_back(&iteration);
    if (iteration.state() != "RUNNING") return;
    ++running;
    if (++shown_running <= kMostIterations) shown.push_back(&iteration);
  }
  bool Shows(const ReportTask* iteration) const {
    return std::find(shown.begin(), shown.end(), iteration) != shown.end();
  }
  std::string Text(int iterations) const {
    std::string text = std::to_string(done) + "/" + std::to_string(iterations) + " done";
    if (running > 0) text += ", " + std::to_string(running) + " running";
    if (failed > 0) text += ", " + std::to_string(failed) + " failed";
    return text;
  }
};

using LoopViews = std::unordered_map<std::string, LoopView>;  // by path

LoopViews LookAtLoops(const RunReport& report) {
  LoopViews views;
  for (const ReportTask& task : report.tasks()) {
    const bool is_iteration = task.kind() == "iteration" || task.path().ends_with(']');
    if (is_iteration) views[ParentPath(task.path())].Add(task);
  }
  return views;
}

// Servers give tasks in reading order, each right after what it belongs to.
std::vector<Row> MakeRows(const RunReport& report) {
  const LoopViews views = LookAtLoops(report);
  std::vector<Row> rows;
  std::vector<size_t> around;  // rows of the groups that the task at hand belongs to
  std::string left_out;        // path of an iteration without rows
  for (const ReportTask& task : report.tasks()) {
    if (task.path().empty()) continue;
    while (!around.empty() && !IsUnder(task.path(), rows[around.back()].task->path())) {
      around.pop_back();
    }
    if (!IsGroup(task)) {
      for (const size_t row : around) ++rows[row].steps;
    }
    if (!left_out.empty() && IsUnder(task.path(), left_out)) continue;
    left_out.clear();
    if (task.path().ends_with(']')) {
      const auto view = views.find(ParentPath(task.path()));
      if (view != views.end() && !view->second.Shows(&task)) {
        left_out = task.path();
        continue;
      }
    }
    if (IsGroup(task)) around.push_back(rows.size());
    rows.push_back({&task, Depth(task.path()), "", 0, false, ""});
    if (task.kind() != "loop" || task.started_at() == 0) continue;
    const auto view = views.find(task.path());
    const LoopView none;
    rows.back().progress = (view == views.end() ? none : view->second).Text(task.iterations());
  }
  return rows;
}

void CloseFinishedGroups(std::vector<Row>* rows) {
  std::vector<Row> kept;
  std::string closed;  // path of the group whose rows are left out
  for (Row& row : *rows) {
    if (!closed.empty() && IsUnder(row.task->path(), closed)) continue;
    closed.clear();
    if (IsGroup(*row.task) && IsGoodEnd(row)) {
      row.is_closed = true;
      closed = row.task->path();
    }
    kept.push_back(std::move(row));
  }
  *rows = std::move(kept);
}

// Takes rows of one kind away, from the front or the back, until `spare` fewer are left, and puts
// one row in their place.
template <typename Matches>
void SumUp(std::vector<Row>* rows, size_t spare, bool from_back, const char* glyph,
           const char* words, Matches matches) {
  std::set<size_t> gone;
  const size_t size = rows->size();
  for (size_t i = 0; i < size && gone.size() < spare + 1; ++i) {
    const size_t at = from_back ? size - 1 - i : i;
    if (matches((*rows)[at])) gone.insert(at);
  }
  if (gone.size() < 2) return;
  size_t steps = 0;
  for (const size_t at : gone) {
    const Row& row = (*rows)[at];
    const bool is_open_group = row.steps > 0 && !row.is_closed;  // its steps have rows of their own
    steps += row.is_closed ? row.steps : is_open_group ? 0 : 1;
  }
  Row summary;
  summary.text =
      std::string(glyph) + " " + CountText(static_cast<int64_t>(steps), "step") + " " + words;
  const size_t place = from_back ? *gone.rbegin() : *gone.begin();
  std::vector<Row> kept;
  for (size_t i = 0; i < size; ++i) {
    if (i == place) kept.push_back(summary);
    if (gone.count(i) == 0) kept.push_back(std::move((*rows)[i]));
  }
  *rows = std::move(kept);
}

void FitTo(size_t most, std::vector<Row>* rows) {
  if (rows->size() > most) CloseFinishedGroups(rows);
  if (rows->size() > most) {
    SumUp(rows, rows->size() - most, false, "✓", "done", IsGoodEnd);
  }
  if (rows->size() > most) SumUp(rows, rows->size() - most, true, "○", "waiting", WaitsOnly);
  if (rows->size() <= most) return;
  const size_t hidden = rows->size() - most + 1;
  rows->resize(most - 1);
  Row rest;
  rest.text = "  … " + CountText(static_cast<int64_t>(hidden), "more line");
  rows->push_back(rest);
}

std::string CachedText(const ReportTask& task) {
  if (task.cached_from_run_id().empty()) return "cached";
  return "cached from " + ShortId(task.cached_from_run_id());
}

// The record says for how long it waits; who looks on wants to know how long it still takes.
std::string ReasonText(const ReportTask& task, int64_t now_micros) {
  const size_t waits = task.reason().rfind(", waits ");
  if (task.wake_at() == 0 || waits == std::string::npos) return task.reason();
  const int64_t left = std::max<int64_t>(0, task.wake_at() - now_micros);
  return task.reason().substr(0, waits) + ", in " + RoughDurationText(left);
}

enum class StateRemark { kLeftOut, kShown };

// Duration, attempts and reason; with the word for a state that the glyph alone does not tell.
std::string Remark(const ReportTask& task, int64_t now_micros, StateRemark state_remark) {
  std::string remark;
  const auto add = [&remark](const std::string& text) {
    if (!text.empty()) remark += (remark.empty() ? "" : "  ") + text;
  };
  if (task.started_at() > 0 && task.state() != "CACHED") {
    const int64_t end = task.ended_at() > 0 ? task.ended_at() : now_micros;
    add(DurationText(std::max<int64_t>(0, end - task.started_at())));
  }
  if (task.attempts() > 1) add("attempt " + std::to_string(task.attempts()));
  if (state_remark == StateRemark::kShown) {
    if (task.state() == "CACHED") add(CachedText(task));
    if (task.state() == "SKIPPED") add("skipped");
    if (task.state() == "OMITTED") add("not run");
  }
  const bool failed = task.state() == "FAILED" && !task.error().empty();
  const bool is_told = state_remark == StateRemark::kShown && !task.cached_from_run_id().empty();
  if (!is_told) add(Printable(FirstLine(failed ? task.error() : ReasonText(task, now_micros))));
  return remark;
}

std::string RowLine(const Row& row, size_t width, const TreeExtras& extras, int64_t now_micros,
                    const Style& style) {
  const size_t columns = style.columns > 2 ? static_cast<size_t>(style.columns) - 1 : 0;
  const auto cut = [columns](const std::string& text, size_t used) {
    return columns == 0 ? text : CutTo(text, columns > used ? columns - used : 0);
  };
  if (row.task == nullptr) return Dress(cut(row.text, 0), kDim, style);
  const ReportTask& task = *row.task;
  const Look look = LookOf(task.state());
  const bool is_quiet = WaitsOnly(row) || task.state() == "OMITTED" || task.state() == "SKIPPED";
  std::string name = PadTo(std::string(2 * row.depth, ' ') + LastPart(task.path()), width) + "  ";
  std::string remark = Remark(task, now_micros, StateRemark::kShown);
  if (!row.progress.empty()) remark = row.progress + (remark.empty() ? "" : "  ") + remark;
  if (row.is_closed && row.progress.empty())
    remark += (remark.empty() ? "" : "  ") + CountText(static_cast<int64_t>(row.steps), "step");
  const auto last_line = extras.last_lines.find(task.task_id());
  std::string live;
  if (!IsFinal(task.state()) && last_line != extras.last_lines.end()) live = last_line->second;
  if (!live.empty() && !remark.empty()) live = "  " + live;
  if (remark.empty() && live.empty()) name.erase(name.find_last_not_of(' ') + 1);
  name = cut(name, 2);
  remark = cut(remark, 2 + Columns(name));
  live = cut(live, 2 + Columns(name) + Columns(remark));
  return Dress(look.glyph, look.dress, style) + " " + Dress(name, is_quiet ? kDim : "", style) +
         Dress(remark, is_quiet ? kDim : "", style) + Dress(live, kDim, style);
}

// How many steps there will be: iterations that have not begun are like those that have.
size_t AllSteps(const RunReport& report, const std::vector<Row>& rows, size_t known) {
  std::unordered_map<std::string, int> begun;
  for (const ReportTask& task : report.tasks()) {
    if (task.path().ends_with(']')) ++begun[ParentPath(task.path())];
  }
  size_t all = known;
  for (const Row& row : rows) {
    if (row.task == nullptr || row.task->kind() != "loop") continue;
    const int iterations = begun[row.task->path()];
    if (iterations == 0 || iterations >= row.task->iterations()) continue;
    const int later = row.task->iterations() - iterations;
    all += row.steps / static_cast<size_t>(iterations) * static_cast<size_t>(later);
  }
  return all;
}

std::string CountLine(const RunReport& report, const std::vector<Row>& rows,
                      const TreeExtras& extras) {
  size_t done = 0;
  size_t known = 0;
  for (const ReportTask& task : report.tasks()) {
    if (task.path().empty() || IsGroup(task)) continue;
    ++known;
    if (IsFinal(task.state())) ++done;
  }
  std::string line = std::to_string(done) + "/" + std::to_string(AllSteps(report, rows, known));
  if (extras.left_micros) {
    line += " · about " + RoughDurationText(*extras.left_micros) + " left";
  }
  return line;
}

}  // namespace

std::string HeaderLine(const RunReport& report, const std::string& place, const Style& style) {
  std::string rest;
  for (const std::string& part :
       {place, report.isolation(), report.python().empty() ? "" : "python " + report.python(),
        "run " + ShortId(report.run_id())}) {
    if (!part.empty()) rest += " · " + part;
  }
  const std::string name = ShortName(report);
  if (style.columns > 2) {
    const size_t columns = static_cast<size_t>(style.columns) - 1;
    if (Columns(name) >= columns) return Dress(CutTo(name, columns), kBold, style);
    rest = CutTo(rest, columns - Columns(name));
  }
  return Dress(name, kBold, style) + Dress(rest, kDim, style);
}

std::vector<std::string> TreeLines(const RunReport& report, const TreeExtras& extras,
                                   int64_t now_micros, const Style& style) {
  std::vector<Row> rows = MakeRows(report);
  const std::string count = report.is_final() ? "" : CountLine(report, rows, extras);
  const size_t around = 3 + (extras.note.empty() ? 0 : 1);  // header, count, the cursor's own line
  if (style.rows > 0) {
    const auto screen = static_cast<size_t>(style.rows);
    const size_t fitting = screen > around + 1 ? screen - around : 1;
    FitTo(report.is_final() ? std::max(fitting, kMostFinalRows) : fitting, &rows);
  }
  size_t width = 0;
  for (const Row& row : rows) {
    if (row.task == nullptr) continue;
    width = std::max(width, 2 * row.depth + Columns(LastPart(row.task->path())));
  }
  width = std::min(width, kWidestName);
  std::vector<std::string> lines = {HeaderLine(report, extras.place, style)};
  for (const Row& row : rows) lines.push_back(RowLine(row, width, extras, now_micros, style));
  if (!count.empty()) lines.push_back(Dress(count, kDim, style));
  if (!extras.note.empty()) {
    const auto columns = static_cast<size_t>(std::max(style.columns - 1, 1));
    lines.push_back(style.columns > 2 ? CutTo(extras.note, columns) : extras.note);
  }
  return lines;
}

std::vector<std::string> TasksWithLiveLog(const RunReport& report, size_t most) {
  std::vector<std::string> ids;
  for (const ReportTask& task : report.tasks()) {
    if (ids.size() == most) break;
    // While its environment is built, the log holds what pip says.
    const bool builds = task.state() == "PENDING" && task.reason().starts_with("building");
    if (task.attempts() == 0 || IsGroup(task)) continue;
    if (task.state() == "RUNNING" || builds) ids.push_back(task.task_id());
  }
  return ids;
}

std::string ChangeLine(const ReportTask& task, int64_t now_micros) {
  const std::string state = StateWord(task.state());
  std::string remark = IsFinal(task.state()) || task.state() == "RETRYING"
                           ? Remark(task, now_micros, StateRemark::kLeftOut)
                           : Printable(FirstLine(task.reason()));
  if (remark == state) remark.clear();
  return std::string(LookOf(task.state()).glyph) + " " + task.path() + " " + state +
         (remark.empty() ? "" : ": " + remark);
}

}  // namespace caudal::cli
