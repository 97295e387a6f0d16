#include "cli/internal/confirm.h"

#include <unistd.h>

#include <cstdio>
#include <iostream>

namespace caudal::cli {

base::Status Confirm(const Arguments& arguments, const std::string& question) {
  if (arguments.Has("--yes")) return base::OkStatus();
  if (isatty(STDIN_FILENO) != 1 || isatty(STDERR_FILENO) != 1) {
    return base::FailedPrecondition(question + " Nobody can be asked here: add --yes");
  }
  std::fprintf(stderr, "%s [y/N] ", question.c_str());
  std::string answer;
  std::getline(std::cin, answer);
  if (answer == "y" || answer == "Y" || answer == "yes") return base::OkStatus();
  return base::Aborted("nothing was changed");
}

}  // namespace caudal::cli
