#include "cli/internal/watch.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "base/file.h"
#include "cli/internal/ending.h"
#include "cli/internal/extras.h"
#include "cli/internal/interrupt.h"
#include "cli/internal/progress.h"
#include "cli/internal/submission.h"
#include "cli/internal/verbs.h"

namespace caudal::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using v1::RunReport;

// A server that stops waits for its callers, so nobody asks for long.
constexpr int kWaitMillis = 2'000;
// A server that restarts is back in about a second; one that hangs is not worth more than this.
constexpr int kReconnects = 20;
constexpr milliseconds kReconnectPause{200};
// Of the time, taking reports in may use so much: one part in four.
constexpr milliseconds kWorthPausing{20};
constexpr int kPauseFactor = 4;
constexpr int kLogLines = 10;
constexpr int64_t kLogBytes = 16 << 10;
constexpr int kLogSeconds = 10;
constexpr int64_t kLargestSource = 4 << 20;

Progress::Form FormFor(bool json) {
  if (IsTerminal(STDERR_FILENO)) return Progress::Form::kTree;
  return json ? Progress::Form::kNone : Progress::Form::kLines;
}

// The line that a place such as "digits.py:42" names, without its indentation; empty when there is
// no such file here.
std::string SourceLine(const std::string& place) {
  const size_t colon = place.rfind(':');
  if (colon == std::string::npos || colon + 1 == place.size()) return "";
  if (place.find_first_not_of("0123456789", colon + 1) != std::string::npos) return "";
  const auto text = base::ReadFile(place.substr(0, colon), kLargestSource);
  if (!text.ok()) return "";
  size_t begin = 0;
  for (int line = std::atoi(place.c_str() + colon + 1); line > 1; --line) {
    begin = text->find('\n', begin);
    if (begin == std::string::npos) return "";
    ++begin;
  }
  const std::string line = LastShownLine(text->substr(begin, text->find('\n', begin) - begin));
  const size_t code = line.find_first_not_of(' ');
  return code == std::string::npos ? "" : line.substr(code);
}

/// What is on the screen, for whoever has something to say. Shared, because a call that cancels may
/// still be under way when the rest has gone.
class Screen {
 public:
  void Set(Progress* progress) {
    const std::lock_guard<std::mutex> lock(mutex_);
    progress_ = progress;
  }
  void Say(const std::string& text) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (progress_ != nullptr) progress_->Say(text);
  }
  void Close() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (progress_ != nullptr) progress_->Close();
  }
  void Reopen() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (progress_ != nullptr) progress_->Reopen();
  }

 private:
  std::mutex mutex_;
  Progress* progress_ = nullptr;
};

// On a thread of its own: a server that does not answer must not keep the next Ctrl-C waiting.
void StartCancel(const std::string& url, const std::string& run_id, bool now,
                 std::shared_ptr<Screen> screen) {
  std::thread([=] {
    const base::Status canceled = Api(url).CancelRun(run_id, now);
    // Any other answer means that the run's end has come first.
    if (canceled.code() == base::Code::kUnavailable) screen->Say("cancel: " + canceled.message());
  }).detach();
}

}  // namespace

class RunWatch::Impl {
 public:
  Impl(std::string url, WatchOptions options)
      : options_(std::move(options)),
        url_(std::move(url)),
        interrupts_({[this](int count) { OnInterrupt(count); }, [this] { screen_->Close(); },
                     [this] { screen_->Reopen(); }}) {}

  int Follow(const std::string& run_id) {
    Progress progress(FormFor(options_.json), options_.place);
    screen_->Set(&progress);
    Begin(run_id);
    auto report = WaitForEnd(&progress);
    progress.Close();
    screen_->Set(nullptr);
    if (!report.ok()) return FailWith(report.status());
    Print(*report, progress.form());
    if (interrupts_.count() > 0 && report->cancelled()) return kExitInterrupted;
    return report->state() == v2beta1::SUCCEEDED ? kExitOk : kExitRunFailed;
  }

 private:
  void Begin(const std::string& run_id) {
    const std::lock_guard<std::mutex> lock(mutex_);
    run_id_ = run_id;
  }

  // --- On the thread of the signals.

