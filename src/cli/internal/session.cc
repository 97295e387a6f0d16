#include "cli/internal/session.h"

#include <cstdio>

namespace caudal::cli {

base::Result<Session> OpenSession(const Arguments& arguments) {
  Session session;
  CAUDAL_ASSIGN(session.form, ReadOutputForm(arguments));
  CAUDAL_ASSIGN(session.target, OpenTarget(arguments));
  session.api = std::make_unique<Api>(session.target.url);
  session.target_words = TargetWords(arguments);
  return session;
}

base::Result<size_t> ReadLimit(const Arguments& arguments) {
  constexpr int64_t kDefault = 20;
  if (arguments.Has("--all")) {
    if (!arguments.Has("--limit")) return size_t{0};
    return base::InvalidArgument("--all and --limit do not go together");
  }
  if (!arguments.Has("--limit")) return size_t{kDefault};
  const auto limit = ParseInteger(arguments.Get("--limit"), 1, 1'000'000);
  if (!limit.ok()) return base::InvalidArgument("--limit " + limit.status().message());
  return static_cast<size_t>(*limit);
}

void PrintDone(OutputForm form, const std::string& lines, const boost::json::value& data) {
  if (form != OutputForm::kTable) return PrintData(form, data);
  std::fputs(lines.c_str(), stdout);
}

}  // namespace caudal::cli
