#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cstdio>

#include "cli/internal/common_flags.h"
#include "cli/internal/doctor.h"
#include "cli/internal/output.h"
#include "cli/internal/owner.h"
#include "cli/internal/progress.h"
#include "cli/internal/verbs.h"

namespace caudal::cli {
namespace {

constexpr std::array kFlags = {kDataDirFlag, kOutputFlag, kJsonFlag};

std::string_view StateName(Check::State state) {
  switch (state) {
    case Check::State::kOk:
      return "ok";
    case Check::State::kLacks:
      return "lacks";
    default:
      return "fails";
  }
}

std::string Glyph(Check::State state, const Style& style) {
  switch (state) {
    case Check::State::kOk:
      return Dress("✓", kGreen, style);
    case Check::State::kLacks:
      return Dress("–", kYellow, style);
    default:
      return Dress("✗", kRed, style);
  }
}

void PrintText(const std::vector<Check>& checks) {
  const Style style = StyleFor(STDOUT_FILENO);
  size_t width = 0;
  for (const Check& check : checks) width = std::max(width, Columns(check.name));
  for (const Check& check : checks) {
    std::printf("%s %s  %s\n", Glyph(check.state, style).c_str(), PadTo(check.name, width).c_str(),
                check.found.c_str());
    if (!check.cost.empty()) {
      std::printf("%s%s\n", std::string(width + 4, ' ').c_str(),
                  Dress(check.cost, kDim, style).c_str());
    }
  }
}

int DoctorVerb(const Arguments& arguments) {
  const auto form = ReadOutputForm(arguments);
  if (!form.ok()) return FailWith(form.status());
  const auto data_dir = ResolveDataDir(arguments.Get("--data-dir"));
  if (!data_dir.ok()) return FailWith(data_dir.status());
  const std::vector<Check> checks = CheckAll(*data_dir);
  if (*form == OutputForm::kTable) {
    PrintText(checks);
  } else {
    boost::json::array data;
    for (const Check& check : checks) {
      data.push_back({{"name", check.name},
                      {"state", StateName(check.state)},
                      {"found", check.found},
                      {"cost", check.cost}});
    }
    PrintData(*form, data);
  }
  const bool fails = std::any_of(checks.begin(), checks.end(), [](const Check& check) {
    return check.state == Check::State::kFails;
  });
  return fails ? 1 : kExitOk;
}

constexpr std::array kEntries = {
    Entry{{"doctor", "", "Checks what this machine can do, and says what each lack costs.", kFlags,
           "caudal doctor\n"
           "caudal doctor --json"},
          DoctorVerb},
};

}  // namespace

std::span<const Entry> DoctorEntries() { return kEntries; }

}  // namespace caudal::cli