  void OnInterrupt(int count) {
    std::string url;
    std::string run_id;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      url = url_;
      run_id = run_id_;
    }
    if (run_id.empty()) _exit(kExitInterrupted);
    const std::string watch =
        "caudal run watch " + ShellQuote(ShortId(run_id)) + options_.target_words;
    if (options_.on_interrupt == OnInterrupt::kLeave) {
      LeaveWith("the run goes on; come back with  " + watch);
    }
    if (count >= InterruptWatch::kLast) {
      LeaveWith("leaving before the run has ended; look again with  " + watch);
    }
    screen_->Say(count == 1 ? "canceling: steps are asked to end; Ctrl-C again ends them at once"
                            : "ending the steps at once; Ctrl-C again leaves without waiting");
    StartCancel(url, run_id, count > 1, screen_);
  }

  [[noreturn]] void LeaveWith(const std::string& text) {
    screen_->Close();
    // The terminal has written ^C where the cursor stood.
    const char* line_start = IsTerminal(STDERR_FILENO) ? "\r\033[K" : "";
    std::fprintf(stderr, "%scaudal: %s\n", line_start, text.c_str());
    _exit(kExitInterrupted);
  }

  // --- On the thread that follows.

  base::Result<RunReport> WaitForEnd(Progress* progress) {
    std::optional<Api> api;
    api.emplace(url_);
    ExtrasFetcher extras(run_id_, progress);
    int64_t sequence = 0;
    int reconnects = 0;
    while (true) {
      const auto begin = steady_clock::now();
      auto report = sequence == 0 ? api->GetReport(run_id_, kWaitMillis, sequence)
                                  : api->GetChanges(run_id_, kWaitMillis, sequence);
      if (report.ok()) {
        reconnects = 0;
        // Of a long run much changes all the time; what is asked less often comes together.
        const auto answered = steady_clock::now();
        sequence = report->sequence();
        progress->Show(std::move(report).value());
        extras.Update(progress->report(), api->url());
        if (progress->report().is_final()) return progress->report();
        const auto worked = steady_clock::now() - answered;
        if (worked > kWorthPausing) std::this_thread::sleep_until(begin + worked * kPauseFactor);
      } else if (report.status().code() == base::Code::kUnavailable && reconnects++ < kReconnects) {
        CAUDAL_TRY(Reconnect());
        api.emplace(url_);
      } else {
        return report;
      }
    }
  }

  // The server may have been restarted, on another port; the run goes on there.
  base::Status Reconnect() {
    std::this_thread::sleep_for(kReconnectPause);
    if (!options_.find_again) return base::OkStatus();
    CAUDAL_ASSIGN(std::string url, options_.find_again());
    const std::lock_guard<std::mutex> lock(mutex_);
    url_ = std::move(url);
    return base::OkStatus();
  }

  void Print(const RunReport& report, Progress::Form form) {
    const bool succeeded = report.state() == v2beta1::SUCCEEDED;
    if (options_.json) {
      std::printf("%s\n", ReportToJson(report).c_str());
      std::fflush(stdout);
      if (succeeded) return;
    }
    FILE* to = options_.json || !succeeded ? stderr : stdout;
    const Style style = StyleFor(fileno(to));
    std::string text = form == Progress::Form::kTree ? "\n" : "";
    if (succeeded) {
      text += HeadLine(report, style) + "\n" + ResultText(report, style);
    } else {
      if (report.cancelled() || FailedLeaves(report).empty())
        text += HeadLine(report, style) + "\n";
      text += FailureText(report, Details(report), style);
    }
    std::fputs(text.c_str(), to);
    std::fflush(to);
    const auto commands = CommandsAfter(report, options_.again, options_.target_words);
    const std::string next = NextText(commands, StyleFor(STDERR_FILENO));
    std::fprintf(stderr, "%s%s", next.empty() ? "" : "\n", next.c_str());
  }

  std::vector<FailureDetail> Details(const RunReport& report) {
    Api api(url_);
    std::vector<FailureDetail> details;
    for (const ReportTask* task : FailedLeaves(report)) {
      if (details.size() == kMostFailuresShown) break;
      FailureDetail detail;
      detail.task_id = task->task_id();
      // The file of a run that somebody else started may have changed since.
      const bool ours = options_.on_interrupt == OnInterrupt::kCancel;
      if (ours && !task->place().empty()) detail.source_line = SourceLine(task->place());
      if (task->exception().empty() && task->attempts() > 0) {
        const auto end = api.GetLogEnd(report.run_id(), task->task_id(), kLogBytes, kLogSeconds);
        if (end.ok()) detail.log_end = LastShownLines(*end, kLogLines);
      }
      details.push_back(std::move(detail));
    }
    return details;
  }

  const WatchOptions options_;
  const std::shared_ptr<Screen> screen_ = std::make_shared<Screen>();
  std::mutex mutex_;  // guards all that follows against the thread of the signals
  std::string url_;
  std::string run_id_;
  InterruptWatch interrupts_;  // last: its thread uses the rest
};

RunWatch::RunWatch(std::string url, WatchOptions options)
    : impl_(std::make_unique<Impl>(std::move(url), std::move(options))) {}
RunWatch::~RunWatch() = default;

int RunWatch::Follow(const std::string& run_id) { return impl_->Follow(run_id); }

int WatchRun(const Api& api, const std::string& run_id, const WatchOptions& options) {
  return RunWatch(api.url(), options).Follow(run_id);
}

}  // namespace caudal::cli
