#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <mutex>
#include <optional>
#include <thread>

#include "base/clock.h"
#include "cli/internal/api.h"
#include "cli/internal/background.h"
#include "cli/internal/interrupt.h"
#include "cli/internal/progress.h"
#include "cli/internal/report.h"
#include "cli/internal/submission.h"
#include "cli/internal/target.h"
#include "cli/internal/verbs.h"

namespace caudal::cli {
namespace {

using std::chrono::milliseconds;
using v1::RunReport;

constexpr int64_t kStopMillis = 30'000;
constexpr int kTailLines = 10;
// A server that restarts is back in about a second; one that hangs is not worth more than this.
constexpr int kReconnects = 20;

int64_t NowMicros() { return base::ToMicros(base::SystemClock().Now()); }

int ExitCodeOf(const base::Status& status) {
  switch (status.code()) {
    case base::Code::kInvalidArgument:
    case base::Code::kFailedPrecondition:
    case base::Code::kNotFound:
    case base::Code::kAlreadyExists:
    case base::Code::kOutOfRange:
      return kExitWrongInput;
    default:
      return kExitUnreachable;
  }
}

int Fail(const base::Status& status) { return cli::Fail(ExitCodeOf(status), status.message()); }

TargetOptions MakeTargetOptions(const Arguments& arguments) {
  TargetOptions options;
  options.server = arguments.Get("--server");
  options.data_dir = arguments.Get("--data-dir");
  options.foreground = arguments.Has("--foreground");
  for (const char* flag : {"--isolation", "--kfp-package", "--mount"}) {
    for (const std::string& value : arguments.All(flag)) {
      options.server_flags.emplace_back(flag, value);
    }
  }
  return options;
}

base::Status CheckTogether(const Arguments& arguments) {
  const std::string isolation = arguments.Get("--isolation", "sandbox");
  if (isolation != "sandbox" && isolation != "process") {
    return base::InvalidArgument("isolation \"" + isolation +
                                 "\" does not exist: choose sandbox or process");
  }
  if (!arguments.Has("--server")) return base::OkStatus();
  for (const char* flag :
       {"--data-dir", "--foreground", "--isolation", "--kfp-package", "--mount"}) {
    if (arguments.Has(flag)) {
      return base::InvalidArgument(
          std::string(flag) + " is for a server on this machine: it does not go with --server");
    }
  }
  return base::OkStatus();
}

std::string TailOf(const std::string& log) {
  size_t end = log.size();
  while (end > 0 && (log[end - 1] == '\n' || log[end - 1] == '\r')) --end;
  size_t begin = end;
  for (int line = 0; line < kTailLines && begin > 0; ++line) {
    const size_t found = begin >= 2 ? log.rfind('\n', begin - 2) : std::string::npos;
    begin = found == std::string::npos ? 0 : found + 1;
  }
  return log.substr(begin, end - begin);
}

/// One `caudal run`, from a target to the exit code.
class RunSession {
 public:
  RunSession(const Arguments& arguments, TargetOptions options, Target target)
      : arguments_(arguments),
        options_(std::move(options)),
        target_(std::move(target)),
        api_(std::in_place, target_.url) {}

  ~RunSession() {
    if (target_.ours == 0) return;
    const base::Status stopped = StopProcess(target_.ours, kStopMillis);
    if (!stopped.ok()) cli::Fail(kExitUnreachable, stopped.message());
  }

  int Run(v2beta1::Run run) {
    if (arguments_.Has("--experiment")) {
      auto id = api_->ResolveExperiment(arguments_.Get("--experiment"));
      if (!id.ok()) return Fail(id.status());
      run.set_experiment_id(*id);
    }
    InterruptWatch interrupts([this](int count) { OnInterrupt(count); });
    auto created = api_->CreateRun(run);
    if (!created.ok()) return Fail(created.status());
    SetRunId(created->run_id());
    if (arguments_.Has("--detach")) return Detach();
    std::fprintf(stderr, "%s · %s · run %s\n", created->display_name().c_str(), target_.url.c_str(),
                 run_id_.c_str());
    auto report = Watch();
    if (!report.ok()) return Fail(report.status());
    Print(*report);
    if (target_.ours != 0) WaitForOthers();
    if (interrupts.count() > 0 && report->cancelled()) return kExitInterrupted;
    return report->state() == v2beta1::SUCCEEDED ? kExitOk : kExitRunFailed;
  }

 private:
  void SetRunId(const std::string& run_id) {
    const std::lock_guard<std::mutex> lock(mutex_);
    run_id_ = run_id;
  }

  // On the thread of the interrupts. The first cancels, the second also what was given time to end.
  void OnInterrupt(int count) {
    std::string url;
    std::string run_id;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      url = target_.url;
      run_id = run_id_;
    }
    if (run_id.empty()) _exit(kExitInterrupted);
    std::fprintf(stderr, count == 1 ? "caudal: canceling the run; again to end its steps at once\n"
                                    : "caudal: ending its steps at once\n");
    const base::Status canceled = Api(url).CancelRun(run_id, count > 1);
    if (!canceled.ok()) cli::Fail(kExitInterrupted, "cancel: " + canceled.message());
  }

