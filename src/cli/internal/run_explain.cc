#include <unistd.h>

#include <boost/json.hpp>
#include <cstdio>

#include "cli/internal/progress.h"
#include "cli/internal/report.h"
#include "cli/internal/run_verbs.h"
#include "cli/internal/session.h"
#include "cli/internal/steps.h"
#include "cli/internal/verbs.h"
#include "cli/internal/wording.h"

namespace caudal::cli {
namespace {

using TaskExplanation = v1::RunExplanation::TaskExplanation;

base::Result<v1::RunExplanation> Explain(const std::string& run, const std::string& task,
                                         Session* session) {
  CAUDAL_ASSIGN(const v2beta1::Run found, session->finder().Run(run));
  return session->api->ExplainRun(found.run_id(), task);
}

// One word alone may also be a task of the last run.
base::Result<v1::RunExplanation> ReadWords(const std::vector<std::string>& words,
                                           Session* session) {
  if (words.size() != 1) {
    return words.empty() ? Explain("", "", session) : Explain(words[0], words[1], session);
  }
  auto explained = Explain(words[0], "", session);
  const bool is_no_run = explained.status().code() == base::Code::kNotFound;
  if (!is_no_run || words[0][0] == '@') return explained;
  auto last = Explain("", words[0], session);
  return last.ok() ? last : explained;
}

std::string Why(const TaskExplanation& task) {
  // Of a hit the reason says the same.
  const bool is_hit = !task.cached_from_run_id().empty();
  const std::string reason = is_hit ? "" : Printable(FirstLine(task.reason()));
  const std::string cache = task.cache().empty() ? "" : "cache " + Printable(task.cache());
  return reason + (reason.empty() || cache.empty() ? "" : "; ") + cache;
}

void PrintTask(const TaskExplanation& task, const Style& style) {
  const auto line = [](const char* name, const std::string& text) {
    if (!text.empty()) std::printf("  %-11s  %s\n", name, Printable(text).c_str());
  };
  const Look look = LookOf(task.state());
  std::printf("%s %s %s\n", Dress(look.glyph, look.dress, style).c_str(),
              Dress(task.path(), kBold, style).c_str(), StateWord(task.state()).c_str());
  line("why", FirstLine(task.reason()));
  line("cache", task.cache());
  line("fingerprint", task.fingerprint());
  line("realm", task.realm());
  size_t width = 0;
  for (const auto& part : task.parts()) width = std::max(width, Columns(Printable(part.name())));
  if (!task.parts().empty()) std::printf("  key\n");
  for (const auto& part : task.parts()) {
    std::printf("    %s  %s\n", PadTo(Printable(part.name()), width).c_str(),
                Printable(part.shown()).c_str());
  }
}

}  // namespace

int RunExplainVerb(const Arguments& arguments) {
  auto session = OpenSession(arguments);
  if (!session.ok()) return FailWith(session.status());
  const auto explained = ReadWords(arguments.positionals(), &*session);
  if (!explained.ok()) return FailWith(explained.status());
  if (session->form != OutputForm::kTable) {
    PrintData(session->form, ToJsonValue(*explained));
    return kExitOk;
  }
  if (explained->tasks_size() == 1) {
    PrintTask(explained->tasks(0), StyleFor(STDOUT_FILENO));
    return kExitOk;
  }
  Table table({{"task", false, 12}, {"state"}, {"why", false, 20}});
  for (const TaskExplanation& task : explained->tasks()) {
    table.Add({task.path(), {StateWord(task.state()), LookOf(task.state()).dress}, Why(task)});
  }
  PrintOutput(session->form, table, {});
  return kExitOk;
}

}  // namespace caudal::cli
