#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

#include "cli/internal/report.h"
#include "cli/internal/run_verbs.h"
#include "cli/internal/session.h"
#include "cli/internal/steps.h"
#include "cli/internal/submission.h"
#include "cli/internal/verbs.h"

namespace caudal::cli {
namespace {

constexpr int kReconnects = 20;
constexpr std::chrono::milliseconds kReconnectPause{200};

// What the words name: a run and a step of it; a step left out is "".
struct LogWords {
  v1::RunReport report;
  std::string step;
};

base::Result<v1::RunReport> ReportOf(const std::string& run, Session* session) {
  CAUDAL_ASSIGN(const v2beta1::Run found, session->finder().Run(run));
  return session->api->GetReport(found.run_id(), 0, 0);
}

// One word alone may also be a step of the last run.
base::Result<LogWords> ReadWords(const std::vector<std::string>& words, Session* session) {
  LogWords read;
  if (words.size() == 1) {
    auto report = ReportOf(words[0], session);
    if (report.status().code() == base::Code::kNotFound && words[0][0] != '@') {
      auto last = ReportOf("", session);
      if (last.ok() && FindStep(*last, words[0]).ok()) return LogWords{*last, words[0]};
    }
    if (!report.ok()) return report.status();
    return LogWords{*report, ""};
  }
  CAUDAL_ASSIGN(read.report, ReportOf(words.empty() ? "" : words[0], session));
  if (words.size() > 1) read.step = words[1];
  return read;
}

bool Print(std::string_view data) {
  const bool is_written = std::fwrite(data.data(), 1, data.size(), stdout) == data.size();
  return is_written && std::fflush(stdout) == 0;
}

base::Result<int> ReadAttempt(const Arguments& arguments, const ReportTask& step) {
  if (!arguments.Has("--attempt")) return 0;
  const auto attempt = ParseInteger(arguments.Get("--attempt"), 1, std::max(1, step.attempts()));
  if (attempt.ok()) return static_cast<int>(*attempt);
  return base::InvalidArgument("--attempt " + attempt.status().message() + "; " + step.path() +
                               " had " + std::to_string(step.attempts()));
}

// Follows as `caudal run watch` does: when the server is another one, its log goes on where this
// one broke off. A log only grows, so what was printed is passed over.
base::Status Follow(const std::string& run_id, const std::string& task_id, int attempt,
                    const Session& session) {
  std::string url = session.target.url;
  size_t printed = 0;
  for (int failures = 0;;) {
    size_t passed = 0;
    const base::Status streamed =
        Api(url).StreamTaskLog(run_id, task_id, true, attempt, [&](std::string_view data) {
          const size_t known = std::min(printed - std::min(passed, printed), data.size());
          passed += data.size();
          if (known == data.size()) return true;
          printed += data.size() - known;
          failures = 0;
          return Print(data.substr(known));
        });
    const bool is_gone = streamed.code() == base::Code::kUnavailable;
    if (!is_gone || ++failures > kReconnects) return streamed;
    std::this_thread::sleep_for(kReconnectPause);
    CAUDAL_ASSIGN(url, FindUrlAgain(session.target, {}));
  }
}

}  // namespace

int RunLogsVerb(const Arguments& arguments) {
  auto session = OpenSession(arguments);
  if (!session.ok()) return FailWith(session.status());
  const auto read = ReadWords(arguments.positionals(), &*session);
  if (!read.ok()) return FailWith(read.status());
  const std::string run_id = read->report.run_id();
  const auto step =
      read->step.empty() ? StepToRead(read->report) : FindStep(read->report, read->step);
  if (!step.ok()) return FailWith(step.status());
  const ReportTask& task = **step;
  if (task.attempts() == 0) {
    return Fail(kExitWrongInput, "step " + task.path() + " has no log, it " +
                                     (IsFinal(task.state()) ? "never ran" : "has not started") +
                                     ": see 'caudal run show " + run_id + session->target_words +
                                     "'");
  }
  const auto attempt = ReadAttempt(arguments, task);
  if (!attempt.ok()) return FailWith(attempt.status());
  std::fprintf(stderr, "%s · %s · %s\n", ShortName(read->report).c_str(), task.path().c_str(),
               StateWord(task.state()).c_str());
  for (const ReportTask* other : FailedLeaves(read->report)) {
    if (!read->step.empty() || other == &task || other->attempts() == 0) continue;
    std::fprintf(stderr, "failed, too:  caudal run logs %s %s%s\n", ShortId(run_id).c_str(),
                 ShellQuote(other->path()).c_str(), session->target_words.c_str());
  }
  const base::Status streamed =
      arguments.Has("--follow")
          ? Follow(run_id, task.task_id(), *attempt, *session)
          : session->api->StreamTaskLog(run_id, task.task_id(), false, *attempt, Print);
  return streamed.ok() ? kExitOk : FailWith(streamed);
}

}  // namespace caudal::cli
