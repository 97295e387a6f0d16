#include <chrono>
#include <cstdio>
#include <thread>

#include "cli/internal/api.h"
#include "cli/internal/background.h"
#include "cli/internal/report.h"
#include "cli/internal/submission.h"
#include "cli/internal/target.h"
#include "cli/internal/verbs.h"
#include "cli/internal/watch.h"

namespace caudal::cli {
namespace {

constexpr int64_t kStopMillis = 30'000;
constexpr std::chrono::milliseconds kOthersPause{100};

TargetOptions MakeTargetOptions(const Arguments& arguments) {
  TargetOptions options;
  options.server = arguments.Get("--server");
  options.data_dir = arguments.Get("--data-dir");
  options.foreground = arguments.Has("--foreground");
  for (const std::string& value : arguments.All("--mount")) {
    options.server_flags.emplace_back("--mount", value);
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
  for (const char* flag : {"--data-dir", "--foreground", "--mount"}) {
    if (arguments.Has(flag)) {
      return base::InvalidArgument(
          std::string(flag) + " is for a server on this machine: it does not go with --server");
    }
  }
  return base::OkStatus();
}

void SayLeftOut(const Submission& submission) {
  for (const LocalCode& code : submission.code) {
    for (const std::string& name : code.left_out) {
      std::fprintf(stderr, "caudal: --with %s leaves out %s: no file, and no link to one inside\n",
                   code.snapshot.path().c_str(), name.c_str());
    }
  }
}

/// One `caudal run`, from a target to the exit code.
class RunSession {
 public:
  RunSession(const Arguments& arguments, TargetOptions options, Target target)
      : arguments_(arguments), options_(std::move(options)), target_(std::move(target)) {}

  ~RunSession() {
    if (target_.ours == 0) return;
    const base::Status stopped = StopProcess(target_.ours, kStopMillis);
    if (!stopped.ok()) Fail(kExitUnreachable, stopped.message());
  }

  int Run(Submission submission) {
    // First, so that a Ctrl-C finds either no run or one to cancel.
    RunWatch watch(target_.url, MakeWatchOptions());
    Api api(target_.url);
    auto run = Submit(std::move(submission), api);
    if (!run.ok()) return FailWith(run.status());
    if (arguments_.Has("--detach")) return Detach(*run, api);
    const int code = watch.Follow(run->run_id());
    if (target_.ours != 0) WaitForOthers(api);
    return code;
  }

 private:
  WatchOptions MakeWatchOptions() {
    WatchOptions options;
    options.place = PlaceOf(target_);
    options.target_words = TargetWords(arguments_);
    options.again = AgainCommand(arguments_);
    options.json = arguments_.Has("--json");
    options.on_interrupt = OnInterrupt::kCancel;
    options.find_again = [this] { return FindAgain(); };
    return options;
  }

  base::Result<v2beta1::Run> Submit(Submission submission, Api& api) {
    if (arguments_.Has("--experiment")) {
      CAUDAL_ASSIGN(std::string id, api.ResolveExperiment(arguments_.Get("--experiment")));
      submission.request.mutable_run()->set_experiment_id(std::move(id));
    }
    for (const LocalCode& code : submission.code) {
      CAUDAL_TRY(api.AddCode(code.snapshot.sha256(), code.tar));
    }
    return api.SubmitRun(submission.request);
  }

  int Detach(const v2beta1::Run& run, Api& api) {
    if (arguments_.Has("--json")) {
      auto report = api.GetReport(run.run_id(), 0, 0);
      if (!report.ok()) return FailWith(report.status());
      std::printf("%s\n", ReportToJson(*report).c_str());
    } else {
      std::printf("%s\n", run.run_id().c_str());
    }
    std::fprintf(stderr, "Follow it:  caudal run watch %s%s\n",
                 ShellQuote(ShortId(run.run_id())).c_str(), TargetWords(arguments_).c_str());
    return kExitOk;
  }

  base::Result<std::string> FindAgain() {
    if (target_.ours != 0) {
      return base::Unavailable("the server of this run ended, see " + target_.data_dir +
                               "/server.log; caudal run --data-dir " + target_.data_dir +
                               " … starts another, which takes the run up");
    }
    return FindUrlAgain(target_, options_);
  }

  // Others may have found our server by its lock file and trusted it with runs.
  static void WaitForOthers(Api& api) {
    while (true) {
      const auto runs = api.ListNewestRuns(200);
      if (!runs.ok()) return;
      bool any_open = false;
      for (const v2beta1::Run& run : runs->runs()) {
        any_open = any_open || run.state() == v2beta1::PENDING || run.state() == v2beta1::RUNNING ||
                   run.state() == v2beta1::CANCELING ||
                   run.state() == v2beta1::RUNTIME_STATE_UNSPECIFIED;
      }
      if (!any_open) return;
      std::this_thread::sleep_for(kOthersPause);
    }
  }

  const Arguments& arguments_;
  const TargetOptions options_;
  const Target target_;
};

}  // namespace

int RunVerb(const Arguments& arguments) {
  const base::Status together = CheckTogether(arguments);
  if (!together.ok()) return FailWith(together);
  auto submission = MakeSubmission(arguments);
  if (!submission.ok()) return FailWith(submission.status());
  SayLeftOut(*submission);
  TargetOptions options = MakeTargetOptions(arguments);
  auto target = FindTarget(options);
  if (!target.ok()) return FailWith(target.status());
  RunSession session(arguments, std::move(options), std::move(target).value());
  return session.Run(std::move(submission).value());
}

}  // namespace caudal::cli