  int Detach() {
    if (arguments_.Has("--json")) {
      auto report = api_->GetReport(run_id_, 0, 0);
      if (!report.ok()) return Fail(report.status());
      std::printf("%s\n", ReportToJson(*report).c_str());
    } else {
      std::printf("%s\n", run_id_.c_str());
      std::fprintf(stderr, "follow it:  curl -s '%s/apis/caudal/v1/runs/%s'\n", target_.url.c_str(),
                   run_id_.c_str());
    }
    return kExitOk;
  }

  base::Result<RunReport> Watch() {
    const bool is_terminal = IsTerminal(STDERR_FILENO);
    const Progress::Form without_terminal =
        arguments_.Has("--json") ? Progress::Form::kNone : Progress::Form::kLines;
    Progress progress(is_terminal ? Progress::Form::kTree : without_terminal,
                      StyleFor(STDERR_FILENO));
    // On a terminal durations move on once a second. A server that stops waits for its callers, so
    // nobody asks for long.
    const int wait_millis = is_terminal ? 1'000 : 3'000;
    int64_t sequence = 0;
    int reconnects = 0;
    while (true) {
      auto report = api_->GetReport(run_id_, wait_millis, sequence);
      if (report.ok()) {
        reconnects = 0;
        sequence = report->sequence();
        progress.Show(*report, NowMicros());
        if (report->is_final()) return report;
      } else if (report.status().code() == base::Code::kUnavailable && reconnects++ < kReconnects) {
        CAUDAL_TRY(Reconnect());
      } else {
        return report;
      }
    }
  }

  // The server may have been restarted, on another port; the run goes on there.
  base::Status Reconnect() {
    if (target_.ours != 0) {
      return base::Unavailable("the server of this run ended, see " + target_.data_dir +
                               "/server.log; caudal run --data-dir " + target_.data_dir +
                               " … starts another, which takes the run up");
    }
    std::this_thread::sleep_for(milliseconds(200));
    auto again = FindTargetAgain(target_, options_);
    if (!again.ok()) {
      // An address is asked until the attempts are used up; a data directory says for certain.
      return target_.data_dir.empty() ? base::OkStatus() : again.status();
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    target_.url = again->url;
    api_.emplace(target_.url);
    return base::OkStatus();
  }

  void Print(const RunReport& report) {
    const bool succeeded = report.state() == v2beta1::SUCCEEDED;
    if (arguments_.Has("--json")) std::printf("%s\n", ReportToJson(report).c_str());
    FILE* to = arguments_.Has("--json") || !succeeded ? stderr : stdout;
    const Style style = StyleFor(fileno(to));
    if (succeeded) {
      if (arguments_.Has("--json")) return;
      std::fprintf(to, "%s\n%s", HeadLine(report, style).c_str(), ResultText(report).c_str());
    } else {
      FailureHints hints = MakeHints(report);
      std::fprintf(to, "%s\n%s", HeadLine(report, style).c_str(),
                   FailureText(report, hints, style).c_str());
    }
    std::fflush(stdout);
  }

  FailureHints MakeHints(const RunReport& report) {
    FailureHints hints;
    hints.again = AgainCommand(arguments_);
    for (const RunReport::ReportTask* task : FailedLeaves(report)) {
      if (task->attempts() == 0) continue;
      auto log = api_->GetTaskLog(run_id_, task->task_id());
      // A server that ends with us takes the address with it.
      hints.logs.push_back({task->task_id(), log.ok() ? TailOf(*log) : "",
                            target_.ours != 0 ? "" : api_->LogUrl(run_id_, task->task_id())});
    }
    return hints;
  }

  // Others may have found our server by its lock file and trusted it with runs.
  void WaitForOthers() {
    while (true) {
      const auto runs = api_->ListNewestRuns(200);
      if (!runs.ok()) return;
      bool any_open = false;
      for (const v2beta1::Run& run : runs->runs()) {
        any_open = any_open || run.state() == v2beta1::PENDING || run.state() == v2beta1::RUNNING ||
                   run.state() == v2beta1::CANCELING ||
                   run.state() == v2beta1::RUNTIME_STATE_UNSPECIFIED;
      }
      if (!any_open) return;
      std::this_thread::sleep_for(milliseconds(100));
    }
  }

  const Arguments& arguments_;
  const TargetOptions options_;
  std::mutex mutex_;  // guards target_.url and run_id_ against the interrupts' thread
  Target target_;
  std::optional<Api> api_;
  std::string run_id_;
};

}  // namespace

int RunVerb(const Arguments& arguments) {
  const base::Status together = CheckTogether(arguments);
  if (!together.ok()) return Fail(together);
  auto submission = MakeSubmission(arguments);
  if (!submission.ok()) return Fail(submission.status());
  TargetOptions options = MakeTargetOptions(arguments);
  auto target = FindTarget(options);
  if (!target.ok()) return Fail(target.status());
  RunSession session(arguments, std::move(options), std::move(target).value());
  return session.Run(std::move(submission).value());
}

}  // namespace caudal::cli
