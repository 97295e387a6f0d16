#include "spec/internal/macros.h"

#include <gtest/gtest.h>

namespace caudal::spec::internal {
namespace {

using namespace std::chrono_literals;

// Saturday, 31 January 2026, 15:04:05.123456 UTC.
const base::Time kNow = base::Time(base::Duration(1'769'871'845'123'456));

MacroSource Source() {
  MacroSource source;
  source.run_id = "run-1";
  source.now = kNow;
  return source;
}

std::string Expand(const std::string& text) { return ExpandMacros(text, Source()); }

std::string Strftime(std::string_view format) {
  std::string text;
  return FormatStrftime(kNow, format, &text) ? text : "stays";
}

TEST(ExpandMacros, ReplacesEachOnceFromLeftToRight) {
  EXPECT_EQ(Expand("a [[RunUUID]] b [[CurrentTime]]"), "a run-1 b 20260131150405");
  EXPECT_EQ(Expand("[[CurrentTime.2006-01-02]]"), "2026-01-31");
  EXPECT_EQ(Expand("{{$.currentTime.strftime('%Y')}}-[[RunUUID]]"), "2026-run-1");
}

TEST(ExpandMacros, LeavesTheRestAsItIs) {
  for (const char* text :
       {"[[Index]]", "[[ScheduledTime]]", "[[ScheduledTime.2006]]", "[[runUUID]]", "[[[RunUUID]]",
        "[[RunUUID", "[[Run\nUUID]]", "{{$.scheduledTime.strftime('%Y')}}",
        "{{$.currentTime.strftime('%Q')}}", "{{$.currentTime.strftime('%')}}", "{{$.currentTime}}",
        "{{$.inputs.parameters['x']}}", "{{$.pipeline_job_name}}", "[[currentTime]]",
        "{{$.CurrentTime.strftime('%Y')}}", "{{$.currentTime.strftime('}}", "[[]]", "{{$.}}"}) {
    EXPECT_EQ(Expand(text), text);
  }
}

TEST(ExpandMacros, KnowsTheScheduledTimeWhenThereIsOne) {
  MacroSource source = Source();
  source.has_scheduled_time = true;
  source.scheduled_time = kNow - 24h;
  EXPECT_EQ(ExpandMacros("[[ScheduledTime]]", source), "20260130150405");
  EXPECT_EQ(ExpandMacros("{{$.scheduledTime.strftime('%d')}}", source), "30");
}

TEST(FormatGoLayout, FollowsTheReferenceTime) {
  EXPECT_EQ(FormatGoLayout(kNow, "Mon Jan _2 15:04:05 2006"), "Sat Jan 31 15:04:05 2026");
  EXPECT_EQ(FormatGoLayout(kNow, "Monday, 02-Jan-06 03:04PM MST"),
            "Saturday, 31-Jan-26 03:04PM UTC");
  EXPECT_EQ(FormatGoLayout(kNow, "2006-01-02T15:04:05.000Z07:00"), "2026-01-31T15:04:05.123Z");
  EXPECT_EQ(FormatGoLayout(kNow, "5.999999999 -0700"), "5.123456 +0000");
  EXPECT_EQ(FormatGoLayout(kNow, "1/2/06 3:4:5 pm 002 January"), "1/31/26 3:4:5 pm 031 January");
  EXPECT_EQ(FormatGoLayout(kNow, "Janet, Monet"), "Janet, Monet");
  EXPECT_EQ(FormatGoLayout(kNow, ""), "");
}

TEST(FormatStrftime, KnowsUpstreamsLetters) {
  EXPECT_EQ(Strftime("%Y-%m-%dT%H:%M:%S"), "2026-01-31T15:04:05");
  EXPECT_EQ(Strftime("%s %j %a %B %p %I %y"), "1769871845 031 Sat January PM 03 26");
  EXPECT_EQ(Strftime("%F %T %D %R %Z %z %v"),
            "2026-01-31 15:04:05 01/31/26 15:04 UTC +0000 31-Jan-2026");
  EXPECT_EQ(Strftime("100%%"), "100%");
  EXPECT_EQ(Strftime("%Q"), "stays");
  EXPECT_EQ(Strftime("%"), "stays");
}

}  // namespace
}  // namespace caudal::spec::internal
